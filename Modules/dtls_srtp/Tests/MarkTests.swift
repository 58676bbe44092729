import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let hostA: UInt32 = 0xC000_0201
private let hostB: UInt32 = 0xC000_0202

/// Two ends, each with some associations on one 5-tuple; a datagram goes to the one that claims it.
private final class Associations {
  private(set) var pairs: [DTLSPair] = []
  let certificates: (Certificate, Certificate)

  init() throws { self.certificates = (try Certificate(), try Certificate()) }

  /// Runs one more handshake, in which each datagram is followed by whatever `also` makes of it and those before; what
  /// arrives is offered to all associations there are, at the end that it is for.
  func secure(
    _ mark: AssociationMark, also: @escaping (_ earlier: [DTLSPair.Flying]) -> [DTLSPair.Flying] = { _ in [] }
  ) throws {
    let earlier = self.pairs.flatMap(\.log)
    let pair = DTLSPair(
      try Peer(hostA, certificate: self.certificates.0, mark: mark),
      try Peer(hostB, certificate: self.certificates.1, mark: mark))
    let others = self.pairs
    self.pairs.append(pair)
    pair.fate = { [unowned pair] datagram in
      for other in also(earlier) {
        let end = other.fromFirst ? pair.second : pair.first
        if !other.bytes.withRawSpan({ end.exchange.claims($0) }) { continue }
        pair.flying.append(
          .init(
            bytes: other.bytes, from: other.from, to: other.to, component: .rtp, index: 1000,
            fromFirst: other.fromFirst, arrival: datagram.arrival.advanced(byMilliseconds: 1)))
      }
      return [5]
    }
    if let last = others.last { pair.now = last.now }
    pair.startBoth()
    pair.run(milliseconds: 5000)
  }
}

@Suite("Marks: several associations on one 5-tuple") struct MarkTests {
  private static let marks = ["00000001", "9f3c0a7e", "ffffffff"].compactMap { AssociationMark($0) }

  @Test("a mark is eight hexadecimal digits, and nothing else is one")
  func text() throws {
    for text in ["00000000", "0000000a", "9f3c0a7e", "ffffffff"] {
      #expect(AssociationMark(text)?.description == text)
    }
    for text in ["", "0", "+0000001", "0000000g", "000000000", "-0000001"] {
      #expect(AssociationMark(text) == nil, "\(text)")
    }
    let random = try (0..<50).map { _ in try AssociationMark.makeRandom() }
    #expect(Set(random).count == 50 && !random.contains(.none))
  }

  @Test("every record of a handshake and its good-bye carries the mark, and differs in nothing else", arguments: marks)
  func everyRecord(mark: AssociationMark) throws {
    let pair = DTLSPair(try Peer(hostA, mark: mark), try Peer(hostB, mark: mark))
    pair.startBoth(hasRTCP: true)
    pair.run()
    pair.close(pair.first)
    pair.run(milliseconds: 100)
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.first.keys[.rtcp]?.inbound == pair.second.keys[.rtcp]?.outbound)
    #expect(pair.second.count(.closed(.rtp)) == 1)
    for datagram in pair.log {
      #expect(datagram.bytes.withRawSpan { AssociationMark(of: $0) } == mark)
      let plain = datagram.bytes.withRawSpan { AssociationMark.unmarking($0) }
      #expect(plain.withRawSpan { AssociationMark(of: $0) } == AssociationMark.none)
      #expect(mark.marking(plain) == datagram.bytes && plain.count == datagram.bytes.count)
    }
    for peer in [pair.first, pair.second] {
      #expect(peer.exchange.counters.dropped == 0 && peer.failures.isEmpty)
    }
  }

  @Test("a datagram whose records differ in their marks, or are cut short, has none")
  func mixed() throws {
    let record = [UInt8]([22, 0xFE, 0xFD, 0, 0]) + [0, 0, 0, 7, 0, 0] + [0, 1, 9]
    var other = record
    other[8] = 8
    #expect((record + record).withRawSpan { AssociationMark(of: $0) } == AssociationMark("00000007"))
    #expect((record + other).withRawSpan { AssociationMark(of: $0) } == nil)
    for length in 0..<record.count {
      #expect(Array(record[..<length]).withRawSpan { AssociationMark(of: $0) } == nil)
      if length > 0 { #expect((record + record[..<length]).withRawSpan { AssociationMark(of: $0) } == nil) }
    }
  }

  @Test("every datagram of the handshakes before, again and again, takes no part in the next one")
  func olderHandshakes() throws {
    let associations = try Associations()
    try associations.secure(.none)
    for mark in Self.marks { try associations.secure(mark) { earlier in earlier } }
    for pair in associations.pairs {
      #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound && pair.first.keys[.rtp] != nil)
      #expect(pair.first.failures.isEmpty && pair.second.failures.isEmpty)
      #expect(pair.first.exchange.counters.retransmissions == 0)
    }
    let keys = Set(associations.pairs.compactMap { $0.first.keys[.rtp]?.inbound })
    #expect(keys.count == associations.pairs.count, "each association has keys of its own")
  }

  @Test("what has no mark, or another, is dropped and counted by an association that has one, in every state")
  func foreign() throws {
    let mark = Self.marks[1]
    let plain = DTLSPair(try Peer(hostA), try Peer(hostB))
    plain.startBoth()
    plain.run()
    let pair = DTLSPair(try Peer(hostA, mark: mark), try Peer(hostB, mark: mark))
    func forge() -> Int {
      for datagram in plain.log {
        let other = Self.marks[0].marking(datagram.bytes)
        for bytes in [datagram.bytes, other] {
          pair.receive(bytes, at: datagram.fromFirst ? pair.second : pair.first, from: datagram.from)
        }
      }
      return 2 * plain.log.count
    }
    var forged = forge()
    pair.startBoth()
    for _ in 0..<8 {
      pair.run(milliseconds: 3)
      forged += forge()
    }
    pair.run()
    forged += forge()
    #expect(pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound && pair.first.keys[.rtp] != nil)
    #expect(pair.first.failures.isEmpty && pair.second.failures.isEmpty)
    let counters = [pair.first, pair.second].map(\.exchange.counters)
    #expect(counters.reduce(0) { $0 + $1.dropped } == forged)
  }
}
