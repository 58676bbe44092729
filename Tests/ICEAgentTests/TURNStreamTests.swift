import NetBase
import SIPStack
import TestSupport
import Testing
import ice

@testable import ICEAgent

/// What a server sends over a connection, cut into messages.
@Suite("TURN over a connection: messages (RFC 8489 §6.2.2, RFC 8656 §12.5)")
struct TURNStreamReaderTests {
  /// ChannelData of each of the lengths that padding tells apart, and a request between them.
  private static let messages: [[UInt8]] = [
    channelData(count: 0), channelData(count: 1), binding(), channelData(count: 2), channelData(count: 3),
    channelData(count: 160), channelData(count: 4), binding(),
  ]

  private static func channelData(count: Int) -> [UInt8] {
    [0x40, 1, UInt8(count >> 8), UInt8(count & 255)] + (0..<count).map { UInt8($0 & 255) }
  }

  private static func binding() -> [UInt8] {
    var message = STUNWriter(.indication, id: STUNTransactionID(high: 1, low: 2))
    message.addFingerprint()
    return message.bytes
  }

  private static func padded(_ message: [UInt8]) -> [UInt8] {
    message + [UInt8](repeating: 0xEE, count: (4 - message.count % 4) % 4)
  }

  /// What comes of bytes that arrive in parts.
  private static func read(_ bytes: [UInt8], by size: Int, _ reader: inout TURNStreamReader) -> [[UInt8]] {
    var messages: [[UInt8]] = []
    var start = 0
    while start < bytes.count {
      let part = bytes[start..<min(start + size, bytes.count)]
      let taken = reader.fill { room, offset in
        let count = min(part.count, room.count - offset)
        room.replaceSubrange(offset..<(offset + count), with: part.prefix(count))
        return count
      }
      // It takes nothing more when it is broken.
      guard let taken, taken > 0 else { return messages }
      start += taken
      while reader.withNext({ messages.append($0.bytes.copied()) }) {}
    }
    return messages
  }

  @Test("messages are the same however they arrive", arguments: [1, 2, 3, 5, 64, 10_000])
  func parts(size: Int) {
    var reader = TURNStreamReader()
    let stream = (0..<50).flatMap { _ in Self.messages.flatMap { Self.padded($0) } }
    let expected = (0..<50).flatMap { _ in Self.messages }
    #expect(Self.read(stream, by: size, &reader) == expected)
    let (isBroken, tooLong) = (reader.isBroken, reader.takeTooLong())
    #expect(!isBroken && tooLong == 0)
  }

  @Test(
    "a message that is longer than any of use is passed over and counted, and the next one is whole",
    arguments: [1, 1_000, 65_000])
  func tooLong(size: Int) {
    var reader = TURNStreamReader()
    let (long, whole) = (Self.channelData(count: 0xFFFF), Self.channelData(count: TURNStreamReader.longest - 4))
    let stream = [Self.binding(), long, whole, long, Self.binding()].flatMap { Self.padded($0) }
    #expect(Self.read(stream, by: size, &reader) == [Self.binding(), whole, Self.binding()])
    let (isBroken, tooLong, later) = (reader.isBroken, reader.takeTooLong(), reader.takeTooLong())
    #expect(!isBroken && tooLong == 2 && later == 0)
  }

  @Test(
    "what is no TURN ends the stream, and nothing is read of it any more",
    arguments: [
      Array("HTTP/1.1 200 OK\r\n\r\n".utf8), [0x16, 3, 3, 0, 64, 2, 0, 0], [0x50, 0, 0, 4, 1, 2, 3, 4],
      [0, 1, 0, 2, 0x21, 0x12, 0xA4, 0x42], [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x43], [0x80, 0, 0, 0],
      [0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x43],
    ] as [[UInt8]], [1, 1_000])
  func broken(bytes: [UInt8], size: Int) {
    var reader = TURNStreamReader()
    let stream = Self.binding() + bytes + Self.binding()
    #expect(Self.read(stream, by: size, &reader) == [Self.binding()])
    let (isBroken, tooLong) = (reader.isBroken, reader.takeTooLong())
    #expect(isBroken && tooLong == 0)
  }

  @Test("ChannelData of ours is padded, with zeros, over a connection only", arguments: 0..<9)
  func padding(count: Int) {
    let server = SocketAddress(ipv4: 0xC633_6401, port: 3478)
    let payload = [UInt8](repeating: 7, count: count)
    for link in [nil, RelayLink(allocation: 0)] {
      let framing = TURNFraming(
        server: server, peer: server, channel: 0x4000, over: link, id: STUNTransactionID(high: 1, low: 2))
      var room = [UInt8](repeating: 0xFF, count: 64)
      let length = payload.withRawSpan { bytes in
        room.withPacket(count: 0) { packet in framing.frame(bytes, in: &packet) ? packet.count : 0 }
      }
      let wanted = [0x40, 0, 0, UInt8(count)] + payload
      let padding = link == nil ? 0 : (4 - count % 4) % 4
      #expect(Array(room[..<length]) == wanted + [UInt8](repeating: 0, count: padding))
    }
  }
}

/// Calls by relays that are asked over connections, on the virtual clock.
@Suite("ICE by TURN over connections (RFC 8656 §3.1)")
struct TURNStreamTests {
  private static func scenario(_ transport: ICEServer.Transport, components: Int = 1) -> ICEScenario {
    TURNTests.scenario {
      $0.components = components
      for index in 0..<2 { $0.sides[index].transport = transport }
    }
  }

