internal import AllModules
internal import ModuleKit
internal import NetBase
internal import UACore

/// `apus call`: one call, from the first request to its end.
func runCall(_ options: CallCommand) async throws {
  let media = options.media
  let began = Clock.now
  let stop = StopFlag.onSignal()
  let play = try options.play ?? ShippedSpeech.path()
  let settings = AgentFactory.settings(
    media, listen: SocketAddress(ipv4: 0, port: 0), mode: media.rxmode ?? .main)
  let agent = try await AgentFactory.start(settings, name: "main")
  let watch = CallWatch()
  let isQuiet = media.json
  let events = Task {
    await watch.follow(agent) { event in
      guard !isQuiet else { return }
      switch event {
      case .ringing: StandardError.write("ringing\n")
      case .established: StandardError.write("established\n")
      case .secured(_, let profile): StandardError.write("secured by \(profile)\n")
      case .held(_, let isHeld): StandardError.write(isHeld ? "held by the peer\n" : "resumed by the peer\n")
      case .warning(_, let text): StandardError.write("apus: warning: \(text)\n")
      default: break
      }
    }
  }
  let failure: Failure?
  do {
    var settings = AgentFactory.call(
      media, identity: "sip:apus@localhost", encryption: .none, usesRTCPMux: false,
      source: AudioDevice(driver: "aufile", device: play),
      player: options.record.map { AudioDevice(driver: "aufile", device: $0) })
    settings.videoSource = options.playVideo.map { VideoDevice(driver: "ivf", device: $0) }
    settings.videoDisplay = options.recordVideo.map { VideoDevice(driver: "ivf", device: $0) }
    let call = try await agent.call(options.uri, settings: settings)
    await conduct(call, agent, watch, media, stop)
    failure = nil
  } catch {
    failure = Failure(error)
  }
  await agent.shutDown()
  await events.value
  completeRecordings()
  if let failure { throw failure }

  let reports = await watch.reports
  let isGood = reports.count == 1 && reports[0].isGood
  if media.json {
    let recordings = [options.record, options.recordVideo].compactMap(\.self)
    print(summary(reports, ok: isGood, began: began, recordings: recordings))
  } else if let report = reports.first, report.setup != nil {
    let figures = report.media
    print(
      "\(report.peer): \(decimal(report.duration)) s, \(report.codec ?? ""), \(report.mediaEncryption), "
        + "sent \(figures.sentPackets), received \(figures.receivedPackets), lost \(figures.lost), "
        + "jitter \(decimal(figures.jitter)) ms, dropped \(report.dropped)"
        + (report.video.map { ", \($0.encodingName) \($0.line)" } ?? ""))
  }
  if let failure = reports.first?.failure { throw Failure(failure).reported }
  guard isGood else {
    let isUnanswered = reports.first?.setup == nil
    let wasStopped = await stop.isSet
    throw Failure(
      .callFailed,
      wasStopped && isUnanswered ? "interrupted before it was answered" : "the call did not carry media both ways"
    ).reported
  }
}

/// Waits for the answer, lets the call last, and ends it.
private func conduct(
  _ call: CallID, _ agent: UserAgent, _ watch: CallWatch, _ media: MediaOptions, _ stop: StopFlag
) async {
  let interrupt = Task {
    await stop.wait()
    if await stop.isSet { await agent.hangUp(call) }
  }
  await watch.wait(.answered(call))
  let progress = Task { await showProgress(agent, label: "call", isQuiet: media.json) }
  let rekeying = media.rekeyEvery.map { every in Task { await Rekeying.run(agent, call, milliseconds: every) } }
  let ended = Task {
    await watch.wait(.ended(call))
    await stop.release()
  }
  if let seconds = media.seconds {
    let timer = Task {
      try? await Task.sleep(for: .seconds(seconds))
      await agent.hangUp(call)
    }
    await watch.wait(.ended(call))
    timer.cancel()
  } else {
    await watch.wait(.ended(call))
  }
  rekeying?.cancel()
  progress.cancel()
  await progress.value
  await stop.release()
  await ended.value
  interrupt.cancel()
}
