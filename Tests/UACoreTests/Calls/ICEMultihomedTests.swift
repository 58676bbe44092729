import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Whole calls with `medianat=ice` of hosts that have several addresses.
@Suite("calls with ICE from several addresses") struct ICEMultihomedTests {
  /// What leaves each host besides checks; and what the network loses, by either end's address.
  private final class Ways: Sendable {
    private let counts = Locked<[String: Int]>([:])

    init(_ network: SimulatedNetwork, isCut: @escaping @Sendable (SocketAddress) -> Bool) {
      network.tap { [counts] datagram in
        if datagram.isSignalling { return true }
        if datagram.bytes.first ?? 0 > 3 { counts.withLock { $0[datagram.source.host, default: 0] += 1 } }
        return !isCut(datagram.source) && !isCut(datagram.destination)
      }
    }

    /// Datagrams by host, in a second from now.
    func inASecond(_ agents: SimulatedAgents) -> [String: Int] {
      self.counts.withLock { $0 = [:] }
      agents.run(milliseconds: 1000)
      return self.counts.withLock { $0 }
    }
  }

  /// No sockets at one address.
  private struct Refusing: DatagramTransport {
    let inner: any DatagramTransport
    let host: String

    func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
      guard address.host != self.host else { throw ModuleError(.unavailable, "there is no socket") }
      return try self.inner.open(address, typeOfService: typeOfService)
    }
  }

  /// - Parameters:
  ///   - alice: the addresses of Alice's host besides 10.0.0.1.
  ///   - bob: those of Bob's besides 10.0.0.2.
  ///   - refused: where there are no sockets.
  private static func makeAgents(
    _ mode: RxMode = .main, encryption: String? = nil, alice: [String] = ["10.0.1.1"], bob: [String] = [], seed: UInt64,
    refused: String? = nil, configure: (inout Configuration) -> Void = { _ in }
  ) throws -> SimulatedAgents {
    let agents = try SimulatedAgents(
      mode: mode, encryption: encryption, seed: seed, configure: configure,
      adjust: { settings in
        let own = settings.listen.host
        let hosts = [own] + (own == "10.0.0.1" ? alice : bob)
        let addresses = Set(
          hosts.enumerated().compactMap { place, host in
            SocketAddress(host: host, port: 0).map { InterfaceAddress(interface: "sim\(place)", address: $0) }
          })
        settings.hostAddresses = { addresses }
        if let refused, let inner = settings.datagrams {
          settings.datagrams = Refusing(inner: inner, host: refused)
        }
      })
    (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice")
    return agents
  }

  /// The hosts of a side's candidates, in their order, each once.
  private static func hosts(_ agent: SimulatedAgent) -> [String] {
    ICECallTests.lines(agent, "candidate").reduce(into: []) { hosts, line in
      let host = line.split(separator: " ").map(String.init)[4]
      if !hosts.contains(host) { hosts.append(host) }
    }
  }

  /// Both hang up, nothing was lost, and no socket is left.
  private static func end(_ agents: SimulatedAgents, _ call: CallID) throws {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] {
      let report = try #require(agent.ended.last)
      #expect(report.reason == "hangup" && report.failure == nil)
      #expect(report.media.lost == 0 && report.media.receivedPackets > 40)
      #expect(report.media.accountedDatagrams == report.media.receivedDatagrams)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("where the first address leads nowhere media goes by the other", arguments: ICECallTests.ICECell.all)
  func firstIsUnreachable(cell: ICECallTests.ICECell) throws {
    let agents = try Self.makeAgents(cell.mode, encryption: cell.encryption, seed: 51)
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (cell.usesRTCPMux, cell.usesRTCPMux)
    let ways = Ways(agents.simulation.network) { $0.host == "10.0.0.1" }
    let call = try agents.establishedCall()
    #expect(Self.hosts(agents.alice) == ["10.0.0.1", "10.0.1.1"] && Self.hosts(agents.bob) == ["10.0.0.2"])
    agents.run(milliseconds: 500)
    let left = ways.inASecond(agents)
    #expect(left["10.0.1.1"] ?? 0 >= 48 && left["10.0.0.2"] ?? 0 >= 48 && left["10.0.0.1"] == nil, "\(left)")
    try Self.end(agents, call)
  }

  @Test("where IPv4 leads nowhere media goes by IPv6, whoever calls", arguments: RxMode.allCases, [true, false])
  func otherFamily(mode: RxMode, isCaller: Bool) throws {
    let agents = try Self.makeAgents(
      mode, encryption: "dtls_srtp", alice: ["2001:db8::1"], bob: ["2001:db8::2"], seed: 52)
    let ways = Ways(agents.simulation.network) { $0.family == .ipv4 }
    if isCaller { try agents.call() } else { try agents.callBack() }
    agents.run(milliseconds: 3000)
    let left = ways.inASecond(agents)
    #expect(left.keys.sorted() == ["2001:db8::1", "2001:db8::2"] && left.values.allSatisfy { $0 >= 48 }, "\(left)")
    try Self.end(agents, try #require(agents.alice.report?.id))
  }

  @Test("where both lead to the peer the first one is taken, as by a host that has no other")
  func firstIsPreferred() throws {
    let agents = try Self.makeAgents(alice: ["2001:db8::1", "10.0.1.1"], bob: ["2001:db8::2"], seed: 53)
    let ways = Ways(agents.simulation.network) { _ in false }
    let call = try agents.establishedCall()
    #expect(Self.hosts(agents.alice) == ["10.0.0.1", "2001:db8::1", "10.0.1.1"])
    agents.run(milliseconds: 500)
    #expect(ways.inASecond(agents).keys.sorted() == ["10.0.0.1", "10.0.0.2"])
    try Self.end(agents, call)
  }

  @Test("a host with one address describes itself as if nobody had looked for others")
  func oneAddress() throws {
    var offers: [[Substring]] = []
    for looks in [true, false] {
      let agents =
        try looks
        ? Self.makeAgents(alice: ["127.0.0.1", "fe80::1"], seed: 54)
        : ICECallTests.makeAgents(encryption: nil, seed: 54)
      let call = try agents.establishedCall()
      let invite = agents.alice.trace.withLock { trace in trace.first { $0.contains("INVITE sip:bob@") } }
      let offer = try #require(invite)
      // Credentials are drawn by the system; and the one account multiplexes RTCP, the other does not.
      let others = ["a=ice-", "a=rtcp-mux", "Content-Length:"]
      let lines = offer.split(whereSeparator: \.isNewline)
      offers.append(lines.filter { line in !others.contains { line.hasPrefix($0) } })
      agents.alice.act { $0.hangUp(call) }
      #expect(agents.runUntilIdle())
    }
    #expect(offers[0] == offers[1] && offers[0].count { $0.hasPrefix("a=candidate:") } == 2, "\(offers)")
  }

  @Test("an address that has no sockets is left out, with a sentence, and the call goes on", arguments: RxMode.allCases)
  func refused(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode, alice: ["10.0.1.1", "10.0.2.1"], seed: 55, refused: "10.0.1.1")
    let ways = Ways(agents.simulation.network) { $0.host == "10.0.0.1" }
    let call = try agents.establishedCall()
    #expect(Self.hosts(agents.alice) == ["10.0.0.1", "10.0.2.1"])
    #expect(
      agents.alice.warnings
        == ["10.0.1.1 is not named to the peer: there is no socket; the call goes on without it"])
    agents.run(milliseconds: 500)
    #expect(ways.inASecond(agents)["10.0.2.1"] ?? 0 >= 48)
    try Self.end(agents, call)
  }

  @Test("each address gives its ports back: where there is but one pair of them, call after call has it")
  func portsAreGivenBack() throws {
    let agents = try Self.makeAgents(alice: ["10.0.1.1", "2001:db8::1"], seed: 56) { $0.rtpPorts = 20_000...20_001 }
    for _ in 0..<3 {
      let call = try agents.establishedCall()
      #expect(Self.hosts(agents.alice).count == 3 && agents.simulation.network.mediaSocketCount == 8)
      agents.run(milliseconds: 1000)
      try Self.end(agents, call)
    }
    #expect(agents.alice.warnings.isEmpty)
  }

  @Test(
    "a peer without ICE, whoever calls, is talked to from the first address, and the other's sockets are closed",
    arguments: RxMode.allCases, [true, false])
  func peerWithoutICE(mode: RxMode, isCaller: Bool) throws {
    let agents = try Self.makeAgents(mode, seed: 57)
    agents.bobSettings.mediaNAT = nil
    let ways = Ways(agents.simulation.network) { _ in false }
    if isCaller { try agents.call() } else { try agents.callBack() }
    agents.run(milliseconds: 1000)
    #expect(agents.simulation.network.mediaSocketCount == 4)
    #expect(ways.inASecond(agents).keys.sorted() == ["10.0.0.1", "10.0.0.2"])
    try Self.end(agents, try #require(agents.alice.report?.id))
  }

  @Test("a call without SIP names an address of IPv6 where IPv4 leads nowhere")
  func withoutIPv4() throws {
    let agents = try SimulatedAgents(
      adjust: { settings in
        guard settings.listen.host == "10.0.0.1" else { return }
        // There is no such interface, so it has no address of IPv4.
        settings.configuration.netInterface = "none"
        settings.listen = SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 5, port: 5060)
      })
    var offers: [Result<[UInt8], ModuleError>] = []
    try agents.alice.act { core in
      core.makeOffer(try core.connect("someone", settings: agents.aliceSettings)) { offers.append($0) }
    }
    let offer = String(decoding: try #require(offers.first).get(), as: UTF8.self)
    #expect(offer.contains("\r\nc=IN IP6 2001:db8::5\r\n"), "\(offer)")
  }

  @Test("an offer without ICE costs no socket at a further address, and one with it does", arguments: [true, false])
  func socketsForAnOffer(hasICE: Bool) throws {
    let agents = try Self.makeAgents(seed: 60)
    agents.bobSettings.mediaNAT = hasICE ? "ice" : nil
    agents.aliceSettings.answersAtOnce = false
    try agents.callBack()
    agents.run(milliseconds: 1000)
    #expect(agents.alice.report?.state == .ringing && agents.simulation.network.mediaSocketCount == (hasICE ? 6 : 4))
    let call = try #require(agents.alice.report?.id)
    agents.alice.act { $0.answer(call) }
    agents.run(milliseconds: 2000)
    try Self.end(agents, call)
  }

  @Test("a restart, and new DTLS keys with new sockets, go by the other address too", arguments: RxMode.allCases)
  func restarts(mode: RxMode) throws {
    let agents = try Self.makeAgents(mode, encryption: "dtls_srtp", seed: 58)
    let ways = Ways(agents.simulation.network) { $0.host == "10.0.0.1" }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    #expect(agents.bob.act { $0.restartConnectivity(agents.bobCall) })
    agents.run(milliseconds: 2000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 10_000)
    #expect(Self.hosts(agents.alice) == ["10.0.0.1", "10.0.1.1"])
    #expect(agents.simulation.network.mediaSocketCount == 6, "the old ones are closed")
    let left = ways.inASecond(agents)
    #expect(left["10.0.1.1"] ?? 0 >= 48 && left["10.0.0.2"] ?? 0 >= 48 && left["10.0.0.1"] == nil, "\(left)")
    agents.alice.act { $0.refreshStatistics(call) }
    agents.run(milliseconds: 100)
    #expect(agents.alice.report?.media.rekeys == 1)
    try Self.end(agents, call)
  }

  @Test(
    "a call whose address was chosen by checks goes on when it goes away",
    arguments: ICECallTests.ICECell.all.filter(\.usesRTCPMux))
  func chosenAddressGoes(cell: ICECallTests.ICECell) throws {
    let agents = try Self.makeAgents(cell.mode, encryption: cell.encryption, seed: 59)
    let gone = Locked("10.0.0.1")
    let ways = Ways(agents.simulation.network) { address in gone.withLock { $0 == address.host } }
    try agents.establishedCall()
    agents.run(milliseconds: 1000)
    gone.withLock { $0 = "10.0.1.1" }
    let (old, stays) = (SocketAddress(ipv4: 0x0A00_0101, port: 0), SocketAddress(ipv4: 0x0A00_0001, port: 0))
    agents.alice.act {
      $0.networkChanged(
        NetworkChange(gone: [old], new: []), addresses: [InterfaceAddress(interface: "sim0", address: stays)])
    }
    agents.run(milliseconds: 3000)
    let left = ways.inASecond(agents)
    #expect(left["10.0.0.1"] ?? 0 >= 48 && left["10.0.0.2"] ?? 0 >= 48 && left["10.0.1.1"] == nil, "\(left)")
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] { #expect(agent.ended.first?.failure == nil) }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  /// Alice's offers, as Bob got them.
  private static func offers(_ agents: SimulatedAgents) -> [String] {
    agents.bob.trace.withLock { trace in trace.filter { $0.contains("INVITE sip:bob@10.0.0.2") } }
  }

  @Test(
    "a call whose media leaves from another address keeps its way when the described one goes, and says so once",
    arguments: ICECallTests.ICECell.all.filter(\.usesRTCPMux))
  func describedAddressGoes(cell: ICECallTests.ICECell) throws {
    let agents = try Self.makeAgents(cell.mode, encryption: cell.encryption, seed: 61)
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (true, true)
    let cut = Locked<Set<String>>(["10.0.0.1"])
    let ways = Ways(agents.simulation.network) { address in cut.withLock { $0.contains(address.host) } }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 1000)
    let (sockets, credentials) = (agents.simulation.network.mediaSocketCount, ICECallTests.credentials(agents))
    func change(gone: UInt32, to hosts: [UInt32]) {
      let addresses = hosts.map { SocketAddress(ipv4: $0, port: 0) }
      let all = Set(addresses.map { InterfaceAddress(interface: "sim\($0.host)", address: $0) })
      agents.alice.act {
        $0.networkChanged(NetworkChange(gone: [SocketAddress(ipv4: gone, port: 0)], new: addresses), addresses: all)
      }
      agents.run(milliseconds: 3000)
    }
    agents.simulation.network.move(host: "10.0.0.1", to: "10.0.0.9")
    change(gone: 0x0A00_0001, to: [0x0A00_0009, 0x0A00_0101])
    let left = ways.inASecond(agents)
    #expect(left.keys.sorted() == ["10.0.0.2", "10.0.1.1"] && left.values.allSatisfy { $0 >= 48 }, "\(left)")
    #expect(agents.simulation.network.mediaSocketCount == sockets && ICECallTests.credentials(agents) == credentials)
    let last = Self.offers(agents).last
    #expect(last?.contains("Contact: <sip:alice@10.0.0.9:5060") == true && last?.contains("c=IN IP4 10.0.1.1") == true)
    // Another change is none of its matter.
    change(gone: 0x0A00_0001, to: [0x0A00_0009, 0x0A00_0101, 0x0A00_0201])
    #expect(Self.offers(agents).count == 2)
    agents.alice.act { $0.refreshStatistics(call) }
    agents.run(milliseconds: 100)
    #expect(agents.alice.report?.media.lost == 0 && agents.alice.report?.media.rekeys == 0)
    // New keys have sockets where there is an address.
    if cell.encryption == "dtls_srtp" {
      #expect(agents.alice.act { $0.rekey(call) })
      agents.run(milliseconds: 10_000)
      #expect(agents.alice.warnings.isEmpty && Self.hosts(agents.alice).first == "10.0.1.1", "\(agents.alice.warnings)")
    }
    // And when the one that was chosen goes too, it gets another.
    cut.withLock { $0 = ["10.0.0.1", "10.0.1.1"] }
    change(gone: 0x0A00_0101, to: [0x0A00_0009])
    let moved = ways.inASecond(agents)
    #expect(moved["10.0.0.9"] ?? 0 >= 48 && moved["10.0.0.2"] ?? 0 >= 48 && moved["10.0.1.1"] == nil, "\(moved)")
    agents.bob.act { $0.hangUp(agents.bobCall) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] { #expect(agent.ended.first?.failure == nil) }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }
}
