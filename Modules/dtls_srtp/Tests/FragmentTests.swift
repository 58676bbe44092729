import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let hostA: UInt32 = 0xC000_0201
private let hostB: UInt32 = 0xC000_0202

/// Cuts the messages of a handshake into fragments of some size (RFC 6347 §4.2.3), each in a record of its own.
private struct Fragmenter {
  let size: Int
  /// Numbers the records in the clear anew: there are more of them now.
  private var serial: UInt16 = 0

  init(size: Int) { self.size = size }

  /// - Returns: the datagrams that take the one's place.
  mutating func cut(_ datagram: [UInt8]) -> [[UInt8]] {
    var cut: [[UInt8]] = []
    var rest = datagram[...]
    while rest.count >= 13 {
      let start = rest.startIndex
      let length = Int(rest[start + 11]) << 8 | Int(rest[start + 12])
      let (head, body) = (Array(rest[start..<start + 13]), Array(rest[start + 13..<start + 13 + length]))
      rest = rest[(start + 13 + length)...]
      guard head[3] == 0, head[4] == 0 else {
        // Under keys: as it is.
        cut.append(head + body)
        continue
      }
      let pieces = head[0] == 22 ? self.fragments(of: body) : [body]
      for piece in pieces {
        let numbers = [0, 0, 0, 0, UInt8(self.serial >> 8), UInt8(self.serial & 0xFF)]
        self.serial += 1
        cut.append(Array(head[..<5]) + numbers + [UInt8(piece.count >> 8), UInt8(piece.count & 0xFF)] + piece)
      }
    }
    return cut
  }

  /// Of the one message, or fragment of one, that is in a record.
  private func fragments(of message: [UInt8]) -> [[UInt8]] {
    let (head, body) = (Array(message[..<6]), Array(message[12...]))
    let first = Int(message[6]) << 16 | Int(message[7]) << 8 | Int(message[8])
    guard body.count > self.size else { return [message] }
    return stride(from: 0, to: body.count, by: self.size).map { start in
      let piece = body[start..<min(start + self.size, body.count)]
      return head + Self.three(first + start) + Self.three(piece.count) + piece
    }
  }

  static func three(_ number: Int) -> [UInt8] {
    [UInt8(number >> 16), UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF)]
  }
}

@Suite("Handshakes in fragments, and messages that are too large") struct FragmentTests {
  enum Order: CaseIterable, Sendable { case asSent, reversed, twice }

  @Test(
    "a handshake in fragments of any size, in order, reversed or doubled, secures both ends with the same keys",
    arguments: [70, 100, 200, 600], Order.allCases)
  func fragments(size: Int, order: Order) throws {
    let pair = DTLSPair(try Peer(hostA), try Peer(hostB))
    var fragmenters = [true: Fragmenter(size: size), false: Fragmenter(size: size)]
    var (whole, fragments) = (0, 0)
    pair.fate = { [unowned pair] datagram in
      var pieces = fragmenters[datagram.fromFirst]!.cut(datagram.bytes)
      (whole, fragments) = (whole + 1, fragments + pieces.count)
      // A ClientHello begins with its first fragment: who sends the others is not known yet.
      let isHello = datagram.bytes[0] == 22 && datagram.bytes[13] == 1
      if order == .reversed, !isHello { pieces.reverse() }
      if order == .twice { pieces = pieces.flatMap { [$0, $0] } }
      for (offset, bytes) in pieces.enumerated() {
        pair.flying.append(
          .init(
            bytes: bytes, from: datagram.from, to: datagram.to, component: .rtp, index: datagram.index,
            fromFirst: datagram.fromFirst, arrival: pair.now.advanced(byNanoseconds: 5_000_000 + Int64(offset) * 1000)))
      }
      return []
    }
    pair.startBoth()
    pair.run()
    #expect(fragments > whole + 2)
    #expect(pair.first.keys[.rtp] != nil && pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.first.failures.isEmpty && pair.second.failures.isEmpty)
  }

  /// A stranger's first ClientHello, a whole one, for others to be made of.
  private func hello() throws -> [UInt8] {
    let pair = DTLSPair(try Peer(hostA), try Peer(hostB))
    pair.fate = { _ in [] }
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    return try #require(pair.log.first).bytes
  }

  @Test("a stranger's message of 16 MB, and one of his without end, end his own handshake only, and each is counted")
  func oversize() throws {
    let pair = DTLSPair(try Peer(hostA), try Peer(hostB))
    pair.start(pair.second, remote: pair.remote(pair.first, isActive: false, hasRTCP: false))
    let genuine = try self.hello()
    // A ClientHello that says that it has 16 MB, of which this is the beginning.
    var huge = genuine
    huge.replaceSubrange(14..<17, with: Fragmenter.three(0xFF_FFFF))
    let first = SocketAddress(ipv4: 0xCB00_7101, port: 9)
    for _ in 0..<10 { pair.receive(huge, at: pair.second, from: first) }
    // A handshake that begins well, and then records without end.
    let second = SocketAddress(ipv4: 0xCB00_7102, port: 9)
    pair.receive(genuine, at: pair.second, from: second)
    let record = [UInt8]([22, 0xFE, 0xFD, 0, 1, 0, 0, 0, 0, 0, 7, 4, 0]) + [UInt8](repeating: 9, count: 1024)
    for _ in 0..<200 { pair.receive(record, at: pair.second, from: second) }
    let counters = pair.second.exchange.counters
    #expect(counters.taken + counters.strangers + counters.dropped == 211)
    // 64 KiB are read of it; the rest is a stranger's, whose handshake is no more.
    #expect(counters.taken <= 10 + 1 + 65 && counters.strangers >= 135, "\(counters)")
    #expect(pair.second.failures.isEmpty && pair.log.allSatisfy { $0.bytes.count < genuine.count })
    pair.start(pair.first, remote: pair.remote(pair.second, isActive: true, hasRTCP: false))
    pair.run()
    #expect(pair.first.keys[.rtp] != nil && pair.first.keys[.rtp]?.inbound == pair.second.keys[.rtp]?.outbound)
    #expect(pair.second.by[.rtp]?.source == pair.first.addresses[.rtp])
  }
}
