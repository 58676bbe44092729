import ICEAgent
import NetBase
import Runtime
import TestSupport
import Testing

@testable import udp

/// The table as a test asks it.
private final class Table {
  private var routing = DatagramRouting()

  var isAwaited: Bool { self.routing.isAwaited }
  var news: Int { self.routing.news }

  func member(_ claims: DatagramClaim...) -> Int {
    let member = self.routing.add()
    for claim in claims { _ = self.routing.claim(claim, for: member) }
    return member
  }

  func claim(_ claim: DatagramClaim, for member: Int) -> Bool { self.routing.claim(claim, for: member) }

  func remove(_ member: Int, at milliseconds: Int64 = 0) { self.routing.remove(member, now: Self.time(milliseconds)) }

  func expectAnswer(_ number: UInt64, for member: Int) {
    self.routing.expectAnswer(STUNTransactionID(high: 1, low: number), for: member)
  }

  func route(_ bytes: [UInt8], _ source: SocketAddress, at milliseconds: Int64 = 0) -> Int? {
    bytes.withRawSpan { self.routing.route($0, from: source, now: Self.time(milliseconds)) }
  }

  func rtp(_ ssrc: UInt32, _ source: SocketAddress, at milliseconds: Int64 = 0) -> Int? {
    self.route(PlainPackets.pcmu(sequence: 7, ssrc: ssrc), source, at: milliseconds)
  }

  func rtcp(_ ssrc: UInt8, _ source: SocketAddress) -> Int? { self.route([0x80, 201, 0, 1, 0, 0, 0, ssrc], source) }

  func dtls(_ source: SocketAddress) -> Int? { self.route([22, 254, 253, 0, 0], source) }

  func check(_ fragment: String, _ source: SocketAddress) -> Int? {
    var writer = STUNWriter(.request, id: STUNTransactionID(high: 9, low: 9))
    writer.add(STUNType.username, "\(fragment):theirs")
    return self.route(writer.bytes, source)
  }

  func answer(_ number: UInt64, _ source: SocketAddress, _ messageClass: STUNClass = .success) -> Int? {
    self.route(STUNWriter(messageClass, id: STUNTransactionID(high: 1, low: number)).bytes, source)
  }

  private static func time(_ milliseconds: Int64) -> Instant {
    Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
  }
}

/// Whose a datagram is, without a socket.
@Suite("the routing of a shared port") struct DatagramRoutingTests {
  private let peer = SocketAddress(ipv4: 0xC000_0201, port: 4000)
  /// Another port of the same host.
  private let port = SocketAddress(ipv4: 0xC000_0201, port: 5000)
  private let far = SocketAddress(ipv4: 0xC633_6401, port: 4000)

  // MARK: Sources

