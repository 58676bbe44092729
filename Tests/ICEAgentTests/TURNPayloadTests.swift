import NetBase
import Testing
import ice

@testable import ICEAgent

@Suite("what crosses a relay")
struct TURNPayloadTests {
  static let server = SocketAddress(ipv4: 0xC633_6401, port: 3478)
  static let peers = [
    SocketAddress(ipv4: 0xC000_0201, port: 32_853),
    SocketAddress(ipv6: 0x2001_0DB8_1234_5678, 0x11_2233_4455, port: 32_853),
  ]
  static let id = STUNTransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)

  static func frame(_ framing: TURNFraming, _ payload: [UInt8], room size: Int = 2048) -> [UInt8]? {
    var room = [UInt8](repeating: 0xEE, count: size)
    let count = payload.withRawSpan { bytes in
      room.withPacket(count: 0) { packet in framing.frame(bytes, in: &packet) ? packet.count : 0 }
    }
    return count == 0 ? nil : Array(room[..<count])
  }

  @Test("a channel costs four bytes (RFC 8656 §12.4)")
  func channel() throws {
    let framing = TURNFraming(server: Self.server, peer: Self.peers[0], channel: 0x4001, id: Self.id)
    #expect(Self.frame(framing, [128, 1, 2]) == [0x40, 1, 0, 3, 128, 1, 2])
    #expect(Self.frame(framing, [128, 1, 2], room: 6) == nil)
    guard case .onChannel(0x4001, 4..<7) = [0x40, 1, 0, 3, 128, 1, 2, 0].withRawSpan({ RelayedPayload($0) }) else {
      Issue.record("padding behind it is left out")
      return
    }
  }

  @Test("a Send indication is a STUN message that says for whom", arguments: peers, [0, 1, 3, 160, 1_200])
  func indication(peer: SocketAddress, count: Int) throws {
    let payload = (0..<count).map { UInt8(truncatingIfNeeded: $0 | 128) }
    let framing = TURNFraming(server: Self.server, peer: peer, channel: nil, id: Self.id)
    let bytes = try #require(Self.frame(framing, payload))
    let message = try #require(bytes.withRawSpan { STUNMessage($0) })
    #expect(message.messageClass == .indication && message.method == STUNType.send && message.id == Self.id)
    #expect(message.address(STUNType.xorPeerAddress) == peer)
    #expect(message.value(STUNType.dataValue).map(Array.init) == payload)
    #expect(Self.frame(framing, payload, room: bytes.count - 1) == nil)
    #expect(Self.frame(framing, payload, room: bytes.count) == bytes)
  }

  static func dataIndication(_ peer: SocketAddress) -> [UInt8] {
    var message = STUNWriter(.indication, method: STUNType.data, id: Self.id)
    message.add(STUNType.xorPeerAddress, peer)
    message.add(STUNType.dataValue, [128, 0, 1, 2, 3])
    return message.bytes
  }

  @Test("a Data indication says from whom, and where the data is", arguments: peers)
  func data(peer: SocketAddress) throws {
    let bytes = Self.dataIndication(peer)
    guard case .from(peer, let range) = bytes.withRawSpan({ RelayedPayload($0) }) else {
      Issue.record("not read")
      return
    }
    #expect(Array(bytes[range]) == [128, 0, 1, 2, 3])
  }

  @Test("every prefix and every turned bit of what a relay sends is read within its bounds, or not at all")
  func hostile() {
    for bytes in Self.peers.map({ Self.dataIndication($0) }) + [[0x40, 0, 0, 3, 128, 1, 2]] {
      for length in 0..<bytes.count { Self.read(Array(bytes[..<length])) }
      for bit in 0..<(bytes.count * 8) {
        var turned = bytes
        turned[bit / 8] ^= 1 << UInt8(bit % 8)
        Self.read(turned)
      }
    }
  }

  static func read(_ bytes: [UInt8]) {
    switch bytes.withRawSpan({ RelayedPayload($0) }) {
    case .onChannel(_, let range), .from(_, let range): #expect(range.upperBound <= bytes.count)
    case nil: break
    }
  }
}
