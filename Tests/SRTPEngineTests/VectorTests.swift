import NetBase
import SRTPEngine
import Testing

/// Packets computed with Python's `cryptography`, whose key derivation and ciphers were first held against the RFCs'
/// own figures: RFC 3711 §B.3, RFC 6188 §7.3, RFC 7714 §16.1.1, §16.2.1 and §17.1.
struct Vector: Sendable, CustomTestStringConvertible {
  let profile: SRTPProfile
  let key: String
  var identifier: String?
  var isRTCP = false
  let clear: String
  let secured: String

  var testDescription: String { "\(self.profile.rawValue)\(self.isRTCP ? " RTCP" : "")" }

  /// RFC 3711 §B.3, master key and salt.
  static let rfc3711 = "e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6"
  /// RFC 6188 §7.3, master key and salt.
  static let rfc6188 =
    "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2"
  static let gcm128 = "000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab"
  static let gcm256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f a0a1a2a3a4a5a6a7a8a9aaab"
  static let rtp = "800f1234decafbadcafebabe abababababababababababababababab"
  static let rtcp = "81c8000bcafebabe abababababababababababababababab"
  /// Two contributing sources and a header extension stay in the clear.
  static let longHeader =
    "920f8001decafbadcafebabe0102030405060708bede000110203040 cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"

  static let all = [
    Vector(
      profile: .aesCM128HMACSHA1Tag80, key: rfc3711, clear: rtp,
      secured: "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"),
    Vector(
      profile: .aesCM128HMACSHA1Tag80, key: rfc3711, isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"),
    Vector(
      profile: .aesCM128HMACSHA1Tag80, key: rfc3711, clear: longHeader,
      secured: """
        920f8001decafbadcafebabe0102030405060708bede00011020304019141fe5bc8d35d7fe7dc3253106fc849976e68d20
        075c4c8a999b690a826c
        """),
    Vector(
      profile: .aesCM128HMACSHA1Tag80, key: rfc3711, identifier: "e1f97a0d", clear: rtp,
      secured: "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402e1f97a0db78d6acc99ea179b8dbb"),
    Vector(
      profile: .aesCM128HMACSHA1Tag80, key: rfc3711, identifier: "e1f97a0d", isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001e1f97a0d993e08cd54d6c1230798"),
    Vector(
      profile: .aesCM128HMACSHA1Tag32, key: rfc3711, clear: rtp,
      secured: "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc"),
    // RFC 4568 §6.2.2: the tag of SRTCP keeps its 80 bits.
    Vector(
      profile: .aesCM128HMACSHA1Tag32, key: rfc3711, isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"),
    Vector(
      profile: .aesCM128HMACSHA1Tag32, key: rfc3711, identifier: "e1f97a0d", isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001e1f97a0d993e08cd54d6c1230798"),
    Vector(
      profile: .aes256CMHMACSHA1Tag80, key: rfc6188, clear: rtp,
      secured: "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b"),
    Vector(
      profile: .aes256CMHMACSHA1Tag80, key: rfc6188, isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabeb4d0e7a917d24b9faab9d3b6127b3ba680000001e04ac0ec2846f71bd31c"),
    Vector(
      profile: .aeadAES128GCM, key: gcm128, clear: rtp,
      secured: "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392"),
    Vector(
      profile: .aeadAES128GCM, key: gcm128, clear: longHeader,
      secured: """
        920f8001decafbadcafebabe0102030405060708bede000110203040c8c9c115eee02967ac88c881df5c8d5dd209b40a0a
        d40dd6981471f4c0dd65599bab5de106
        """),
    Vector(
      profile: .aeadAES128GCM, key: gcm128, identifier: "e1f97a0d", clear: rtp,
      secured: "800f1234decafbadcafebabec5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392e1f97a0d"),
    Vector(
      profile: .aeadAES128GCM, key: gcm128, isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabec98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001"),
    Vector(
      profile: .aeadAES256GCM, key: gcm256, clear: rtp,
      secured: "800f1234decafbadcafebabe0af7f21e8a90bdad7a425c9c31ed4bb1d90238917e7390a2793500e1681acaea"),
    Vector(
      profile: .aeadAES256GCM, key: gcm256, isRTCP: true, clear: rtcp,
      secured: "81c8000bcafebabe8abfafa780070a90e80f9161cf4aac081ed93aaa53c15b0f3ed1a3b984167b0380000001"),
  ]

  func makeKey() throws -> SRTPKeyMaterial {
    try material(self.profile, hex(self.key), identifier: self.identifier.map(hex))
  }
}

@Suite("Packets as the RFCs compute them", .bothTransforms)
struct VectorTests {
  @Test("a packet is protected to the byte", arguments: Vector.all)
  func protect(_ vector: Vector) throws {
    var context = try OutboundSRTP(vector.makeKey())
    #expect(context.sent(hex(vector.clear), isRTCP: vector.isRTCP) == ok(hex(vector.secured)))
  }

  @Test("a protected packet opens to its plain text", arguments: Vector.all)
  func unprotect(_ vector: Vector) throws {
    var context = try InboundSRTP(vector.makeKey())
    #expect(context.received(hex(vector.secured), isRTCP: vector.isRTCP) == ok(hex(vector.clear)))
  }

  @Test("a change of any byte is refused, and the packet itself still opens afterwards", arguments: Vector.all)
  func tamper(_ vector: Vector) throws {
    var context = try InboundSRTP(vector.makeKey())
    let secured = hex(vector.secured)
    for offset in secured.indices {
      var changed = secured
      changed[offset] ^= 0x04
      #expect(context.received(changed, isRTCP: vector.isRTCP).result != .ok, "byte \(offset)")
    }
    #expect(context.received(secured, isRTCP: vector.isRTCP) == ok(hex(vector.clear)))
  }

  @Test("any packet cut short is refused", arguments: Vector.all)
  func truncate(_ vector: Vector) throws {
    var context = try InboundSRTP(vector.makeKey())
    let secured = hex(vector.secured)
    for length in 0..<secured.count {
      #expect(context.received(Array(secured.prefix(length)), isRTCP: vector.isRTCP).result != .ok)
    }
  }

  @Test("after a wrap of the sequence number the rollover counter is 1 (RFC 3711 §3.3.1)")
  func wrap() throws {
    var context = try OutboundSRTP(material(.aesCM128HMACSHA1Tag80, hex(Vector.rfc3711)))
    #expect(context.sent(rtp(0xFFFF)).result == .ok)
    let clear = hex("800f0000decafbadcafebabe abababababababababababababababab")
    let secured = hex("800f0000decafbadcafebabe24ecf92d9c97bf2ac679b796fdfd365a267beecdc56456590e62")
    #expect(context.sent(clear) == ok(secured))
  }
}
