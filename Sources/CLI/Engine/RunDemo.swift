internal import AllModules
internal import Glibc
internal import ModuleKit
internal import NetBase
internal import UACore

/// `apus demo`: Alice calls Bob over loopback; she speaks, he hums; both are recorded.
func runDemo(_ options: DemoCommand) async throws {
  let media = options.media
  let began = Clock.now
  let seconds = media.seconds ?? 10
  let folder = try makeRecordingFolder()
  let stop = StopFlag.onSignal()
  let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
  let mode = media.rxmode ?? .thread
  let settings = AgentFactory.settings(media, listen: loopback, mode: mode)
  let speech = AudioDevice(driver: "aufile", device: try ShippedSpeech.path())
  let alice = try await AgentFactory.start(settings, name: "alice")
  let bob: UserAgent
  do {
    bob = try await AgentFactory.start(settings, name: "bob")
  } catch {
    await alice.shutDown()
    throw error
  }
  let recordings = (alice: "\(folder)/alice.wav", bob: "\(folder)/bob.wav")
  let (aliceWatch, bobWatch) = (CallWatch(), CallWatch())
  let aliceEvents = Task { await aliceWatch.follow(alice) { warn($0, of: "alice") } }
  let bobEvents = Task { await bobWatch.follow(bob) { warn($0, of: "bob") } }

  func account(_ name: String, _ source: AudioDevice, _ recording: String) -> CallSettings {
    AgentFactory.call(
      media, identity: "sip:\(name)@127.0.0.1", encryption: .dtls, usesRTCPMux: true, source: source,
      player: AudioDevice(driver: "aufile", device: recording))
  }
  let failure: Failure?
  do {
    try await bob.setAccounts([account("bob", AudioDevice(driver: "ausine", device: "440"), recordings.bob)])
    let port = await bob.listenAddress?.port ?? 5060
    let call = try await alice.call(
      "sip:bob@127.0.0.1:\(port)", settings: account("alice", speech, recordings.alice))
    await answers(to: [call], alice, aliceWatch, stop)
    let progress = Task { await showProgress(alice, label: "alice", isQuiet: media.json) }
    let rekeying = media.rekeyEvery.map { every in
      Task { await Rekeying.run(alice, call, milliseconds: every) }
    }
    _ = await Interrupt.sleep(seconds: seconds, unless: stop, .onEnd(.ended(call), of: aliceWatch))
    rekeying?.cancel()
    progress.cancel()
    await progress.value
    await alice.hangUp(call)
    await aliceWatch.wait(.ended(call))
    await bobWatch.wait(.count(bobWatch.begun))
    failure = nil
  } catch {
    failure = Failure(error)
  }
  await alice.shutDown()
  await bob.shutDown()
  await aliceEvents.value
  await bobEvents.value
  let missing = completeRecordings()
  if let failure { throw failure }

  let reports = await aliceWatch.reports + bobWatch.reports
  let isGood = reports.count == 2 && reports.allSatisfy { $0.isGood } && missing == nil
  if media.json {
    StandardOutput.print(
      summary(
        reports, ok: isGood, began: began, recordings: [recordings.alice, recordings.bob], rekeys: reports.rekeys))
  } else {
    showDemo(reports, recordings)
  }
  if let failure = reports.lazy.compactMap(\.failure).first { throw Failure(failure).reported }
  if let missing { throw Failure(.cannotCreate, missing).reported }
  if !isGood { throw Failure(.callFailed, reports.shortcoming(wasInterrupted: await stop.isSet)).reported }
}

private func warn(_ event: AgentEvent, of name: String) {
  if case .warning(_, let text) = event { StandardError.write("apus: \(name): warning: \(text)\n") }
}

/// The object that `--json` prints.
///
/// - Parameter rekeys: what both ends of a call count, where the program has both.
func summary(
  _ reports: [CallReport], ok: Bool, began: Double, recordings: [String], rekeys: Int? = nil
) -> JSON {
  let usage = ProcessUsage.now
  return [
    "ok": .bool(ok), "wall_s": .number(Clock.now - began), "cpu_s": .number(usage.cpu),
    "max_rss_kib": .integer(usage.maximumResident), "recordings": .array(recordings.map { .string($0) }),
    "rekeys": rekeys.map { .integer($0) } ?? .null, "calls": .array(reports.map(\.json)),
  ]
}

private func showDemo(_ reports: [CallReport], _ recordings: (alice: String, bob: String)) {
  let terminal = Terminal(STDOUT_FILENO)
  for (name, report) in zip(["alice", "bob"], reports) {
    let media = report.media
    StandardOutput.print(
      terminal.styled(name, .bold) + "  \(report.isOutgoing ? "called" : "was called by") \(report.peer)")
    StandardOutput.print("  security  \(report.mediaEncryption) \(report.profile ?? "") \(report.dtlsVersion ?? "")")
    StandardOutput.print("  codec     \(report.codec ?? "none"), received in mode \(report.rxMode.rawValue)")
    StandardOutput.print(
      "  set up    \(decimal(report.setup)) ms, first secured media after \(decimal(report.secure ?? report.firstMedia)) ms"
    )
    StandardOutput.print("  sent      \(media.sentPackets) packets, \(media.sentBytes) bytes")
    StandardOutput.print(
      "  received  \(media.receivedPackets) packets, lost \(media.lost), late \(media.late), "
        + "jitter \(decimal(media.jitter)) ms, dropped \(media.drops.total), MOS \(decimal(media.meanOpinionScore))")
  }
  if reports.rekeys > 0 { StandardOutput.print("re-keyed \(reports.rekeys) times, by the count of both ends") }
  if let heard = HeardAudio(path: recordings.alice) {
    let share = Int((heard.tone.share * 100).rounded())
    StandardOutput.print("alice heard \(decimal(heard.seconds)) s, \(share) % of it a tone of 440 Hz: \(heard.path)")
  }
  if let heard = HeardAudio(path: recordings.bob) {
    StandardOutput.print(
      "bob heard \(decimal(heard.seconds)) s of speech, up to \(decimal(heard.level)) dBFS: \(heard.path)")
  }
}

/// One decimal, or a dash.
func decimal(_ value: Double?) -> String {
  guard let value else { return "-" }
  let tenths = Int((value * 10).rounded())
  return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
}

/// Rewrites one line with what the agent's calls do, until the task is cancelled.
func showProgress(_ agent: UserAgent, label: String, isQuiet: Bool) async {
  guard !isQuiet else { return }
  var line = StatusLine()
  while !Task.isCancelled {
    await agent.refreshStatistics()
    try? await Task.sleep(for: .milliseconds(250))
    guard let report = await agent.reports.first else { continue }
    let media = report.media
    line.update(
      "\(label): \(decimal(report.duration)) s  sent \(media.sentPackets)  received \(media.receivedPackets)"
        + "  lost \(media.lost)  dropped \(media.drops.total)")
  }
  line.clear()
}

private func makeRecordingFolder() throws -> String {
  let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
  var template = Array("\(base)/apus-demo-\(String(repeating: "X", count: 6))".utf8CString)
  guard unsafe mkdtemp(&template) != nil else {
    throw Failure(.cannotCreate, "\(base): no folder for the recordings can be made there; set TMPDIR")
  }
  return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Seconds on the monotonic clock.
enum Clock {
  static var now: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
