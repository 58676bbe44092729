import Handoff
import ModuleKit
import NetBase
import Runtime
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// Calls with video on the virtual clock: frames pass as they were encoded, on the audio's transport or on their own.
@Suite("calls with video") struct VideoCallTests {
  struct VideoCell: Sendable, CustomTestStringConvertible {
    let mode: RxMode
    let encryption: String?
    let isBundled: Bool
    let nat: String?
    var testDescription: String {
      "\(self.mode) \(self.encryption ?? "none")\(self.isBundled ? " bundle" : "")\(self.nat.map { " \($0)" } ?? "")"
    }

    /// Bundled under DTLS behind ICE, and apart under SDES without rtcp-mux.
    var isExample: Bool {
      self.isBundled
        ? self.encryption == "dtls_srtp" && self.nat != nil : self.encryption == "srtp-mand" && self.nat == nil
    }

    /// Milliseconds after which checks have given up, where there are any; one mode shows it.
    var outlastsChecks: Int64 { self.nat != nil && self.mode == .main ? 45_000 : 1000 }

    /// And apart behind ICE, where the video would have checks of its own.
    var isWithoutVideo: Bool { self.isExample || (!self.isBundled && self.nat != nil) }

    /// With ICE and bundled, or with neither; the other two under DTLS.
    static let all = RxMode.allCases.flatMap { mode in
      [nil, "srtp-mand", "dtls_srtp"].flatMap { encryption in
        [true, false].flatMap { isBundled in
          [nil, "ice"].map { VideoCell(mode: mode, encryption: encryption, isBundled: isBundled, nat: $0) }
        }
      }
    }.filter { $0.isUsual || $0.encryption == "dtls_srtp" }

    var isUsual: Bool { self.isBundled == (self.nat != nil) }
  }

