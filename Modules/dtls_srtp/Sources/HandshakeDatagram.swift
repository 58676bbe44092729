internal import NetBase

/// What can be told of a datagram before OpenSSL sees it (RFC 6347 §4.1, §4.2.2).
enum HandshakeDatagram {
  /// The start of a client's first message, without a cookie yet.
  case firstClientHello
  /// The start of a client's second message, with the cookie that it echoes.
  case laterClientHello(cookie: [UInt8])
  /// The start of a server's answer to it: HelloVerifyRequest or ServerHello.
  case serverHello
  /// An alert that nothing authenticates, wherever it stands among the records.
  case plainAlert
  /// Any other well-formed records.
  case other

  /// Nil unless the datagram is a sequence of whole records of DTLS 1.0 to 1.2.
  init?(_ bytes: RawSpan) {
    guard !bytes.isEmpty else { return nil }
    var offset = 0
    var hasPlainAlert = false
    while offset < bytes.byteCount {
      guard bytes.byteCount - offset >= Self.recordHeader else { return nil }
      let version = bytes.uint16(at: offset + 1)
      guard (20...25).contains(bytes.uint8(at: offset)), version == 0xFEFD || version == 0xFEFF else { return nil }
      if bytes.uint8(at: offset) == 21, bytes.uint16(at: offset + 3) == 0 { hasPlainAlert = true }
      let length = Int(bytes.uint16(at: offset + 11))
      guard length <= bytes.byteCount - offset - Self.recordHeader else { return nil }
      offset += Self.recordHeader + length
    }
    guard !hasPlainAlert else {
      self = .plainAlert
      return
    }
    let isPlainHandshake = bytes.uint8(at: 0) == 22 && bytes.uint16(at: 3) == 0
    guard isPlainHandshake, Int(bytes.uint16(at: 11)) >= Self.messageHeader else {
      self = .other
      return
    }
    let message = Self.recordHeader
    let sequence = bytes.uint16(at: message + 4)
    // The three bytes after the sequence number.
    let fragmentOffset = bytes.uint32(at: message + 5) & 0x00FF_FFFF
    switch bytes.uint8(at: message) {
    case 1 where fragmentOffset == 0:
      self = sequence == 0 ? .firstClientHello : .laterClientHello(cookie: Self.cookie(bytes))
    case 2, 3: self = .serverHello
    default: self = .other
    }
  }

  /// What a ClientHello echoes; empty when it has none. It follows version, random and session identifier.
  private static func cookie(_ bytes: RawSpan) -> [UInt8] {
    let session = Self.recordHeader + Self.messageHeader + 2 + 32
    guard session < bytes.byteCount else { return [] }
    let start = session + 1 + Int(bytes.uint8(at: session)) + 1
    guard start <= bytes.byteCount else { return [] }
    let end = start + Int(bytes.uint8(at: start - 1))
    return end <= bytes.byteCount ? bytes.extracting(start..<end).copied() : []
  }

  private static let recordHeader = 13
  private static let messageHeader = 12
}
