import ICEAgent
import ModuleKit
import NetBase
import Testing

@testable import ice

/// What descriptions say, and what the transport is told because of it.
@Suite("the negotiation of ICE") struct NegotiationTests {
  private let sockets = MediaSockets(
    rtp: SocketAddress(ipv4: 0x0A00_0001, port: 4000), rtcp: SocketAddress(ipv4: 0x0A00_0001, port: 4001))
  private let session: ICENegotiation

  init() throws {
    self.session = try ICENegotiation()
    self.session.use(self.sockets, isForNextAssociation: false)
  }

  private func remote(
    _ fragment: String = "peer", password: String = "0123456789012345678901", candidates: [String] = Self.candidates,
    extra: [DescriptionAttribute] = [], at address: SocketAddress? = SocketAddress(ipv4: 0x0A00_0002, port: 5000),
    sharesSocket: Bool = true
  ) -> RemoteConnectivity {
    RemoteConnectivity(
      attributes: [DescriptionAttribute("ice-ufrag", fragment), DescriptionAttribute("ice-pwd", password)] + extra
        + candidates.map { DescriptionAttribute("candidate", $0) }, address: address, sharesSocket: sharesSocket)
  }

  private static let candidates = [
    "1 1 UDP 2130706431 10.0.0.2 5000 typ host", "1 2 UDP 2130706430 10.0.0.2 5001 typ host",
  ]

  /// What was told, in words.
  private func commands() -> [String] {
    var words: [String] = []
    while let command = self.session.nextCommand() {
      switch consume command {
      case .begin: words.append("begin")
      case .remote(let remote): words.append("remote \(remote.credentials.fragment) \(remote.components)")
      case .expect: words.append("expect")
      case .restart(_, let remote): words.append("restart \(remote.credentials.fragment)")
      case .withdraw: words.append("withdraw")
      }
    }
    return words
  }

  private func value(_ name: String, _ attributes: [DescriptionAttribute]) -> String? {
    attributes.first { $0.name == name }?.value
  }

  @Test("what servers say after the description is told once, of its generation, and only what it did not have")
  func late() throws {
    let server = ICEServer(.stun, address: SocketAddress(ipv4: 0xC633_6401, port: 3478))
    #expect(try self.session.gather(from: [server], for: .offer))
    let offer = try self.session.offerAttributes()
    #expect(!offer.contains { $0.name == "end-of-candidates" })
    #expect(self.session.takeLateCandidates() == nil)
    let hosts = try Self.parsed(offer)
    let seen = try ICECandidate(parsing: "9 1 UDP 1694498815 198.51.100.9 6000 typ srflx raddr 10.0.0.1 rport 4000")
    self.session.gathered(GatheringReport(sockets: self.sockets, candidates: hosts + [seen], problems: []))
    let late = try #require(self.session.takeLateCandidates())
    #expect(late.candidates == [seen.attributeValue])
    #expect(late.fragment == self.value("ice-ufrag", offer) && late.password == self.value("ice-pwd", offer))
    #expect(self.session.takeLateCandidates() == nil)
    // An offer that is refused takes nothing of it away.
    self.session.rollback()
    let complete = try self.session.offerAttributes()
    #expect(complete.contains { $0.name == "end-of-candidates" } && self.session.takeLateCandidates() == nil)
  }

  private static func parsed(_ attributes: [DescriptionAttribute]) throws -> [ICECandidate] {
    try attributes.filter { $0.name == "candidate" }.map { try ICECandidate(parsing: $0.value ?? "") }
  }