  @Test(
    "symmetric NATs on both sides are connected by relays, each over its own connection",
    arguments: [ICEServer.Transport.tcp, .tls], [1, 2])
  func symmetric(transport: ICEServer.Transport, components: Int) throws {
    var asked = 0
    let run = TURNTests.run(Self.scenario(transport, components: components)) { run in
      run.onSend = { _, _, destination in if destination == ModelledServer.ipv4 { asked += 1 } }
    }
    for _ in 0..<3 { run.sendData() }
    #expect(run.faults().isEmpty, "\(run.faults())")
    #expect(run.connections.count == 2 * components && run.server.passedOnChannels > 0)
    #expect(run.connections.allSatisfy { $0.sent.count > 10 && $0.sent.allSatisfy { $0 % 4 == 0 } })
    for agent in run.agents.compactMap({ $0 }) {
      #expect(agent.candidates.count { $0.kind == .relayed } == components)
      #expect(!agent.candidates.contains { $0.kind == .serverReflexive }, "of a socket a connection says nothing")
      #expect(agent.session.gatheringProblems.isEmpty)
    }
    #expect(asked == 0, "nothing is asked over UDP")
  }

  @Test("an hour over connections: allocation, permission and channel are renewed in time")
  func anHour() throws {
    let run = TURNTests.run(Self.scenario(.tcp)) { $0.server.nonceLifetime = 100_000 }
    for minute in 1...60 {
      run.run(milliseconds: 60_000)
      #expect(TURNTests.isHeard(run), "minute \(minute)")
    }
    #expect(run.server.staleNonces > 10 && TURNTests.methods(run, STUNType.refresh) >= 12)
    for agent in run.agents.compactMap({ $0 }) { #expect(agent.session.failure == nil) }
  }

  @Test("a connection that ends takes its relay with it: that is the reason, and it is counted")
  func lost() throws {
    let run = TURNTests.run(Self.scenario(.tcp))
    for connection in run.connections { run.disconnect(connection) }
    let agents = run.agents.compactMap { $0 }
    let reason = "ICE: turn:198.51.100.1:3478?transport=tcp has closed the connection"
    #expect(agents.contains { $0.session.failure == reason })
    #expect(agents.map(\.session.relayCounters.lost) == [1, 1])
    #expect(agents.allSatisfy { agent in agent.session.allocations.allSatisfy { $0.state == .gone } })
  }

  @Test("a connection that is refused is one sentence, and the other candidates are there")
  func refused() throws {
    let run = ICERun(Self.scenario(.tls), seed: 5)
    run.refusesConnections = true
    let agent = run.makeAgent(0)
    run.run(milliseconds: 1_000)
    #expect(agent.session.isGatheringEnded && agent.candidates.map(\.kind) == [.host])
    #expect(agent.session.gatheringProblems == ["turns:198.51.100.1:3478 refuses the connection"])
  }

  @Test("over a connection no request is repeated, and one is given up after 39.5 s")
  func silence() throws {
    let run = ICERun(Self.scenario(.tcp), seed: 5)
    run.server.isSilent = true
    let began = run.now
    let agent = run.makeAgent(0)
    run.run(milliseconds: 3_000)
    #expect(try #require(agent.gatheredAt).milliseconds(since: began) == 2_000)
    #expect(agent.session.gatheringProblems == ["turn:198.51.100.1:3478?transport=tcp has not answered within 2.0 s"])
    run.run(milliseconds: 30_000)
    #expect(run.connections.map(\.sent.count) == [1])
    run.run(milliseconds: 10_000)
    #expect(agent.session.gatheringProblems == ["turn:198.51.100.1:3478?transport=tcp does not answer"])
    #expect(run.connections.isEmpty, "it is not needed any more")
  }

  @Test("a session that ends gives its relays back, and its connections up")
  func released() throws {
    let run = TURNTests.run(Self.scenario(.tls, components: 2))
    #expect(run.server.allocations.count == 4 && run.connections.count == 4)
    for index in 0..<2 {
      let session = try #require(run.agents[index]).session
      session.close(now: run.now)
      #expect(session.isReleasing)
      run.drain(index)
    }
    run.run(milliseconds: 200)
    #expect(run.server.allocations.isEmpty && run.connections.isEmpty)
    #expect(run.agents.allSatisfy { $0?.session.isReleasing == false })
  }

  @Test("a session that ends while it connects waits for nobody")
  func endedEarly() throws {
    let run = ICERun(Self.scenario(.tcp), seed: 5)
    let agent = run.makeAgent(0)
    run.run(milliseconds: 1)
    agent.session.close(now: run.now)
    run.drain(0)
    #expect(run.connections.isEmpty && !agent.session.isReleasing)
    run.run(milliseconds: 1_000)
    #expect(run.server.allocations.isEmpty)
  }

  @Test("a relay over UDP goes before one over TCP, and that before one over TLS")
  func preference() throws {
    let run = ICERun(ICEScenario(), seed: 1)
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.servers = [ICEServer.Transport.tls, .udp, .tcp].map {
      ICEServer(
        .turn, over: $0, address: ModelledServer.ipv4, username: ModelledServer.user,
        password: STUNSecret(ModelledServer.password))
    }
    let base = ICEBase(component: 1, address: SocketAddress(ipv4: 0xC000_0201, port: 5_001))
    let session = ICESession(
      configuration, bases: [base], role: .controlling, random: SeededGenerator(seed: 1), now: run.now)
    run.agents[0] = ICERun.Agent(bases: [base], session: session)
    run.drain(0)
    run.run(milliseconds: 1_000)
    let relays = session.localCandidates.filter { $0.kind == .relayed }.sorted { $0.priority > $1.priority }
    #expect(relays.count == 3 && Set(relays.map(\.priority)).count == 3)
    let order = relays.map { relay in session.allocations.first { $0.relayed == relay.address }?.server.transport }
    #expect(order == [ICEServer.Transport.udp, .tcp, .tls])
  }
}
