import Handoff
import ModuleKit
import NetBase
import RTPStack
import Runtime
import TestSupport
import Testing

@testable import UACore

/// What is forged in the peer's name, and floods at one of several calls.
@Suite struct LyingNetworkTests {
  private let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6666)

  /// The SSRC of what a host sends, which SRTP leaves in the clear.
  private final class Sources: Sendable {
    private let seen = Locked<[String: UInt32]>([:])

    /// - Parameter addresses: told of each datagram too, as a network has one tap.
    init(_ network: SimulatedNetwork, _ addresses: Locked<[String: SocketAddress]>) {
      network.tap { [seen] datagram in
        guard !datagram.isSignalling, datagram.source.port % 2 == 0, datagram.bytes.count > 12,
          datagram.bytes[0] >> 6 == 2
        else { return true }
        let ssrc = datagram.bytes[8..<12].reduce(0) { $0 << 8 | UInt32($1) }
        seen.withLock { $0[datagram.source.host] = ssrc }
        addresses.withLock { $0[datagram.source.host] = datagram.source }
        return true
      }
    }

    func of(_ host: String) throws -> UInt32 { try #require(self.seen.withLock { $0[host] }) }
  }

  private static func four(_ number: UInt32) -> [UInt8] { (0..<4).map { UInt8(number >> (24 - 8 * $0) & 0xFF) } }

  /// A sender report from another time that counts millions, with a report on us that says we are hardly heard.
  private static func senderReport(of peer: UInt32, about ours: UInt32) -> [UInt8] {
    [0x81, 200, 0, 12] + self.four(peer) + [UInt8](repeating: 0xEE, count: 16) + self.four(0xFFFF_FFFF)
      + self.four(ours) + [0xFF] + [0x7F, 0xFF, 0xFF] + [UInt8](repeating: 0xFF, count: 16)
  }

  private static func goodbye(of peer: UInt32) -> [UInt8] { [0x81, 203, 0, 1] + self.four(peer) }

  @Test(
    "forged RTCP in the peer's name, BYE or SR, in the clear, with E = 0 or E = 1, is refused and counted, and changes nothing",
    arguments: Cell.all)
  func reports(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 95)
    let network = agents.simulation.network
    let addresses = Locked<[String: SocketAddress]>([:])
    let sources = Sources(network, addresses)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let (target, peer) = try addresses.withLock { (try #require($0["10.0.0.1"]), try #require($0["10.0.0.2"])) }
    let (ours, its) = (try sources.of("10.0.0.1"), try sources.of("10.0.0.2"))
    let (report, goodbye) = (Self.senderReport(of: its, about: ours), Self.goodbye(of: its))
    let plain = [report, report + goodbye, report + goodbye + [UInt8](repeating: 0, count: 14)]
    // An index without and with E, and a tag that no key made.
    let marked = [false, true].flatMap { isEncrypted in
      [4, 10, 16].map { tag in
        report + goodbye + [isEncrypted ? 0x80 : 0, 0, 0, 77] + [UInt8](repeating: 0x5A, count: tag)
      }
    }
    // In the clear nothing tells the peer's own address from the peer.
    let origins = cell.encryption == nil ? [self.stranger] : [self.stranger, peer.with(port: peer.port + 1)]
    var injected = 0
    for _ in 0..<20 {
      for bytes in plain + marked {
        for origin in origins {
          network.inject(bytes, from: origin, to: target.with(port: target.port + 1))
          injected += 1
        }
      }
      agents.run(milliseconds: 600)
    }
    agents.alice.act { $0.refreshStatistics(call) }
    agents.run(milliseconds: 100)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    let media = try #require(agents.alice.report?.media)
    // Bob's own reports are still the ones that count.
    let roundTrip = try #require(media.roundTrip)
    #expect(roundTrip < 50 && media.receivedReports >= 1 && media.receivedReports < 10, "\(roundTrip) ms")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let drops = agents.alice.ended[0].media.drops
    let expected = cell.encryption == nil ? drops.source : drops.auth + drops.plaintext
    #expect(expected == injected && drops.total == injected, "\(injected): \(drops)")
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      #expect(agent.ended[0].media.lost == 0 && agent.ended[0].failure == nil && agent.ended[0].reason == "hangup")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) ?? 0 > 8000 * 11)
    }
  }

  /// What names a dialog, as its INVITE and the 200 have it on the wire.
  private struct Dialog {
    let callID: String
    let caller: String
    let callee: String

    init(_ messages: [[UInt8]]) throws {
      func value(_ name: String, _ start: String) throws -> String {
        let message = try #require(messages.first { $0.starts(with: Array(start.utf8)) })
        let lines = String(decoding: message, as: UTF8.self).split(separator: "\r\n")
        return String(try #require(lines.first { $0.hasPrefix("\(name): ") }).dropFirst(name.count + 2))
      }
      self.callID = try value("Call-ID", "INVITE ")
      self.caller = try value("From", "INVITE ")
      self.callee = try value("To", "SIP/2.0 200")
    }

    /// The two tags.
    var tags: [String] {
      [self.caller, self.callee].map { String($0.split(separator: ";tag=").last ?? "") }
    }

    /// A BYE of the callee's; with one of the three in another's place where `wrong` says which.
    func goodbye(_ number: Int, wrong: Int? = nil) -> [UInt8] {
      let names = [self.callID, self.callee, self.caller].enumerated().map { index, name in
        guard index == wrong else { return name }
        // The last character is another.
        return String(name.dropLast()) + (name.hasSuffix("0") ? "1" : "0")
      }
      return Array(
        """
        BYE sip:alice@10.0.0.1:5060 SIP/2.0\r
        Via: SIP/2.0/UDP 10.0.0.102:6666;branch=z9hG4bKforged\(number);rport\r
        Max-Forwards: 70\r
        From: \(names[1])\r
        To: \(names[2])\r
        Call-ID: \(names[0])\r
        CSeq: \(number) BYE\r
        Content-Length: 0\r
        \r

        """.utf8)
    }
  }

  @Test(
    "a BYE over UDP ends a call with its Call-ID and both tags, which are random; with two of the three it ends none",
    arguments: RxMode.allCases)
  func forgedGoodbye(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, seed: 94)
    let network = agents.simulation.network
    let messages = Locked<[[UInt8]]>([])
    network.tap { datagram in
      if datagram.isSignalling { messages.withLock { $0.append(datagram.bytes) } }
      return true
    }
    var dialogs: [Dialog] = []
    for _ in 0..<2 {
      messages.withLock { $0.removeAll() }
      let call = try agents.establishedCall()
      dialogs.append(try Dialog(messages.withLock { $0 }))
      guard dialogs.count == 1 else { break }
      agents.alice.act { $0.hangUp(call) }
      #expect(agents.runUntilIdle())
    }
    // Two calls have nothing in common, and no name is one that could be tried out.
    let names = dialogs.flatMap { [$0.callID] + $0.tags }
    #expect(Set(names).count == 6 && names.allSatisfy { $0.utf8.count >= 16 }, "\(names)")
    messages.withLock { $0.removeAll() }
    var number = 100
    for origin in [self.stranger, agents.bob.address] {
      for wrong in 0..<3 {
        number += 1
        network.inject(
          dialogs[1].goodbye(number, wrong: wrong), from: origin, to: agents.alice.address, isSignalling: true)
      }
    }
    agents.run(milliseconds: 500)
    let refusals = messages.withLock { $0 }.filter { $0.starts(with: Array("SIP/2.0 481".utf8)) }
    #expect(refusals.count == 6 && agents.alice.isEstablished && agents.bob.isEstablished, "\(refusals.count)")
    // Who reads the signalling has all three: it is no matter of the address.
    network.inject(dialogs[1].goodbye(200), from: self.stranger, to: agents.alice.address, isSignalling: true)
    agents.run(milliseconds: 200)
    #expect(agents.alice.ended.count == 2 && agents.alice.ended[1].reason == "hangup")
  }

  @Test(
    "a thousand sources in a second, of a stranger's or under the peer's own keys, are counted, and the call is heard as before",
    arguments: Cell.all, [true, false])
  func sourceFlood(cell: Cell, isPeer: Bool) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 96)
    let network = agents.simulation.network
    let addresses = StrangerTests.MediaAddresses(network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let (target, peer) = (try addresses.of("10.0.0.1"), try addresses.of("10.0.0.2"))
    var generator = TestGenerator(seed: 97)
    for index in 0..<1000 {
      let bytes = PlainPackets.pcmu(
        sequence: UInt16.random(in: 0...UInt16.max, using: &generator),
        timestamp: UInt32.random(in: 0...UInt32.max, using: &generator), ssrc: 0xBAD0_0000 + UInt32(index))
      if !isPeer {
        network.inject(bytes, from: self.stranger, to: target)
      } else if cell.encryption == nil {
        network.inject(bytes, from: peer, to: target)
      } else {
        #expect(agents.bob.sendUnderOwnKeys(bytes))
      }
      agents.run(milliseconds: 1)
    }
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = agents.alice.ended[0].media
    if isPeer {
      #expect(media.suspect == 1000 && media.drops == DropCounters(), "\(media.suspect) \(media.drops)")
    } else {
      #expect(media.drops.total == 1000 && media.drops.source + media.drops.auth == 1000, "\(media.drops)")
    }
    #expect(
      media.lost == 0 && media.accountedDatagrams == media.receivedDatagrams && agents.bob.ended[0].media.lost == 0)
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) ?? 0 > 8000)
  }

  /// A first ClientHello, as far as an agent looks before it has a handshake with its sender.
  private static let clientHello: [UInt8] =
    [22, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 54, 1, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 42, 0xFE, 0xFD]
    + [UInt8](repeating: 7, count: 40)

  private static let binding: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42] + [UInt8](repeating: 3, count: 12)

  @Test(
    "floods of DTLS and STUN at one call, while it shakes hands and later, are bounded by source and counted; the other call is unharmed",
    arguments: RxMode.allCases, ["srtp-mand", "dtls_srtp"])
  func floods(mode: RxMode, encryption: String) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: 98)
    let network = agents.simulation.network
    let first = try agents.establishedCall()
    let (alice, bob) = (ProbeCapture.makeName(), ProbeCapture.makeName())
    agents.aliceSettings.player = AudioDevice(driver: "probe", device: alice)
    agents.bobSettings.player = AudioDevice(driver: "probe", device: bob)
    network.setMedia(LinkConditions(delay: 20_000...20_000))
    let second = try agents.call()
    let target = try #require(agents.alice.act { $0.calls[second]?.media?.localAddress })
    var injected = 0
    for round in 0..<400 {
      for index in 0..<5 {
        let source = SocketAddress(ipv4: 0x0A00_0100 + UInt32((round * 5 + index) % 500), port: 9)
        network.inject(index < 3 ? Self.clientHello : Self.binding, from: source, to: target)
        injected += 1
      }
      agents.run(milliseconds: 5)
    }
    agents.run(milliseconds: 500)
    // Four handshakes are begun with strangers in half a second, whatever the number of sources, and each gets one short answer.
    let answers = (0..<500).reduce(0) { sum, index in
      sum + network.counters(to: SocketAddress(ipv4: 0x0A00_0100 + UInt32(index), port: 9), signalling: false).sent
    }
    #expect(answers <= 24, "\(answers) answers to strangers")
    for call in [first, second] { agents.alice.act { $0.hangUp(call) } }
    #expect(agents.runUntilIdle())
    let reports = agents.alice.ended
    #expect(reports.count == 2 && agents.bob.ended.count == 2)
    for report in reports + agents.bob.ended {
      #expect(report.failure == nil && report.media.lost == 0 && report.firstMedia != nil, "\(report.reason)")
      let isFlooded = reports.contains {
        $0.id == report.id && report.id == second && $0.isOutgoing == report.isOutgoing
      }
      if !isFlooded {
        #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
      } else {
        let media = report.media
        // Those that a handshake was begun with are counted there.
        #expect((injected - 64...injected).contains(media.drops.total), "\(injected): \(media.drops)")
        #expect(media.accountedDatagrams == media.receivedDatagrams)
      }
    }
    for (device, least) in [(agents.aliceHears, 2.0), (agents.bobHears, 2.0), (alice, 1.5), (bob, 1.5)] {
      #expect(Double(try ExpectedAudio.matchedSamples(ProbeCapture.samples(device)) ?? 0) >= 8000 * least)
    }
  }
}

extension SimulatedAgent {
  /// Sends bytes as RTP of the agent's only call, protected as its own packets are.
  fileprivate func sendUnderOwnKeys(_ bytes: [UInt8]) -> Bool {
    self.act { core in core.calls.values.first?.media?.section.transport }?.send(bytes) ?? false
  }
}
