import NetBase
import TestSupport
import Testing
import ice

@testable import ICEAgent

/// The messages of RFC 5769, read, and written again byte for byte.
@Suite("STUN test vectors (RFC 5769)")
struct STUNVectorTests {
  static func bytes(_ text: String) -> [UInt8] {
    text.split(whereSeparator: \.isWhitespace).map { UInt8($0, radix: 16) ?? 0 }
  }

  static func parse(_ bytes: [UInt8]) -> STUNMessage? { bytes.withRawSpan { STUNMessage($0) } }

  /// §2.1
  static let request = bytes(
    """
    00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c 69 65
    6e 74 00 24 00 04 6e 00 01 ff 80 29 00 08 93 2f f9 b1 51 26 3b 36 00 06 00 09 65 76 74 6a 3a 68 36 76 59 20 20 20
    00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2 80 28 00 04 e5 7a 3b cf
    """)
  /// §2.2
  static let response4 = bytes(
    """
    01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20 00 20
    00 08 00 01 a1 47 e1 12 a6 43 00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7 80 28 00 04
    c0 7d 4c 96
    """)
  /// §2.3
  static let response6 = bytes(
    """
    01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae 80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20 00 20
    00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9 00 08 00 14 a3 82 95 4e 4b e6 7b f1 17 84 c9 7c
    82 92 c2 75 bf e3 ed 41 80 28 00 04 c8 fb 0b 4c
    """)
  /// §2.4
  static let longTerm = bytes(
    """
    00 01 00 60 21 12 a4 42 78 ad 34 33 c6 ad 72 c0 29 da 41 2e 00 06 00 12 e3 83 9e e3 83 88 e3 83 aa e3 83 83 e3 82
    af e3 82 b9 00 00 00 15 00 1c 66 2f 2f 34 39 39 6b 39 35 34 64 36 4f 4c 33 34 6f 4c 39 46 53 54 76 79 36 34 73 41
    00 14 00 0b 65 78 61 6d 70 6c 65 2e 6f 72 67 00 00 08 00 14 f6 70 24 65 6d d6 4a 3e 02 b8 e0 71 2e 85 c9 a2 8c a8
    96 66
    """)
  /// RFC 8489 B.1, as its erratum 6268 has it
  static let userhash = bytes(
    """
    00 01 00 90 21 12 a4 42 78 ad 34 33 c6 ad 72 c0 29 da 41 2e 00 1e 00 20 4a 3c f3 8f ef 69 92 bd a9 52 c6 78 04 17
    da 0f 24 81 94 15 56 9e 60 b2 05 c4 6e 41 40 7f 17 04 00 15 00 29 6f 62 4d 61 74 4a 6f 73 32 41 41 41 43 66 2f 2f
    34 39 39 6b 39 35 34 64 36 4f 4c 33 34 6f 4c 39 46 53 54 76 79 36 34 73 41 00 00 00 00 14 00 0b 65 78 61 6d 70 6c
    65 2e 6f 72 67 00 00 1d 00 04 00 02 00 00 00 1c 00 20 b5 c7 bf 00 5b 6c 52 a2 1c 51 c5 e8 92 f8 19 24 13 62 96 cb
    92 7c 43 14 93 09 27 8c c6 51 8e 65
    """)
  static let key = Array("VOkJxbRl1RmTxUk/WvJxBt".utf8)
  static let id = STUNTransactionID(high: 0xB7E7_A701, low: 0xBC34_D686_FA87_DFAE)