  @Test("everything that comes from a source goes to the one that has claimed it, and nothing else does")
  func source() {
    let table = Table()
    let (left, right) = (table.member(.source(self.peer)), table.member(.source(self.far)))
    for (source, member) in [(self.peer, left), (self.far, right)] {
      #expect(table.rtp(1, source) == member && table.rtcp(1, source) == member)
      #expect(table.dtls(source) == member && table.route([200], source) == member)
    }
    let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 4000)
    #expect(table.rtp(2, stranger) == nil && table.rtcp(2, stranger) == nil && table.dtls(stranger) == nil)
    #expect(table.route([200], stranger) == nil && table.route([], stranger) == nil)
  }

  @Test("of one source, packets are told apart by the SSRCs that were described, RTP and RTCP alike")
  func described() {
    let table = Table()
    let left = table.member(.ssrc(1), .source(self.peer))
    let right = table.member(.source(self.peer), .ssrc(2), .ssrc(3))
    for _ in 0..<2 {
      #expect(table.rtp(1, self.peer) == left && table.rtcp(1, self.peer) == left)
      #expect(table.rtp(2, self.peer) == right && table.rtcp(3, self.peer) == right)
    }
    #expect(table.rtp(4, self.peer) == nil, "it may be of either")
  }

  @Test("an SSRC that was not described is learned by the one that knows none")
  func learned() {
    let table = Table()
    let left = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == left)
    let right = table.member(.source(self.peer))
    #expect(table.rtp(2, self.peer) == right)
    #expect(table.rtp(1, self.peer) == left && table.rtcp(2, self.peer) == right)
    #expect(table.rtp(3, self.peer) == nil)
  }

  @Test("two of one source that know no SSRC can't be told apart")
  func ambiguous() {
    let table = Table()
    let left = table.member(.source(self.peer))
    let right = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == nil)
    #expect(table.claim(.ssrc(2), for: right))
    #expect(table.rtp(1, self.peer) == left && table.rtp(2, self.peer) == right)
  }

  @Test(
    "a description that names an SSRC is believed before a packet that was seen, and not before another description")
  func describedBeatsSeen() {
    let table = Table()
    let left = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == left)
    let right = table.member(.ssrc(1), .source(self.peer))
    #expect(table.rtp(1, self.peer) == right && table.rtp(2, self.peer) == left)
    let liar = table.member(.ssrc(1), .source(self.far))
    #expect(table.rtp(1, self.peer) == right && table.rtp(1, self.far) == liar)
  }

  @Test("by an SSRC alone a description takes nothing from a call whose peer is elsewhere")
  func describedElsewhere() {
    let table = Table()
    let left = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == left)
    let liar = table.member(.ssrc(1), .source(self.far))
    let right = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == left && table.rtp(2, self.peer) == right && table.rtp(1, self.far) == liar)
  }

  @Test("an SSRC that is the same in many calls takes nothing to the one that was seen to get it first")
  func sameInEveryCall() {
    let table = Table()
    let left = table.member(.source(self.peer))
    #expect(table.rtcp(1, self.peer) == left && table.rtcp(9, self.peer) == left)
    let right = table.member(.ssrc(2), .source(self.far))
    #expect(table.rtcp(1, self.far) == right && table.rtcp(1, self.peer) == left)
    _ = table.member(.ssrc(3), .source(self.far))
    #expect(table.rtcp(9, self.far) == nil, "it may be of either, and is not the first one's")
  }

  @Test("a peer that has gone to another address leaves the one before to others, and is still known by its SSRC")
  func moved() {
    let table = Table()
    let left = table.member(.handshake(self.peer))
    #expect(table.rtp(1, self.peer) == left)
    #expect(table.claim(.formerSource(self.peer), for: left) && table.dtls(self.peer) == left, "it has no other")
    #expect(table.claim(.source(self.far), for: left) && table.claim(.formerSource(self.peer), for: left))
    #expect(table.dtls(self.peer) == nil && table.dtls(self.far) == left && table.rtp(1, self.peer) == left)
    let right = table.member()
    #expect(table.claim(.handshake(self.peer), for: right))
    #expect(table.dtls(self.peer) == right && table.rtp(2, self.peer) == right && table.rtp(1, self.far) == left)
  }

  @Test("a peer that was not heard where it is no more is not looked for there")
  func movedUnheard() {
    let table = Table()
    let member = table.member(.source(self.peer), .source(self.far))
    #expect(table.claim(.formerSource(self.peer), for: member))
    #expect(table.rtp(1, self.port) == nil && table.rtp(1, self.far.with(port: 1)) == member)
  }

  @Test("with whatever two claim, a packet goes to none that has nothing to do with it, and to the one that has all")
  func everyPair() {
    let sources = [self.peer, self.port]
    func claims(_ bits: Int) -> [DatagramClaim] {
      let all: [DatagramClaim] = [.source(sources[0]), .source(sources[1]), .ssrc(1), .ssrc(2)]
      return all.indices.filter { bits >> $0 & 1 == 1 }.map { all[$0] }
    }
    for bits in 0..<256 {
      for source in sources {
        for ssrc in UInt32(1)...3 {
          let table = Table()
          let members = [claims(bits & 15), claims(bits >> 4)]
          for number in 0..<2 {
            let member = table.member()
            for claim in members[number] { #expect(table.claim(claim, for: member)) }
          }
          let result = table.rtp(ssrc, source)
          let entitled = (0..<2).filter { members[$0].contains(.source(source)) && members[$0].contains(.ssrc(ssrc)) }
          if entitled.count == 1 { #expect(result == entitled[0], "\(bits), \(source), \(ssrc)") }
          guard let result else { continue }
          let own = members[result]
          let isSilent = own.contains { if case .source = $0 { true } else { false } }
          let isClaimed = members.contains { $0.contains(.source(source)) }
          #expect(
            own.contains(.source(source)) || own.contains(.ssrc(ssrc)) || isSilent && !isClaimed,
            "\(bits), \(source), \(ssrc)")
          #expect(table.rtp(ssrc, source) == result, "the same again")
        }
      }
    }
  }

  // MARK: What nobody knows

  @Test(
    "a peer's new SSRC is taken at once; while somebody waits for his peer's description after half a second, or three where he has named one",
    arguments: [(false, Int64(500)), (true, 3_000)])
  func newSSRC(isNamed: Bool, patience: Int64) {
    let table = Table()
    let member = isNamed ? table.member(.ssrc(1), .source(self.peer)) : table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == member)
    #expect(!table.isAwaited && table.rtp(2, self.peer) == member)
    let waiting = table.member()
    #expect(table.isAwaited)
    #expect(table.rtp(3, self.peer, at: 100) == nil && table.rtp(3, self.peer, at: patience + 99) == nil)
    #expect(table.rtp(1, self.peer, at: 599) == member && table.rtp(2, self.peer, at: 599) == member)
    #expect(table.rtp(3, self.peer, at: patience + 100) == member)
    table.remove(waiting)
    #expect(!table.isAwaited && table.rtp(4, self.peer, at: patience + 200) == member)
  }

  @Test("however many peers have a new SSRC at once, each is heard in his turn")
  func manyDoubts() {
    let table = Table()
    let peers = (UInt16(0)..<300).map { self.peer.with(port: 10_000 + $0) }
    let members = peers.map { table.member(.source($0)) }
    for place in peers.indices { #expect(table.rtp(UInt32(place), peers[place]) == members[place]) }
    _ = table.member()
    var heard: Set<Int> = []
    for time in stride(from: Int64(0), through: 1_000, by: 100) {
      for place in peers.indices {
        let member = table.rtp(UInt32(1_000 + place), peers[place], at: time)
        if member == members[place] { heard.insert(place) }
      }
      #expect(heard.count == (time < 500 ? 0 : time < 1_000 ? 256 : 300), "\(time) ms")
    }
  }

  @Test("who has fallen silent keeps no other from being heard")
  func silentDoubts() {
    let table = Table()
    let member = table.member(.source(self.peer))
    #expect(table.rtp(1, self.peer) == member)
    _ = table.member()
    for ssrc in UInt32(1_000)..<1_256 { #expect(table.rtp(ssrc, self.peer) == nil) }
    #expect(table.rtp(2, self.peer, at: 499) == nil && table.rtp(2, self.peer, at: 999) == nil, "there was no place")
    #expect(table.rtp(2, self.peer, at: 1_499) == member)
  }

  @Test("nobody waits for what comes another way")
  func elsewhere() {
    let table = Table()
    let member = table.member(.ssrc(1), .source(self.peer))
    let relayed = table.member()
    #expect(table.isAwaited && table.rtp(2, self.peer) == nil)
    for _ in 0..<2 { #expect(table.claim(.elsewhere, for: relayed) && !table.isAwaited) }
    #expect(table.rtp(2, self.peer) == member)
    #expect(table.claim(.source(self.far), for: relayed) && !table.isAwaited && table.rtp(3, self.far) == relayed)
    let next = table.member()
    table.remove(relayed)
    #expect(table.isAwaited)
    table.remove(next)
    #expect(!table.isAwaited)
  }

  @Test("what outruns its description is not given to another call of the same peer's")
  func early() {
    let table = Table()
    let standing = table.member(.ssrc(1), .source(self.peer))
    let next = table.member()
    #expect(table.rtp(2, self.peer) == nil && table.dtls(self.peer) == nil && table.rtp(1, self.peer) == standing)
    #expect(table.claim(.ssrc(2), for: next) && table.claim(.source(self.peer), for: next))
    #expect(table.rtp(2, self.peer) == next && table.rtp(1, self.peer) == standing)
  }

  @Test("what a peer goes on to send when its call is over is nobody's for half a minute")
  func departed() {
    let table = Table()
    let gone = table.member(.ssrc(1), .source(self.peer))
    let member = table.member(.ssrc(2), .source(self.peer))
    #expect(table.rtp(1, self.peer) == gone)
    table.remove(gone, at: 1_000)
    #expect(table.rtp(1, self.peer, at: 1_001) == nil && table.rtp(2, self.peer, at: 1_001) == member)
    #expect(table.rtp(1, self.peer, at: 30_999) == nil)
    #expect(table.rtp(1, self.peer, at: 31_000) == member)
  }

  @Test("the last packets of a call are not the first of the next one from the same port")
  func tail() {
    for (time, isTaken) in [(Int64(1_499), false), (1_500, true)] {
      let table = Table()
      let gone = table.member(.source(self.peer))
      #expect(table.rtp(1, self.peer) == gone)
      table.remove(gone, at: 1_000)
      let next = table.member(.source(self.peer))
      #expect(table.rtp(1, self.peer, at: time) == (isTaken ? next : nil))
      #expect(table.rtp(2, self.peer, at: time) == next)
    }
  }

  @Test("a claim that says nothing new is no news: nothing has to be sorted again for it")
  func news() {
    let table = Table()
    let claims: [DatagramClaim] = [
      .elsewhere, .source(self.peer), .handshake(self.peer), .handshake(self.far), .fragment("one"), .ssrc(1),
    ]
    let member = table.member()
    for claim in claims {
      let before = table.news
      #expect(table.claim(claim, for: member) && table.news > before, "\(claim)")
      let after = table.news
      #expect(table.claim(claim, for: member) && table.news == after, "\(claim)")
    }
    #expect(table.rtp(2, self.peer) == member)
    let before = table.news
    #expect(table.claim(.ssrc(2), for: member) && table.news > before, "it was only seen")
  }

  // MARK: Behind a NAT

  @Test("what comes from a source that nobody has claimed goes to the one that knows its SSRC")
  func byOwner() {
    let table = Table()
    let left = table.member(.ssrc(1), .source(self.peer))
    #expect(table.rtp(1, self.far) == left && table.rtcp(1, self.far) == left)
    let right = table.member(.ssrc(1), .source(self.port))
    #expect(table.rtp(1, self.far) == nil, "two know it")
    #expect(table.rtp(1, self.peer) == left && table.rtp(1, self.port) == right)
  }

  @Test("two calls of a peer that has one port too, behind a NAT, are told apart though one alone has heard it")
  func sharedBehindNAT() {
    let table = Table()
    let left = table.member(.ssrc(1), .source(self.peer))
    let right = table.member(.ssrc(2), .source(self.peer))
    #expect(table.rtp(1, self.far) == left)
    #expect(table.claim(.source(self.far), for: left))
    #expect(table.rtp(2, self.far) == right && table.rtp(1, self.far) == left)
  }

  @Test("a peer that was described at another port of its host, and was not heard, is there from then on")
  func silent() {
    let table = Table()
    let member = table.member(.source(self.peer))
    #expect(table.rtp(1, self.far) == nil)
    #expect(table.rtp(1, self.port) == member)
    #expect(table.rtp(1, self.port) == member && table.dtls(self.port) == member && table.rtp(1, self.peer) == member)
    let third = self.peer.with(port: 6000)
    #expect(table.rtp(2, third) == nil && table.dtls(third) == nil, "it was heard")
  }

  @Test("a handshake from another port than was described goes on there, until that port is described by another")
  func silentHandshake() {
    let table = Table()
    let member = table.member(.handshake(self.peer))
    for _ in 0..<3 { #expect(table.dtls(self.port) == member) }
    let other = table.member()
    #expect(table.dtls(self.port) == member)
    #expect(table.claim(.handshake(self.port), for: other) && table.dtls(self.port) == other)
  }

  @Test("of two peers at one host that were not heard, or one that was described with another SSRC, nobody knows")
  func silentOnes() {
    let table = Table()
    let left = table.member(.source(self.peer))
    let right = table.member(.source(self.peer.with(port: 4002)))
    #expect(table.rtp(1, self.port) == nil && table.dtls(self.port) == nil)
    #expect(table.rtp(2, self.peer) == left)
    #expect(table.rtp(1, self.port) == right)
    let described = table.member(.ssrc(8), .source(self.far))
    #expect(table.rtp(9, self.far.with(port: 1)) == nil && table.rtp(8, self.far.with(port: 1)) == described)
  }

  // MARK: Handshakes

  @Test("one source has one DTLS association, until whoever has it is gone")
  func handshake() {
    let table = Table()
    let plain = table.member(.ssrc(1), .source(self.peer))
    let secured = table.member(.ssrc(2), .handshake(self.peer))
    #expect(table.dtls(self.peer) == secured && table.rtp(1, self.peer) == plain && table.rtp(2, self.peer) == secured)
    #expect(table.claim(.handshake(self.peer), for: secured), "its own")
    #expect(!table.claim(.handshake(self.peer), for: plain))
    #expect(table.dtls(self.peer) == secured)
    table.remove(secured)
    #expect(table.claim(.handshake(self.peer), for: plain) && table.dtls(self.peer) == plain)
  }

  @Test("DTLS from another of its peer's addresses goes to the one that has an association")
  func otherAddress() {
    let table = Table()
    let plain = table.member(.source(self.far))
    let secured = table.member(.handshake(self.peer), .source(self.far))
    #expect(table.dtls(self.far) == secured && table.dtls(self.peer) == secured)
    table.remove(secured)
    #expect(table.dtls(self.far) == plain)
  }

  // MARK: STUN

  @Test("a check goes to the one that it names, wherever it comes from, and to none by its source")
  func checks() {
    let table = Table()
    let left = table.member(.fragment("left"), .source(self.peer))
    let right = table.member(.fragment("right"), .fragment("next"))
    #expect(table.check("left", self.far) == left && table.check("right", self.peer) == right)
    #expect(table.check("next", self.peer) == right && table.check("lef", self.peer) == nil)
    #expect(!table.claim(.fragment("left"), for: right) && table.claim(.fragment("left"), for: left))
    #expect(table.route(STUNWriter(.request, id: STUNTransactionID(high: 1, low: 1)).bytes, self.peer) == nil)
    table.remove(left)
    #expect(table.check("left", self.peer) == nil && table.check("right", self.peer) == right)
  }

  @Test("an answer goes to the one that has asked, as often as it comes, and an indication by its source")
  func answers() {
    let table = Table()
    let left = table.member(.source(self.peer))
    let right = table.member(.source(self.peer))
    table.expectAnswer(1, for: left)
    table.expectAnswer(2, for: right)
    table.expectAnswer(2, for: right)
    for _ in 0..<2 { #expect(table.answer(1, self.far) == left && table.answer(2, self.peer, .failure) == right) }
    #expect(table.answer(3, self.peer) == nil && table.answer(1, self.peer, .indication) == nil)
    table.remove(right)
    #expect(table.answer(2, self.peer) == nil && table.answer(4, self.peer, .indication) == left)
    #expect(table.route([0, 1, 0, 8, 1, 2, 3, 4], self.peer) == nil, "no STUN")
  }

  // MARK: Bounds

  @Test("an address that stands for none is nobody's, and no association is kept from another by it")
  func unspecified() {
    let table = Table()
    let held = SocketAddress(ipv4: 0, port: 9)
    let (left, right) = (table.member(), table.member())
    #expect(table.claim(.handshake(held), for: left) && table.claim(.handshake(held), for: right))
    #expect(table.claim(.source(self.peer.with(port: 0)), for: left))
    #expect(table.isAwaited && table.rtp(1, held) == nil)
  }

  @Test("of a member that claims without end the last claims hold")
  func bounded() {
    let table = Table()
    let member = table.member()
    for number in UInt16(0)..<100 {
      let source = SocketAddress(ipv4: 0x0A00_0001, port: 1000 + number)
      #expect(table.claim(.source(source), for: member) && table.claim(.ssrc(UInt32(number)), for: member))
      #expect(table.claim(.fragment("f\(number)"), for: member))
      table.expectAnswer(UInt64(number), for: member)
    }
    let host = SocketAddress(ipv4: 0x0A00_0001, port: 0)
    #expect(table.dtls(host.with(port: 1099)) == member && table.dtls(host.with(port: 1000)) == nil)
    #expect(table.rtp(99, self.far) == member && table.rtp(1, self.far) == nil)
    #expect(table.check("f99", self.far) == member && table.check("f1", self.far) == nil)
    #expect(table.answer(99, self.far) == member && table.answer(1, self.far) == nil)
    let other = table.member()
    #expect(table.claim(.source(host.with(port: 1000)), for: other) && table.claim(.fragment("f1"), for: other))
  }

  @Test("a member that has gone leaves nothing to the one that gets its number")
  func goneForGood() {
    let table = Table()
    let gone = table.member(.ssrc(1), .handshake(self.peer), .fragment("gone"))
    table.expectAnswer(1, for: gone)
    #expect(table.rtp(1, self.peer) == gone)
    table.remove(gone)
    #expect(!table.isAwaited)
    let next = table.member()
    #expect(next == gone && table.isAwaited)
    #expect(table.rtp(1, self.peer) == nil && table.dtls(self.peer) == nil && table.check("gone", self.peer) == nil)
    #expect(table.answer(1, self.peer) == nil && table.rtp(5, self.port) == nil)
    #expect(table.claim(.source(self.far), for: next) && table.rtp(6, self.far) == next)
  }
}