  @Test("TCP, names and what can't be read are counted; a name of .local is asked for once, and used for one address")
  func unused() throws {
    func candidate(_ host: String, _ transport: String = "UDP", kind: String = "host") -> String {
      "1 1 \(transport) 2130706431 \(host) 5000 typ \(kind)"
    }
    let address = SocketAddress(ipv4: 0x0A00_0002, port: 9)
    let lines = [
      candidate("10.0.0.2", "TCP"), candidate("evil.example.com"), candidate("a.b.local"), candidate(".local"),
      candidate("10.0.0.2", kind: "moon"), "nonsense", candidate("4f1b.local"), candidate("4f1c.local"),
    ]
    _ = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote(candidates: lines, at: nil))
    let named = self.session.takeNamedCandidates()
    #expect(named.map(\.name) == ["4f1b.local", "4f1c.local"] && self.session.takeNamedCandidates().isEmpty)
    var expected = UnusedCandidates()
    (expected.tcp, expected.named, expected.unreadable) = (1, 3, 2)
    #expect(self.session.unusedCandidates == expected)
    _ = self.commands()
    self.session.resolved(named[0], to: [address])
    #expect(self.commands() == ["remote peer 1"])
    self.session.resolved(named[1], to: [address, SocketAddress(ipv4: 1, port: 9)])
    expected.named += 1
    #expect(self.commands().isEmpty && self.session.unusedCandidates == expected)
    // The same again, as a later description repeats it, is not asked for again; and not more than sixteen are.
    #expect(
      self.session.add(candidates: [candidate("4f1b.local")] + (0..<20).map { candidate("n\($0).local") }, of: "peer"))
    #expect(self.session.takeNamedCandidates().count == 14)
  }

  @Test("an offer names both sockets, and says the same again") func offer() throws {
    let first = try self.session.offerAttributes()
    #expect(first.filter { $0.name == "candidate" }.count == 2)
    #expect(try self.session.offerAttributes() == first && self.commands() == ["begin"])
    #expect(self.value("candidate", first)?.hasSuffix(" 1 UDP 2130706431 10.0.0.1 4000 typ host") == true)
    try self.session.receive(answer: self.remote())
    #expect(self.commands() == ["remote peer 1"])
  }

  private let further = [
    MediaSockets(
      rtp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 4000),
      rtcp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 4001)),
    MediaSockets(rtp: SocketAddress(ipv4: 0x0A00_0101, port: 4000), rtcp: SocketAddress(ipv4: 0x0A00_0101, port: 4001)),
  ]

  @Test("further sockets are named in their order, each less preferred than those before it (RFC 8421 §4)")
  func furtherSockets() throws {
    self.session.use(self.sockets, further: self.further, isForNextAssociation: false)
    let candidates = try Self.parsed(self.session.offerAttributes())
    #expect(candidates.map(\.address) == ([self.sockets] + self.further).flatMap { [$0.rtp, $0.rtcp] })
    #expect(candidates.map(\.component) == [1, 2, 1, 2, 1, 2] && Set(candidates.map(\.foundation)).count == 3)
    #expect(candidates.first?.priority == 2_130_706_431, "that of a host's only address")
    for component in 1...2 {
      let priorities = candidates.filter { $0.component == component }.map(\.priority)
      #expect(priorities == priorities.sorted(by: >) && Set(priorities).count == 3)
    }
  }

  @Test("a peer without ICE takes the further sockets away, and does not bring them back with it")
  func furtherSocketsWithdrawn() throws {
    self.session.use(self.sockets, further: self.further, isForNextAssociation: false)
    #expect(self.session.furtherAddresses == .all)
    let bare = RemoteConnectivity(attributes: [], address: nil, sharesSocket: true)
    #expect(try self.session.answer(to: bare).isEmpty)
    self.session.settle()
    #expect(self.commands() == ["withdraw"] && self.session.furtherAddresses == nil)
    let answer = try self.session.answer(to: self.remote(sharesSocket: false))
    #expect(try Self.parsed(answer).map(\.address) == [self.sockets.rtp, self.sockets.rtcp])
    #expect(self.commands() == ["begin", "remote peer 2"])
  }

  @Test("who is lite, or relayed, has one address of each family", arguments: [(true, false), (false, true)])
  func oneOfEachFamily(isLite: Bool, isRelayOnly: Bool) throws {
    let session = try ICENegotiation(isRelayOnly: isRelayOnly, isLite: isLite)
    #expect(session.furtherAddresses == .otherFamily)
  }

  @Test("a restart holds when it is answered, and leaves no trace when it is refused") func restart() throws {
    #expect(!self.session.requestRestart())
    let first = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote())
    _ = self.commands()
    #expect(self.session.requestRestart())
    #expect(try self.session.offerAttributes().first != first.first && self.commands() == ["expect"])
    self.session.rollback()
    #expect(try self.session.offerAttributes() == first && self.commands().isEmpty)
    #expect(self.session.requestRestart())
    let second = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote("again"))
    #expect(self.commands() == ["expect", "restart again"])
    #expect(try self.session.offerAttributes() == second)
  }

  @Test("a restart that the peer answers with its old credentials is none") func unansweredRestart() throws {
    let first = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote())
    _ = self.commands()
    #expect(self.session.requestRestart())
    #expect(try self.session.offerAttributes().first != first.first)
    try self.session.receive(answer: self.remote())
    #expect(self.commands() == ["expect", "remote peer 1"])
    #expect(try self.session.offerAttributes() == first && self.commands().isEmpty)
  }

  @Test("an answer follows the peer's restart, and nothing else changes it") func answers() throws {
    let first = try self.session.answer(to: self.remote(sharesSocket: false))
    self.session.settle()
    #expect(self.commands() == ["begin", "remote peer 2"] && first.filter { $0.name == "candidate" }.count == 2)
    #expect(try self.session.answer(to: self.remote(sharesSocket: false)) == first)
    self.session.settle()
    #expect(self.commands() == ["remote peer 2"])
    let second = try self.session.answer(to: self.remote("anew"))
    #expect(second.first != first.first && self.commands() == ["restart anew"])
  }

  @Test("later candidates are told where they are of what is in force, what can't be used among them is not")
  func laterCandidates() throws {
    let later = [
      "1 1 UDP 1 10.0.0.3 5000 typ host", "1 1 TCP 1 10.0.0.3 9 typ host tcptype active",
      "1 1 UDP 1 a.local 9 typ host", "",
    ]
    #expect(!self.session.add(candidates: later, of: nil), "there is no peer yet")
    _ = try self.session.answer(to: self.remote(candidates: []))
    #expect(self.commands() == ["begin", "remote peer 1"])
    #expect(!self.session.add(candidates: later, of: "other") && self.commands().isEmpty)
    #expect(self.session.add(candidates: later, of: "peer"))
    guard case .remote(let remote) = self.session.nextCommand() else { throw ModuleError(.peer, "nothing is told") }
    #expect(remote.credentials.fragment == "peer" && remote.candidates.map(\.address.host) == ["10.0.0.3"])
    self.session.settle()
    _ = try self.session.answer(to: self.remote("anew"))
    _ = self.commands()
    #expect(!self.session.add(candidates: later, of: "peer"), "it has begun anew")
    #expect(self.session.add(candidates: later, of: nil) && self.commands() == ["remote anew 1"])
  }

  @Test("an answer that could not be made leaves everything as it was") func failedAnswer() throws {
    let first = try self.session.answer(to: self.remote())
    self.session.settle()
    _ = self.commands()
    _ = try self.session.answer(to: self.remote("anew"))
    self.session.rollback()
    #expect(self.commands().isEmpty)
    #expect(try self.session.answer(to: self.remote()) == first && self.commands() == ["remote peer 1"])
  }

  @Test("sockets for the next association have other credentials; a refused offer brings the old ones back")
  func nextAssociation() throws {
    let first = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote())
    _ = self.commands()
    let others = MediaSockets(rtp: self.sockets.rtp.with(port: 4002), rtcp: self.sockets.rtp.with(port: 4003))
    self.session.use(others, isForNextAssociation: true)
    let second = try self.session.offerAttributes()
    #expect(second.first != first.first && self.commands() == ["begin"])
    #expect(self.value("candidate", second)?.contains(" 4002 ") == true)
    self.session.rollback()
    #expect(try self.session.offerAttributes() == first && self.commands().isEmpty)
  }

  @Test("a peer that has no part in it, now or from now on") func absent() throws {
    _ = try self.session.offerAttributes()
    try self.session.receive(answer: RemoteConnectivity(attributes: [], address: nil, sharesSocket: true))
    #expect(self.commands() == ["begin", "withdraw"])
    #expect(try self.session.offerAttributes().isEmpty)
    #expect(!self.session.requestRestart())
    // And it comes back with an offer of its own.
    #expect(try !self.session.answer(to: self.remote()).isEmpty && self.commands() == ["begin", "remote peer 1"])
  }

  @Test(
    "credentials that RFC 8839 does not allow are none",
    arguments: [("abc", "0123456789012345678901"), ("peer", "short"), ("pe r", "0123456789012345678901")])
  func badCredentials(_ fragment: String, _ password: String) throws {
    #expect(try self.session.answer(to: self.remote(fragment, password: password)).isEmpty)
    #expect(self.commands().isEmpty)
  }

  @Test("an address that someone put there in passing is a mismatch; a placeholder is none") func mismatch() throws {
    let elsewhere = SocketAddress(ipv4: 0xCB00_7101, port: 5000)
    let answer = try self.session.answer(to: self.remote(at: elsewhere))
    #expect(answer == [DescriptionAttribute("ice-mismatch")] && self.commands().isEmpty)
    for address in [SocketAddress(ipv4: 0, port: 9), SocketAddress(ipv4: 0xCB00_7101, port: 9)] {
      let other = try ICENegotiation()
      other.use(self.sockets, isForNextAssociation: false)
      #expect(try other.answer(to: self.remote(at: address)).count > 1)
    }
    let hidden = try ICENegotiation()
    hidden.use(self.sockets, isForNextAssociation: false)
    let names = ["1 1 UDP 2130706431 0f2c.local 5000 typ host"]
    #expect(try hidden.answer(to: self.remote(candidates: names, at: elsewhere)).count > 1)
  }

  @Test("the controlling side names the pair in use") func remoteCandidates() throws {
    _ = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote(sharesSocket: false))
    let report = self.report(self.sockets, isControlling: true)
    self.session.connected(report)
    let named = try self.value("remote-candidates", self.session.offerAttributes())
    #expect(named == "1 10.0.0.2 5000 2 10.0.0.2 5001")
    self.session.connected(self.report(self.sockets, isControlling: false))
    #expect(try self.value("remote-candidates", self.session.offerAttributes()) == nil)
  }

  /// Checks have chosen `sockets`.
  private func report(_ sockets: MediaSockets, isControlling: Bool = true) -> ConnectivityReport {
    ConnectivityReport(
      isControlling: isControlling, rtp: SocketAddress(ipv4: 0x0A00_0002, port: 5000),
      rtcp: SocketAddress(ipv4: 0x0A00_0002, port: 5001), local: sockets.rtp, localRTCP: sockets.rtcp)
  }

  @Test("what checks have chosen is described from then on; a restart describes the first again (RFC 8839 §4.4.1.2.2)")
  func chosen() throws {
    self.session.use(self.sockets, further: self.further, isForNextAssociation: false)
    _ = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote())
    #expect(self.session.described == nil && self.session.localAddresses.isEmpty)
    self.session.connected(self.report(self.sockets))
    #expect(self.session.described == nil && self.session.localAddresses == [self.sockets.rtp, self.sockets.rtcp])
    self.session.connected(self.report(self.further[0]))
    #expect(self.session.described == self.further[0])
    #expect(self.session.localAddresses == [self.further[0].rtp, self.further[0].rtcp])
    #expect(self.session.requestRestart())
    _ = try self.session.offerAttributes()
    #expect(self.session.described == nil)
    self.session.rollback()
    #expect(self.session.described == self.further[0])
    // What a server sees of it is told in its place.
    let seen = [("198.51.100.9", "10.0.0.1"), ("2001:db8::9", "2001:db8::1")]
    let found = try seen.map { seen, own in
      try ICECandidate(parsing: "9 1 UDP 1694498815 \(seen) 6000 typ srflx raddr \(own) rport 4000")
    }
    self.session.gathered(GatheringReport(sockets: self.sockets, candidates: found, problems: []))
    #expect(self.session.described?.rtp == found[1].address)
  }

  @Test("what is told late is of its own sockets only, and holds when the offer of others is refused")
  func lateReport() throws {
    self.session.use(self.sockets, further: self.further, isForNextAssociation: false)
    _ = try self.session.offerAttributes()
    try self.session.receive(answer: self.remote())
    let next = MediaSockets(rtp: self.sockets.rtp.with(port: 4002), rtcp: self.sockets.rtp.with(port: 4003))
    self.session.use(next, isForNextAssociation: true)
    self.session.connected(self.report(self.further[1]))
    #expect(self.session.described == nil && self.session.localAddresses.isEmpty)
    self.session.rollback()
    #expect(self.session.described == self.further[1])
    self.session.connected(self.report(next))
    #expect(self.session.described == self.further[1])
  }

  @Test("a peer without candidates for RTCP has one component") func components() throws {
    _ = try self.session.answer(to: self.remote(candidates: [Self.candidates[0]], sharesSocket: false))
    #expect(self.commands() == ["begin", "remote peer 1"])
  }

  @Test("the password is never printed") func secrets() throws {
    let attributes = try self.session.offerAttributes()
    let password = try #require(self.value("ice-pwd", attributes))
    let credentials = try #require(ICECredentials(fragment: "peer", password: password))
    #expect(!"\(credentials)".contains(password) && password.utf8.count >= 22)
  }
}
