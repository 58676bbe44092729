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
  let films = VideoFiles(played: options.playVideo, recorded: options.recordVideo)
  let videoCodecs = try films.check()
  let settings = AgentFactory.settings(
    media, listen: SocketAddress(ipv4: 0, port: 0), mode: media.rxmode ?? .main)
  let agent = try await AgentFactory.start(settings, name: "main")
  let watch = CallWatch()
  let isQuiet = media.json
  let events = Task {
    await watch.follow(agent) { event in
      if case .warning(_, let text) = event { StandardError.write("apus: warning: \(text)\n") }
      guard !isQuiet else { return }
      switch event {
      case .ringing: StandardError.write("ringing\n")
      case .established: StandardError.write("established\n")
      case .secured(_, let profile): StandardError.write("secured by \(profile)\n")
      case .held(_, let isHeld): StandardError.write(isHeld ? "held by the peer\n" : "resumed by the peer\n")
      default: break
      }
    }
  }
  let interrupt = Task {
    await stop.wait()
    if await stop.isSet, !Task.isCancelled { await end(agent) }
  }
  let failure: Failure?
  do {
    var settings = AgentFactory.call(
      media, identity: "sip:apus@localhost", encryption: .none, usesRTCPMux: false,
      source: AudioDevice(driver: "aufile", device: play),
      player: options.record.map { AudioDevice(driver: "aufile", device: $0) })
    (settings.videoSource, settings.videoDisplay, settings.videoCodecs) = (films.source, films.display, videoCodecs)
    let call = try await agent.call(options.uri, settings: settings)
    await conduct(call, agent, watch, media)
    failure = nil
  } catch {
    failure = await stop.isSet ? Failure(.callFailed, [CallReport]().shortcoming(wasInterrupted: true)) : Failure(error)
  }
  // Where a signal has come, the agent ends already.
  if await stop.isSet { await interrupt.value }
  interrupt.cancel()
  await stop.release()
  await agent.shutDown()
  await events.value
  let missing = completeRecordings()
  if let failure { throw failure }

  let reports = await watch.reports
  let isGood = reports.count == 1 && reports[0].isGood && missing == nil
  let hadVideo = reports.first?.video != nil
  if reports.first?.setup != nil, !hadVideo {
    for warning in films.warnings { StandardError.write("apus: warning: \(warning)\n") }
  }
  if media.json {
    let recordings = [options.record, hadVideo ? options.recordVideo : nil].compactMap(\.self)
    StandardOutput.print(summary(reports, ok: isGood, began: began, recordings: recordings))
  } else if let report = reports.first, report.setup != nil {
    let figures = report.media
    StandardOutput.print(
      "\(report.peer): \(decimal(report.duration)) s, \(report.codec ?? ""), \(report.mediaEncryption), "
        + "sent \(figures.sentPackets), received \(figures.receivedPackets), lost \(figures.lost), "
        + "jitter \(decimal(figures.jitter)) ms, dropped \(report.dropped)"
        + (report.video.map { ", \($0.encodingName) \($0.line)" } ?? ""))
  }
  if let report = reports.first, let failure = report.failure { throw report.explained(failure).reported }
  if let missing { throw Failure(.cannotCreate, missing).reported }
  guard isGood else {
    throw Failure(.callFailed, reports.shortcoming(wasInterrupted: await stop.isSet)).reported
  }
}

/// Ends the call, if the peer lets it or not, and the agent; says so where that takes longer than a moment.
private func end(_ agent: UserAgent) async {
  let notice = Task {
    try? await Task.sleep(for: .milliseconds(500))
    guard !Task.isCancelled else { return }
    // The line of the call's figures may stand there.
    let start = Terminal().isInteractive ? StatusLine.clearing : ""
    StandardError.write("\(start)ending the call; Ctrl-C again ends at once\n")
  }
  await agent.shutDown()
  notice.cancel()
}

/// Waits for the answer, lets the call last, and ends it.
private func conduct(_ call: CallID, _ agent: UserAgent, _ watch: CallWatch, _ media: MediaOptions) async {
  await watch.wait(.answered(call))
  let progress = Task { await showProgress(agent, label: "call", isQuiet: media.json) }
  let rekeying = media.rekeyEvery.map { every in Task { await Rekeying.run(agent, call, milliseconds: every) } }
  let timer = media.seconds.map { seconds in
    Task {
      try? await Task.sleep(for: .seconds(seconds))
      await agent.hangUp(call)
    }
  }
  await watch.wait(.ended(call))
  timer?.cancel()
  rekeying?.cancel()
  progress.cancel()
  await progress.value
}