  static func makeAgents(
    _ cell: VideoCell, seed: UInt64 = 1, length: String = "", adjust: @escaping (inout AgentSettings) -> Void = { _ in }
  ) throws -> (SimulatedAgents, alice: String, bob: String) {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: seed, adjust: adjust)
    let names = (ProbeCapture.makeName(), ProbeCapture.makeName())
    func dress(_ settings: inout CallSettings, _ display: String) {
      settings.mediaNAT = cell.nat
      settings.usesRTCPMux = cell.isBundled
      settings.usesBundle = cell.isBundled
      settings.videoSource = AudioDevice(driver: "probe_video", device: length)
      settings.videoDisplay = AudioDevice(driver: "probe_video", device: display)
    }
    dress(&agents.aliceSettings, names.0)
    dress(&agents.bobSettings, names.1)
    return (agents, names.0, names.1)
  }

  static func end(_ agents: SimulatedAgents, _ call: CallID) throws -> [CallReport] {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let reports = [try #require(agents.alice.ended.first), try #require(agents.bob.ended.first)]
    for report in reports {
      #expect(report.reason == "hangup" && report.failure == nil, "\(report.reason) \(report.failure?.message ?? "")")
      #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
      guard let own = report.videoTransport else { continue }
      #expect(own.drops == DropCounters() && own.accountedDatagrams == own.receivedDatagrams, "\(own)")
    }
    #expect(agents.alice.warnings.isEmpty && agents.bob.warnings.isEmpty)
    #expect(agents.simulation.network.mediaSocketCount == 0)
    return reports
  }

  /// Every frame is one of the source's, in order, and the first is a key frame.
  static func numbers(_ device: String) throws -> [Int] {
    let frames = ProbeDisplay.frames(device)
    let numbers = try frames.map { try #require(ProbeVideo.number(of: $0.bytes)) }
    #expect(frames.first?.info.isKeyFrame == true && zip(numbers, numbers.dropFirst()).allSatisfy { $0 < $1 })
    return numbers
  }

  @Test("test_call_video, test_call_webrtc: frames cross both ways, bit for bit", arguments: VideoCell.all)
  func video(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 5)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...9000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 3000)
    let reports = try Self.end(agents, call)
    for (report, display) in zip(reports, [alice, bob]) {
      let numbers = try Self.numbers(display)
      #expect(numbers.count > 80 && numbers == Array(numbers[0]..<numbers[0] + numbers.count), "\(numbers.prefix(9))")
      let video = try #require(report.video)
      #expect(video.encodingName == "VP8" && video.sentKeyFrames >= 1 && video.lost == 0, "\(video)")
      #expect(
        video.receivedFrames == numbers.count && video.discardedFrames == 0 && video.malformed == 0,
        "\(video) \(numbers.prefix(5)) \(numbers.count)")
      #expect(ProbeDisplay.finishes(display) == 1)
    }
    for heard in [agents.aliceHears, agents.bobHears] {
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }

  @Test(
    "lost packets are asked for and come again; what is shown is whole and in order",
    arguments: VideoCell.all.filter(\.isExample))
  func lossy(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 6, length: "3000")
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...9000, loss: 0.05, duplication: 0.01))
    agents.run(milliseconds: 6000)
    agents.simulation.network.setMedia(LinkConditions())
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (report, display) in zip([agents.alice.ended[0], agents.bob.ended[0]], [alice, bob]) {
      let numbers = try Self.numbers(display)
      let video = try #require(report.video)
      #expect(video.recovered > 20 && video.resent > 20, "\(video)")
      #expect(numbers.count > 190 && numbers.last ?? 0 > 200, "\(numbers.count) \(video)")
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams, "\(report.media)")
      #expect(report.media.drops.total == report.media.drops.replay, "\(report.media.drops)")
    }
  }

  @Test(
    "without what is asked for, a lost frame is followed by a key frame, also where the peer knows no PLI",
    arguments: VideoCell.all.filter(\.isExample), [true, false])
  func keyFrames(cell: VideoCell, hasPictureLoss: Bool) throws {
    let (agents, alice, _) = try Self.makeAgents(cell, seed: 7, length: "1500")
    let descriptions = Descriptions(agents.simulation.network)
    if !hasPictureLoss { descriptions.set { $0.body.removeAll { $0.hasSuffix(" nack pli") } } }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    // For three seconds nothing gets through; packets are kept for two.
    agents.simulation.network.setMedia(LinkConditions(loss: 1))
    agents.run(milliseconds: 3000)
    agents.simulation.network.setMedia(LinkConditions())
    agents.run(milliseconds: 2500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let numbers = try Self.numbers(alice)
    let gap = try #require(zip(numbers, numbers.dropFirst()).first { $1 > $0 + 1 })
    #expect(gap.1 - gap.0 > 80 && gap.1 - gap.0 < 120, "\(gap)")
    let frames = ProbeDisplay.frames(alice)
    let place = try #require(numbers.firstIndex(of: gap.1))
    #expect(frames[place].info.isKeyFrame && numbers.last ?? 0 > 150)
    let (his, hers) = (try #require(agents.bob.ended[0].video), try #require(agents.alice.ended[0].video))
    #expect(hers.keyFrameRequests > 0 && his.receivedKeyFrameRequests > 0 && his.sentKeyFrames >= 2, "\(hers) \(his)")
  }

  @Test(
    "test_call_change_videodir: video is held, changed and resumed; audio goes on",
    arguments: VideoCell.all.filter(\.isExample))
  func directions(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 8)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    func shown() -> (alice: Int, bob: Int) { (ProbeDisplay.frames(alice).count, ProbeDisplay.frames(bob).count) }
    func change(_ direction: String) throws -> (alice: Int, bob: Int) {
      let result = agents.alice.act { $0.execute(command: "videodir", parameters: direction) }
      #expect(result.isOK, "\(result)")
      agents.run(milliseconds: 300)
      let before = shown()
      agents.run(milliseconds: 1000)
      let after = shown()
      return (after.alice - before.alice, after.bob - before.bob)
    }
    let sendOnly = try change("sendonly")
    #expect(sendOnly.alice == 0 && sendOnly.bob > 25, "\(sendOnly)")
    let receiveOnly = try change("recvonly")
    #expect(receiveOnly.alice > 25 && receiveOnly.bob == 0, "\(receiveOnly)")
    let none = try change("inactive")
    #expect(none == (0, 0), "\(none)")
    let both = try change("sendrecv")
    #expect(both.alice > 25 && both.bob > 25, "\(both)")
    let report = try #require(agents.alice.report)
    #expect(!report.isOnHold && report.media.lost == 0)
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 300)
    let held = shown()
    agents.run(milliseconds: 500)
    #expect(shown().alice == held.alice && shown().bob > held.bob)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 1000)
    #expect(shown().alice > held.alice + 10)
    _ = try Self.numbers(alice)
    _ = try Self.numbers(bob)
    _ = try Self.end(agents, call)
  }

  @Test(
    "keys change while video flows: nothing is lost",
    arguments: VideoCell.all.filter { $0.encryption != nil && $0.isUsual })
  func rekeyed(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 9)
    agents.simulation.network.setMedia(LinkConditions(delay: 2000...9000))
    let call = try agents.establishedCall()
    for _ in 0..<2 {
      agents.run(milliseconds: 800)
      #expect(agents.alice.act { $0.rekey(call) })
      agents.run(milliseconds: 800)
      #expect(agents.bob.act { $0.rekey(agents.bobCall) })
    }
    agents.run(milliseconds: 800)
    let reports = try Self.end(agents, call)
    for (report, display) in zip(reports, [alice, bob]) {
      let numbers = try Self.numbers(display)
      #expect(report.media.rekeys == 4 && report.video?.lost == 0 && report.media.lost == 0, "\(report.media)")
      #expect(numbers.count > 110 && numbers == Array(numbers[0]..<numbers[0] + numbers.count), "\(numbers.prefix(9))")
    }
  }

  @Test(
    "a peer without video goes on without it, whoever calls", arguments: VideoCell.all.filter(\.isWithoutVideo),
    [true, false])
  func refused(cell: VideoCell, isCaller: Bool) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 10)
    if isCaller {
      (agents.aliceSettings.videoSource, agents.aliceSettings.videoDisplay) = (nil, nil)
    } else {
      (agents.bobSettings.videoSource, agents.bobSettings.videoDisplay) = (nil, nil)
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 500)
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 500)
    // Checks that nobody answers would have given up by then.
    agents.run(milliseconds: cell.outlastsChecks)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let reports = try Self.end(agents, call)
    #expect(reports.allSatisfy { $0.video == nil })
    #expect(ProbeDisplay.frames(alice).isEmpty && ProbeDisplay.frames(bob).isEmpty)
  }

  @Test(
    "one side sends, the other shows; what can't be opened is said before there is a call",
    arguments: VideoCell.all.filter(\.isExample))
  func oneWay(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 11)
    agents.aliceSettings.videoDisplay = nil
    agents.bobSettings.videoSource = nil
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1500)
    #expect(try Self.numbers(bob).count > 35 && ProbeDisplay.frames(alice).isEmpty)
    let directions = [agents.alice, agents.bob].map { $0.act { $0.calls.values.first?.media?.videoFacts?.local } }
    #expect(directions == ["sendonly", "recvonly"])
    let reports = try Self.end(agents, call)
    #expect(reports[1].video?.sentPackets == 0 && reports[0].video?.receivedPackets == 0)
    agents.aliceSettings.videoSource = AudioDevice(driver: "nobody", device: "")
    #expect(throws: ModuleError.self) { try agents.call() }
    agents.aliceSettings.videoSource = AudioDevice(driver: "probe_video", device: "")
    agents.aliceSettings.videoCodecs = ["H265"]
    #expect(throws: ModuleError.self) { try agents.call() }
  }

  @Test(
    "test_call_100rel_video: early video is acknowledged, and the call is answered",
    arguments: VideoCell.all.filter(\.isExample))
  func reliableProvisional(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 12)
    (agents.aliceSettings.reliableProvisionals, agents.bobSettings.reliableProvisionals) = (.yes, .required)
    agents.bobSettings.answerMode = .earlyVideo
    try agents.call()
    agents.run(milliseconds: 1500)
    #expect(agents.bob.trace.withLock { $0.contains { $0.contains(" <-- PRACK sip:") } })
    #expect(agents.alice.report?.state == .early)
    #expect(try Self.numbers(alice).count > 30 && Self.numbers(bob).count > 30)
    agents.bob.act { $0.answer(agents.bobCall) }
    agents.run(milliseconds: 1000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let call = try #require(agents.alice.report?.id)
    _ = try Self.end(agents, call)
    #expect(try Self.numbers(alice).count > 60 && Self.numbers(bob).count > 60)
  }

  @Test(
    "the codec is the first that both have, in the order of whoever answers",
    arguments: VideoCell.all.filter(\.isExample))
  func codecs(cell: VideoCell) throws {
    for (hers, his, name) in [(["VP8", "H264"], ["h264"], "H264"), ([], ["vp8"], "VP8"), (["H264"], ["vp8"], nil)] {
      let (agents, _, _) = try Self.makeAgents(cell, seed: 13)
      (agents.aliceSettings.videoCodecs, agents.bobSettings.videoCodecs) = (hers, his)
      let call = try agents.establishedCall()
      agents.run(milliseconds: 500)
      let reports = try Self.end(agents, call)
      #expect(reports.allSatisfy { $0.video?.encodingName == name }, "\(reports.map { $0.video?.encodingName })")
    }
  }

  @Test(
    "test_call_bundle: bundled, one transport has everything; apart, each line has its own",
    arguments: VideoCell.all.filter(\.isExample))
  func sockets(cell: VideoCell) throws {
    let (agents, _, _) = try Self.makeAgents(cell, seed: 14)
    try agents.establishedCall()
    agents.run(milliseconds: 500)
    let lines = agents.bob.act { $0.calls.values.first?.media?.localDescription?.media.map(\.port) ?? [] }
    #expect(lines.count == 2 && (lines[0] == lines[1]) == cell.isBundled, "\(lines)")
    let groups = agents.bob.act { $0.calls.values.first?.media?.localDescription?.bundles ?? [] }
    #expect(groups == (cell.isBundled ? [["0", "1"]] : []))
    let offered = agents.alice.act { $0.calls.values.first?.media?.localDescription }
    #expect(offered?.media[1].isBundleOnly == cell.isBundled && (offered?.media[1].port == 0) == cell.isBundled)
    // A second offer has both lines where the media is.
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 500)
    let second = agents.bob.act { $0.calls.values.first?.media?.localDescription?.media.map(\.port) ?? [] }
    #expect(second == lines)
  }

  @Test(
    "a line that the peer takes away and offers again has a source and a display of its own", arguments: RxMode.allCases
  )
  func broughtBack(mode: RxMode) throws {
    let cell = VideoCell(mode: mode, encryption: "dtls_srtp", isBundled: true, nat: "ice")
    let (agents, _, bob) = try Self.makeAgents(cell, seed: 17)
    let isGone = Locked(false)
    let answered = Locked<[String]>([])
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      guard let start = message.body.firstIndex(where: { $0.hasPrefix("m=video ") }) else { return }
      let isGone = isGone.withLock { $0 }
      switch (message.sender, message.isRequest) {
      // Bob sees offers without it, while Alice believes that he takes it.
      case ("10.0.0.1", true) where isGone:
        message.body[start] =
          "m=video 0 " + message.body[start].split(separator: " ").dropFirst(2).joined(separator: " ")
      case ("10.0.0.2", false) where isGone:
        message.body = answered.withLock { $0 }
      case ("10.0.0.2", false): answered.withLock { [body = message.body] in $0 = body }
      default: break
      }
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    func hold(_ milliseconds: Int64) {
      agents.alice.act { $0.setHold(call, true) }
      agents.run(milliseconds: milliseconds)
      agents.alice.act { $0.setHold(call, false) }
      agents.run(milliseconds: milliseconds)
    }
    isGone.withLock { $0 = true }
    hold(500)
    #expect(ProbeDisplay.finishes(bob) == 1)
    let shown = ProbeDisplay.frames(bob).count
    isGone.withLock { $0 = false }
    hold(1500)
    #expect(ProbeDisplay.frames(bob).count > shown + 20, "\(shown), then \(ProbeDisplay.frames(bob).count)")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(ProbeDisplay.finishes(bob) == 2 && ProbeDisplay.requests(bob) == 2)
  }

  @Test(
    "a peer that takes the video's line away goes on with the audio",
    arguments: VideoCell.all.filter(\.isWithoutVideo))
  func takenAway(cell: VideoCell) throws {
    let (agents, alice, bob) = try Self.makeAgents(cell, seed: 15)
    let isGone = Locked(false)
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      // As the network has it, Alice's offers disable the line.
      guard message.sender == "10.0.0.1", message.isRequest, isGone.withLock({ $0 }) else { return }
      message.body = message.body.map { line in
        guard line.hasPrefix("m=video ") else { return line }
        return "m=video 0 " + line.split(separator: " ").dropFirst(2).joined(separator: " ")
      }
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    isGone.withLock { $0 = true }
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 300)
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: cell.outlastsChecks)
    let shown = (ProbeDisplay.frames(alice).count, ProbeDisplay.frames(bob).count)
    #expect(shown.0 > 20 && shown.0 < 60 && shown.1 > 20 && shown.1 < 60, "\(shown)")
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.alice.report?.media.lost == 0 && agents.bob.report?.media.lost == 0)
    #expect(ProbeDisplay.finishes(alice) == 1 && ProbeDisplay.finishes(bob) == 1)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(agents.simulation.network.mediaSocketCount == 0)
    #expect(agents.alice.ended[0].reason == "hangup" && agents.alice.ended[0].failure == nil)
    #expect(agents.alice.ended[0].media.drops == DropCounters(), "\(agents.alice.ended[0].media.drops)")
    #expect(ProbeDisplay.finishes(alice) == 1 && ProbeDisplay.finishes(bob) == 1)
  }

  @Test("every line names ICE and DTLS, be it bundled or refused: some peers take no description otherwise")
  func everyLine() throws {
    let cell = VideoCell(mode: .main, encryption: "dtls_srtp", isBundled: true, nat: "ice")
    for hasVideo in [true, false] {
      let (agents, _, _) = try Self.makeAgents(cell, seed: 18)
      if !hasVideo { (agents.bobSettings.videoSource, agents.bobSettings.videoDisplay) = (nil, nil) }
      let descriptions = Descriptions(agents.simulation.network)
      descriptions.set { message in
        switch (message.sender, message.isRequest) {
        // Bob sees data besides in Alice's offers, and Alice nothing of it.
        case ("10.0.0.1", true):
          message.body += ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:data"]
        case ("10.0.0.2", false):
          guard let start = message.body.firstIndex(where: { $0.hasPrefix("m=application ") }) else { return }
          message.body.removeSubrange(start...)
        default: break
        }
      }
      let call = try agents.establishedCall()
      for isHeld in [false, true] {
        if isHeld { agents.alice.act { $0.setHold(call, true) } }
        agents.run(milliseconds: 500)
        let lines = [agents.alice, agents.bob].map { agent in
          agent.act { $0.calls.values.first?.media?.localDescription?.media ?? [] }
        }
        #expect(lines.map(\.count) == [2, 3])
        for line in lines.joined() {
          let isWhole = line.iceUfrag != nil && line.icePwd != nil && line.setup != nil && !line.fingerprints.isEmpty
          #expect(isWhole && line.rtcpMux == (line.kind != .application), "\(line.kind) \(line.attributes)")
        }
      }
      _ = try Self.end(agents, call)
    }
  }

  @Test("an answer that takes the video out of the group it was offered in opens no transport that nobody was told of")
  func ungrouped() throws {
    let cell = VideoCell(mode: .main, encryption: "dtls_srtp", isBundled: true, nat: "ice")
    let (agents, alice, _) = try Self.makeAgents(cell, seed: 16)
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      guard message.sender == "10.0.0.2", !message.isRequest else { return }
      message.body.removeAll { $0.hasPrefix("a=group:") }
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    #expect(agents.alice.act { $0.calls[call]?.media?.sections.count } == 1)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished && ProbeDisplay.frames(alice).isEmpty)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle() && agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a description tells under what video is sent, and sent again", arguments: [true, false])
  func repairSource(isBundled: Bool) throws {
    let cell = VideoCell(mode: .main, encryption: nil, isBundled: isBundled, nat: nil)
    let (agents, _, _) = try Self.makeAgents(cell, seed: 17)
    let call = try agents.establishedCall()
    for agent in [agents.alice, agents.bob] {
      let descriptions = agent.trace.withLock { $0 }.filter { $0.contains("m=video") }
      #expect(descriptions.count >= 2)
      for description in descriptions { #expect(description.contains("a=ssrc-group:FID ")) }
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }

  @Test("with one port for all calls, video that is not bundled has sockets of its own")
  func ownSockets() throws {
    let cell = VideoCell(mode: .main, encryption: nil, isBundled: false, nat: nil)
    let asked = Locked(0)
    let (agents, _, _) = try Self.makeAgents(cell, seed: 19) { settings in
      settings.configuration.usesSinglePort = true
      settings.datagrams = settings.datagrams.map { AskedTransport(inner: $0, asked: asked) }
    }
    let call = try agents.establishedCall()
    #expect(agents.alice.act { $0.calls[call]?.media?.sections.count } == 2)
    #expect(asked.withLock { $0 } == 2, "for the audio of either side")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
  }
}

/// Counts how often sockets were asked for that many share; there are none.
private struct AskedTransport: DatagramTransport {
  let inner: any DatagramTransport
  let asked: Locked<Int>

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    try self.inner.open(address, typeOfService: typeOfService)
  }

  func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? {
    self.asked.withLock { $0 += 1 }
    return nil
  }
}
