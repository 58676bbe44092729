import ICEAgent
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import ice

/// What descriptions say of servers' candidates.
@Suite("the negotiation of ICE with servers") struct GatheringTests {
  private let sockets = MediaSockets(
    rtp: SocketAddress(ipv4: 0x0A00_0001, port: 4000), rtcp: SocketAddress(ipv4: 0x0A00_0001, port: 4001))
  private let servers = [
    ICEServer(.turn, address: SocketAddress(ipv4: 0xC633_6401, port: 3478), username: "u", password: STUNSecret("p"))
  ]
  private let peer = RemoteConnectivity(
    attributes: [
      DescriptionAttribute("ice-ufrag", "peer"), DescriptionAttribute("ice-pwd", "0123456789012345678901"),
      DescriptionAttribute("candidate", "1 1 UDP 2130706431 10.0.0.2 5000 typ host"),
    ], address: SocketAddress(ipv4: 0x0A00_0002, port: 5000), sharesSocket: true)

  private func negotiation(isRelayOnly: Bool = false) throws -> ICENegotiation {
    let session = try ICENegotiation(isRelayOnly: isRelayOnly)
    session.use(self.sockets, isForNextAssociation: false)
    return session
  }

  private func candidate(_ kind: ICECandidate.Kind, _ host: UInt32, component: Int) -> ICECandidate {
    ICECandidate(
      foundation: kind.rawValue, component: component, priority: 1,
      address: SocketAddress(ipv4: host, port: UInt16(6_000 + component)), kind: kind)
  }

  private func report(_ kinds: [(ICECandidate.Kind, UInt32)]) -> GatheringReport {
    GatheringReport(
      sockets: self.sockets,
      candidates: kinds.flatMap { kind, host in (1...2).map { self.candidate(kind, host, component: $0) } },
      problems: [])
  }

  private func lines(_ attributes: [DescriptionAttribute]) -> [String] {
    attributes.filter { $0.name == "candidate" }.compactMap(\.value)
  }

  @Test("an offer waits for its servers once, and says what they gave") func offer() throws {
    let session = try self.negotiation()
    #expect(try session.gather(from: self.servers, for: .offer))
    guard case .begin = session.nextCommand() else { throw ModuleError(.peer, "checks do not begin") }
    session.gathered(self.report([(.host, 0x0A00_0001), (.serverReflexive, 0xCB00_7101), (.relayed, 0xC633_6401)]))
    #expect(try !session.gather(from: self.servers, for: .offer))
    #expect(self.lines(try session.offerAttributes()).count == 6)
    // Who has no ICE is told what a server sees.
    #expect(session.described?.rtp == SocketAddress(ipv4: 0xCB00_7101, port: 6_001))
    #expect(session.described?.rtcp.port == 6_002)
  }

  @Test("what a server sees of a further socket is named, and is not what a peer without ICE is told")
  func further() throws {
    let session = try self.negotiation()
    _ = try session.gather(from: self.servers, for: .offer)
    var seen = [self.candidate(.serverReflexive, 0xCB00_7109, component: 1)]
    seen += [self.candidate(.serverReflexive, 0xCB00_7101, component: 1)]
    seen[0].related = SocketAddress(ipv4: 0x0A00_0101, port: 4000)
    seen[1].related = self.sockets.rtp
    session.gathered(GatheringReport(sockets: self.sockets, candidates: seen, problems: []))
    #expect(self.lines(try session.offerAttributes()).count == 2)
    #expect(session.described?.rtp == seen[1].address)
  }

  @Test("without servers nothing is waited for, and nothing else is described") func without() throws {
    let session = try self.negotiation()
    #expect(try !session.gather(from: [], for: .offer) && session.described == nil)
    #expect(self.lines(try session.offerAttributes()).count == 2)
  }

  @Test("an answer to a peer without ICE waits for no server") func answerWithout() throws {
    let session = try self.negotiation()
    let bare = RemoteConnectivity(attributes: [], address: self.peer.address, sharesSocket: true)
    #expect(try !session.gather(from: self.servers, for: .answer(bare)))
    #expect(try session.gather(from: self.servers, for: .answer(self.peer)))
  }

  @Test("what is late counts for the sockets that it is of, and the description that was not waited for names hosts")
  func late() throws {
    let session = try self.negotiation()
    _ = try session.gather(from: self.servers, for: .offer)
    #expect(self.lines(try session.offerAttributes()).count == 2)
    let others = MediaSockets(rtp: SocketAddress(ipv4: 1, port: 2), rtcp: SocketAddress(ipv4: 1, port: 3))
    session.gathered(GatheringReport(sockets: others, candidates: [], problems: []))
    #expect(self.lines(try session.offerAttributes()).count == 2)
  }

  @Test("ice_policy relay names relays only, none while they are not known, and refuses what can't be")
  func relayOnly() throws {
    let session = try self.negotiation(isRelayOnly: true)
    _ = try session.gather(from: self.servers, for: .offer)
    #expect(self.lines(try session.offerAttributes()).isEmpty)
    #expect(session.described?.rtp == SocketAddress(ipv4: 0, port: 9))
    session.gathered(self.report([(.relayed, 0xC633_6401)]))
    #expect(self.lines(try session.offerAttributes()).allSatisfy { $0.contains("typ relay") })
    #expect(session.described?.rtp == SocketAddress(ipv4: 0xC633_6401, port: 6_001))
    let bare = RemoteConnectivity(attributes: [], address: self.peer.address, sharesSocket: true)
    #expect(throws: ModuleError.self) { try session.receive(answer: bare) }

    let alone = try self.negotiation(isRelayOnly: true)
    #expect(throws: ModuleError.self) { try alone.offerAttributes() }
    let refused = try self.negotiation(isRelayOnly: true)
    _ = try refused.gather(from: self.servers, for: .offer)
    refused.gathered(self.report([]))
    #expect(throws: ModuleError.self) { try refused.offerAttributes() }
  }
}