  @Test("§2.1: a request with the short-term password, its priority and its tie-breaker")
  func sampleRequest() throws {
    let message = try #require(Self.parse(Self.request))
    #expect(message.messageClass == .request && message.method == 1 && message.id == Self.id)
    #expect(message.hasFingerprint && message.text(STUNType.username) == "evtj:h6vY")
    #expect(message.uint32(STUNType.priority) == 0x6E00_01FF)
    #expect(message.uint64(STUNType.controlled) == 0x932F_F9B1_5126_3B36)
    #expect(message.isAuthentic(key: Self.key, crypto: .openSSL))
    #expect(!message.isAuthentic(key: Array("VOkJxbRl1RmTxUk/WvJxBu".utf8), crypto: .openSSL))

    var writer = STUNWriter(.request, id: Self.id)
    writer.add(0x8022, "STUN test client")
    writer.add(STUNType.priority, UInt32(0x6E00_01FF))
    writer.add(STUNType.controlled, UInt64(0x932F_F9B1_5126_3B36))
    writer.add(STUNType.username, "evtj:h6vY", padding: 0x20)
    writer.addIntegrity(key: Self.key, crypto: .openSSL)
    writer.addFingerprint()
    #expect(writer.bytes == Self.request)
  }

  @Test(
    "§2.2, §2.3: responses with an IPv4 and an IPv6 address",
    arguments: [(response4, "192.0.2.1:32853"), (response6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853")])
  func sampleResponse(bytes: [UInt8], address: String) throws {
    let message = try #require(Self.parse(bytes))
    #expect(message.messageClass == .success && message.hasFingerprint)
    #expect(message.mappedAddress?.description == address)
    #expect(message.isAuthentic(key: Self.key, crypto: .openSSL))

    var writer = STUNWriter(.success, id: Self.id)
    writer.add(0x8022, "test vector", padding: 0x20)
    writer.addMapped(try #require(SocketAddress(address)))
    writer.addIntegrity(key: Self.key, crypto: .openSSL)
    writer.addFingerprint()
    #expect(writer.bytes == bytes)
  }

  @Test("§2.4: a request with long-term credentials")
  func sampleLongTerm() throws {
    let message = try #require(Self.parse(Self.longTerm))
    #expect(message.text(STUNType.username) == "マトリックス" && message.text(STUNType.realm) == "example.org")
    #expect(message.text(STUNType.nonce) == "f//499k954d6OL34oL9FSTvy64sA")
    let key = Array("マトリックス:example.org:TheMatrIX".utf8).hashed(.md5)
    #expect(message.isAuthentic(key: key, crypto: .openSSL))
    #expect(!message.hasFingerprint)
  }

  @Test("RFC 8489 B.1: a request with a hashed name, under a key of SHA-256")
  func sampleUserhash() throws {
    let message = try #require(Self.parse(Self.userhash))
    let key = Array("マトリックス:example.org:TheMatrIX".utf8).hashed(.sha256)
    #expect(message.isAuthentic(key: key, crypto: .openSSL) && message.hasIntegritySHA256)

    // What its challenge must have been makes us write the same, but for the list that B.1 does not send back.
    var challenge = STUNWriter(.failure, id: message.id)
    challenge.addError(401, "")
    challenge.add(STUNType.realm, "example.org")
    challenge.add(STUNType.nonce, "obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA")
    challenge.add(STUNType.passwordAlgorithms, [0, 2, 0, 0])
    var credentials = LongTermCredentials(username: "マトリックス", password: STUNSecret("TheMatrIX"), crypto: .openSSL)
    #expect(credentials.take(try #require(Self.parse(challenge.bytes))))
    var writer = STUNWriter(.request, id: message.id)
    #expect(try #require(credentials.sign(&writer)).secret.withBytes { $0.copied() } == key)
    let ours = try #require(Self.parse(writer.bytes))
    for type in [STUNType.userhash, STUNType.nonce, STUNType.realm, STUNType.passwordAlgorithm] {
      #expect(ours.value(type).map(Array.init) == message.value(type).map(Array.init))
    }
    #expect(!ours.has(STUNType.username) && ours.isAuthentic(key: key, crypto: .openSSL))
  }

  @Test("§2.4 is what credentials write at a server of RFC 5389's time, but for the order of realm and nonce")
  func writtenLongTerm() throws {
    let message = try #require(Self.parse(Self.longTerm))
    var challenge = STUNWriter(.failure, id: message.id)
    challenge.addError(401, "")
    challenge.add(STUNType.realm, "example.org")
    challenge.add(STUNType.nonce, "f//499k954d6OL34oL9FSTvy64sA")
    var credentials = LongTermCredentials(username: "マトリックス", password: STUNSecret("TheMatrIX"), crypto: .openSSL)
    #expect(credentials.take(try #require(Self.parse(challenge.bytes))))
    var writer = STUNWriter(.request, id: message.id)
    let key = try #require(credentials.sign(&writer))
    let ours = try #require(Self.parse(writer.bytes))
    for type in [STUNType.username, STUNType.nonce, STUNType.realm] {
      #expect(ours.value(type).map(Array.init) == message.value(type).map(Array.init))
    }
    #expect(key.opens(message, crypto: .openSSL) && key.opens(ours, crypto: .openSSL) && !key.needsSHA256)
    // The same challenge again: the password is wrong.
    #expect(!credentials.take(try #require(Self.parse(challenge.bytes))))
  }

  @Test("who was offered SHA-256 takes no answer under less")
  func noLess() throws {
    let key = STUNKey(secret: STUNSecret("VOkJxbRl1RmTxUk/WvJxBt"), needsSHA256: true)
    for (hash, isTaken) in [(STUNCrypto.Hash.sha1, false), (.sha256, true)] {
      var writer = STUNWriter(.success, id: Self.id)
      writer.addIntegrity(hash, key: Self.key, crypto: .openSSL)
      #expect(key.opens(try #require(Self.parse(writer.bytes)), crypto: .openSSL) == isTaken)
    }
  }

  @Test("MESSAGE-INTEGRITY-SHA256 counts before SHA-1, and a turned bit of it is seen")
  func sha256() throws {
    var writer = STUNWriter(.request, id: Self.id)
    writer.add(STUNType.username, "a:b")
    writer.addIntegrity(.sha256, key: Self.key, crypto: .openSSL)
    #expect(try #require(Self.parse(writer.bytes)).isAuthentic(key: Self.key, crypto: .openSSL))
    var turned = writer.bytes
    turned[turned.count - 1] ^= 1
    #expect(try #require(Self.parse(turned)).isAuthentic(key: Self.key, crypto: .openSSL) == false)
    writer.addFingerprint()
    #expect(Self.parse(writer.bytes)?.hasFingerprint == true)
  }

  @Test("an error code comes back as it was written; unknown attributes are named")
  func errors() throws {
    var writer = STUNWriter(.failure, id: Self.id)
    writer.addError(487, "Role Conflict")
    writer.add(0x7F01, UInt32(1))
    let message = try #require(Self.parse(writer.bytes))
    #expect(message.messageClass == .failure && message.errorCode == 487 && message.unknownAttributes == [0x7F01])
  }

  @Test("every bit of a vector turned, every prefix and every length: no trap, and nothing authentic comes of it")
  func hostile() {
    let long = Array("マトリックス:example.org:TheMatrIX".utf8).hashed(.md5)
    for bytes in [Self.request, Self.response4, Self.response6, Self.longTerm] {
      let key = bytes == Self.longTerm ? long : Self.key
      for length in 0..<bytes.count { #expect(Self.parse(Array(bytes[..<length])) == nil) }
      for bit in 0..<(bytes.count * 8) {
        var turned = bytes
        turned[bit / 8] ^= 1 << UInt8(bit % 8)
        guard let message = Self.parse(turned) else { continue }
        // Integrity does not cover the header of the FINGERPRINT that follows it.
        let isCovered = bit < (bytes.count - 8) * 8 || bytes == Self.longTerm
        #expect(!isCovered || !message.isAuthentic(key: key, crypto: .openSSL), "bit \(bit)")
        _ = (message.mappedAddress, message.errorCode, message.unknownAttributes)
      }
    }
  }
}
