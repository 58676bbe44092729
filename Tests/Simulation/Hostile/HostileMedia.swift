import ICEAgent
import NetBase
import RTPStack
import TestSupport
import ice

/// Datagrams for a media socket that a peer should never send.
///
/// Those "of the peer" would be opened or come from its address; none may change what the call hears: their SSRCs are
/// others, and no two of them are in sequence.
struct HostileMedia {
  private static let sources = (0..<8).map { UInt32(0xBAD0_0000) + $0 }
  private var sequences = [UInt16](repeating: 1, count: Self.sources.count)

  /// A plain RTP packet in some way wrong.
  mutating func rtp(_ mutation: inout Mutation) -> [UInt8] {
    let index = mutation.number(0...Self.sources.count - 1)
    // Never one after the other.
    self.sequences[index] &+= 2
    let type = mutation.pick([0, 0, 8, 101, 13, 77, 127] as [UInt8])
    let header = RTPHeader(
      marker: mutation.chance(0.2), payloadType: type, sequenceNumber: self.sequences[index],
      timestamp: UInt32(truncatingIfNeeded: mutation.generator.next()), ssrc: Self.sources[index])
    var bytes = [UInt8](repeating: 0, count: 12)
    bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
    bytes += mutation.garbage(0...400)
    switch mutation.number(0...5) {
    // CSRCs, an extension or padding that are not there.
    case 0: bytes[0] |= UInt8(mutation.number(1...15))
    case 1:
      bytes[0] |= 0x10
      if bytes.count >= 16, mutation.chance(0.5) { (bytes[14], bytes[15]) = (mutation.byte(), mutation.byte()) }
    case 2: bytes[0] |= 0x20
    case 3: bytes = Array(bytes[..<mutation.number(2...bytes.count)])
    default: break
    }
    return bytes
  }

  /// A plain RTCP packet that says nothing of the call's own streams, or nothing at all.
  func rtcp(_ mutation: inout Mutation) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<mutation.number(1...4) {
      let type = mutation.pick([201, 202, 204, 205, 206, 207, 192, 223] as [UInt8])
      let words = mutation.number(1...12)
      let count = type == 201 ? 0 : UInt8(mutation.number(0...31))
      let length = mutation.chance(0.2) ? mutation.number(0...0xFFFF) : words
      bytes += [0x80 | (mutation.chance(0.1) ? 0x20 : 0) | count, type, UInt8(length >> 8), UInt8(length & 0xFF)]
      bytes += [0xBA, 0xD0, 0, UInt8(mutation.number(0...7))] + mutation.garbage(words * 4 - 4...words * 4 - 4)
    }
    return mutation.chance(0.2) ? Array(bytes[..<mutation.number(2...bytes.count)]) : bytes
  }

  /// A genuine packet, damaged.
  func damaged(_ genuine: [[UInt8]], _ mutation: inout Mutation) -> [UInt8] {
    guard !genuine.isEmpty else { return mutation.garbage(2...60) }
    return mutation.damage(mutation.pick(genuine))
  }

  func stun(_ mutation: inout Mutation) -> [UInt8] {
    let words = mutation.number(0...10)
    var bytes: [UInt8] = [UInt8(mutation.number(0...3)), mutation.byte(), 0, UInt8(words * 4)]
    bytes += [0x21, 0x12, 0xA4, 0x42] + mutation.garbage(12...12) + mutation.garbage(words * 4...words * 4)
    return mutation.chance(0.5) ? mutation.damage(bytes, from: 1) : bytes
  }

  /// What a description says for connectivity checks (RFC 8839 §5.4).
  struct Credentials: Sendable {
    let fragment: String
    let password: String

    /// Those of a message's description; nil where it has none.
    init?(in message: [UInt8]) {
      let lines = String(decoding: message, as: UTF8.self).split(separator: "\r\n")
      func value(_ name: String) -> String? {
        lines.first { $0.hasPrefix("a=\(name):") }.map { String($0.dropFirst(name.utf8.count + 3)) }
      }
      guard let fragment = value("ice-ufrag"), let password = value("ice-pwd") else { return nil }
      (self.fragment, self.password) = (fragment, password)
    }
  }

  /// A message whose integrity is right, and little else: any class and method, attributes twice, of any length, of any
  /// meaning, in any order.
  func stun(under credentials: Credentials, _ mutation: inout Mutation) -> [UInt8] {
    let messageClass = mutation.pick([.request, .request, .request, .indication, .success, .failure] as [STUNClass])
    var message = STUNWriter(
      messageClass, method: mutation.chance(0.8) ? STUNType.binding : UInt16(mutation.number(0...0x7F)),
      id: STUNTransactionID(using: &mutation.generator))
    if mutation.chance(0.9) { message.add(STUNType.username, "\(credentials.fragment):\(mutation.number(0...9))") }
    for _ in 0..<mutation.number(0...6) {
      switch mutation.number(0...8) {
      case 0: message.add(STUNType.priority, UInt32(truncatingIfNeeded: mutation.generator.next()))
      case 1: message.add(STUNType.controlled, mutation.generator.next())
      case 2: message.add(STUNType.controlling, mutation.generator.next())
      case 3: message.add(STUNType.useCandidate, mutation.garbage(0...3))
      case 4: message.addMapped(SocketAddress(ipv4: 0x0A00_0063, port: UInt16(mutation.number(0...0xFFFF))))
      case 5: message.addError(mutation.number(0...9) * 100 + mutation.number(0...99), "no")
      case 6: message.add(STUNType.priority, mutation.garbage(0...9))
      case 7: message.add(mutation.chance(0.5) ? STUNType.controlled : STUNType.controlling, mutation.garbage(0...9))
      default: message.add(UInt16(mutation.number(0...0xFFFF)), mutation.garbage(0...60), padding: mutation.byte())
      }
    }
    message.addIntegrity(key: Array(credentials.password.utf8), crypto: .openSSL)
    if mutation.chance(0.2) { message.add(UInt16(mutation.number(0...0xFFFF)), mutation.garbage(0...20)) }
    if mutation.chance(0.9) { message.addFingerprint() }
    return message.bytes
  }

  /// Records with any content, of any type, epoch and length.
  func dtls(_ mutation: inout Mutation) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<mutation.number(1...3) {
      let content = mutation.garbage(0...80)
      let length = mutation.chance(0.2) ? mutation.number(0...0xFFFF) : content.count
      bytes += [
        mutation.pick([20, 21, 22, 23, 24, 63] as [UInt8]), 0xFE, mutation.pick([0xFD, 0xFF, 0xFC] as [UInt8]),
      ]
      bytes += [0, UInt8(mutation.number(0...2))] + mutation.garbage(6...6)
      bytes += [UInt8(length >> 8), UInt8(length & 0xFF)] + content
    }
    return bytes
  }

  func nothingInParticular(_ mutation: inout Mutation) -> [UInt8] { mutation.garbage(0...100) }
}
