import NetBase
import SRTPEngine
import Testing

@testable import srtp

/// 30 bytes, as in RFC 4568 §6.1's first example.
private let key30 = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"
/// 46, 28 and 44 bytes of 0x01, 0x02, …: with padding of two, two and one.
private let key46 = base64(46)
private let key28 = base64(28)
private let key44 = base64(44)

private func base64(_ count: Int) -> String {
  (0..<count).map { UInt8($0 + 1) }.withRawSpan { Base64.encode($0) }
}

private func unpadded(_ text: String) -> String { text.filter { $0 != "=" } }

private func decoded(_ text: String) -> [UInt8]? {
  guard let bytes = Base64.decode(text.utf8) else { return nil }
  return bytes.bytes.copied()
}

private func failure(_ value: String) -> CryptoError? {
  do throws(CryptoError) {
    _ = try CryptoAttribute(value)
    return nil
  } catch {
    return error
  }
}

@Suite("Crypto attributes (RFC 4568)") struct CryptoAttributeTests {
  @Test("RFC 4568 §6.1's example has its lifetime and identifier")
  func example() throws {
    let line = try CryptoAttribute("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|2^20|1:32")
    #expect(line.tag == 1)
    #expect(line.profile == .aesCM128HMACSHA1Tag80)
    #expect(line.keys.count == 1)
    let lifetime = line.keys[0].material.lifetime
    #expect(lifetime == 1 << 20)
    let identifier = line.keys[0].material.masterKeyIdentifier
    #expect(identifier?.bytes == Array(repeating: 0, count: 31) + [1])
    #expect(line.serialized() == "1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|2^20|1:32")
  }

  @Test(
    "RFC 4648 §10's vectors",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func base64Vectors(plain: String, text: String) {
    #expect(Array(plain.utf8).withRawSpan { Base64.encode($0) } == text)
    for form in [text, unpadded(text)] {
      #expect(decoded(form) == Array(plain.utf8))
    }
  }

  @Test(
    "what is not base64 is refused",
    arguments: ["A", "AAAAA", "AA=A", "A===", "AA=", "AAA==", "=", "AA AA", "AA-_", "ÄAAA"])
  func notBase64(text: String) { #expect(decoded(text) == nil) }

  @Test(
    "keys with and without padding are the same key",
    arguments: [
      ("AES_CM_128_HMAC_SHA1_80", key30), ("AES_CM_128_HMAC_SHA1_32", key30), ("AES_256_CM_HMAC_SHA1_80", key46),
      ("AEAD_AES_128_GCM", key28), ("AEAD_AES_256_GCM", key44),
    ])
  func padding(suite: String, key: String) throws {
    let padded = try CryptoAttribute("7 \(suite) inline:\(key)")
    let bare = try CryptoAttribute("7  \(suite)\tinline:\(unpadded(key))")
    #expect(padded.keys[0].isSame(as: bare.keys[0]))
    #expect(bare.serialized() == "7 \(suite) inline:\(key)")
    #expect(key.utf8.count % 4 == 0)
  }

  @Test("several keys need distinct identifiers of one length")
  func severalKeys() throws {
    let suite = "1 AES_CM_128_HMAC_SHA1_80"
    let line = try CryptoAttribute("\(suite) inline:\(key30)|2^20|1:4;inline:\(base64(30))|1000|4294967295:4")
    #expect(line.keys.count == 2)
    let second = line.keys[1].material.masterKeyIdentifier
    #expect(second?.bytes == [255, 255, 255, 255])
    #expect(line.serialized() == "\(suite) inline:\(key30)|2^20|1:4;inline:\(base64(30))|1000|4294967295:4")
    for bad in [
      "inline:\(key30);inline:\(base64(30))", "inline:\(key30)|1:4;inline:\(base64(30))",
      "inline:\(key30)|1:4;inline:\(base64(30))|1:4", "inline:\(key30)|1:4;inline:\(base64(30))|2:2",
    ] {
      #expect(failure("\(suite) \(bad)") == .ambiguousKeys)
    }
  }

  @Test("identifiers go up to 128 bytes, and must fit")
  func identifiers() throws {
    let suite = "1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)"
    // 2^1023 has 128 bytes.
    let large =
      "89884656743115795386465259539451236680898848947115328636715040578866337902750481566354238661203768010560056939935"
      + "69667882939488440720831124642371531973706218888394671243274263815110980062304705972654147604250288441907534117123"
      + "1440736956555270413618581675255342293149119973622969239858152417678164812112068608"
    let line = try CryptoAttribute("\(suite)|\(large):128")
    let identifier = line.keys[0].material.masterKeyIdentifier
    #expect(identifier?.bytes == [0x80] + Array(repeating: 0, count: 127))
    #expect(line.serialized().hasSuffix("|\(large):128"))
    for bad in ["256:1", "1:0", "1:129", ":4", "1:", "a:4", "-1:4", "+1:4", "1:4:4", "1:4|2^20"] {
      let error = failure("\(suite)|\(bad)")
      #expect(error == .badMasterKeyIdentifier || error == .malformed, "\(bad)")
    }
  }

  @Test(
    "lifetimes are 1 to 2^48, as a number or a power",
    arguments: [
      ("2^0", UInt64(1)), ("2^31", 1 << 31), ("2^48", 1 << 48), ("1", 1), ("281474976710656", 1 << 48),
      ("12345", 12345),
    ])
  func lifetimes(text: String, expected: UInt64) throws {
    let line = try CryptoAttribute("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|\(text)")
    let lifetime = line.keys[0].material.lifetime
    #expect(lifetime == expected)
  }

  @Test(
    "a lifetime out of range is refused",
    arguments: [
      "0", "2^49", "2^", "2^-1", "281474976710657", "99999999999999999999999", "", "x", "3^4", "2^64",
      "2^99999999999999999999",
    ])
  func badLifetimes(text: String) {
    #expect(failure("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|\(text)") == .badLifetime)
  }

  @Test(
    "bad lines are refused, each with its reason",
    arguments: [
      ("", .malformed), ("1", .malformed), ("1 AES_CM_128_HMAC_SHA1_80", .malformed),
      ("x AES_CM_128_HMAC_SHA1_80 inline:\(key30)", .badTag),
      ("-1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)", .badTag),
      ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:\(key30)", .badTag),
      ("1 F8_128_HMAC_SHA1_80 inline:\(key30)", .unknownSuite("F8_128_HMAC_SHA1_80")),
      ("1 \(key30) inline:\(key30)", .unknownSuite(nil)),
      ("1 AES_CM_128_HMAC_SHA1_80 \(key30)", .unknownKeyMethod),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30);", .unknownKeyMethod),
      ("1 AES_CM_128_HMAC_SHA1_80 uri:\(key30)", .unknownKeyMethod),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:*\(key30.dropFirst())", .badBase64),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|2^20|1:4|5", .malformed),
      // A combining mark makes one character of itself and the separator before it.
      ("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)|\u{301}2^20", .badLifetime),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30);\u{301}inline:\(key30)", .unknownKeyMethod),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:", .wrongKeyLength(.aesCM128HMACSHA1Tag80, expected: 30, actual: 0)),
      ("1 AES_CM_128_HMAC_SHA1_80 inline:\(key46)", .wrongKeyLength(.aesCM128HMACSHA1Tag80, expected: 30, actual: 46)),
      ("1 AEAD_AES_128_GCM inline:\(key30)", .wrongKeyLength(.aeadAES128GCM, expected: 28, actual: 30)),
      ("1 AES_256_CM_HMAC_SHA1_80 inline:\(key44)", .wrongKeyLength(.aes256CMHMACSHA1Tag80, expected: 46, actual: 44)),
    ] as [(String, CryptoError)])
  func badLines(value: String, expected: CryptoError) { #expect(failure(value) == expected) }

  @Test(
    "session parameters that would change the protection are refused, hints are not",
    arguments: [
      ("UNENCRYPTED_SRTP", .unsupportedParameter("UNENCRYPTED_SRTP")),
      ("UNENCRYPTED_SRTCP", .unsupportedParameter("UNENCRYPTED_SRTCP")),
      ("UNAUTHENTICATED_SRTP", .unsupportedParameter("UNAUTHENTICATED_SRTP")),
      ("FEC_ORDER=FEC_SRTP", .unsupportedParameter("FEC_ORDER")),
      ("FEC_KEY=inline:\(key30)", .unsupportedParameter("FEC_KEY")), ("KDR=1", .unsupportedParameter("KDR")),
      ("KDR=0", nil), ("KDR=25", .malformed), ("WSH=64", nil), ("WSH=63", .malformed), ("WSH=128 KDR=0", nil),
      ("-whatever", nil), ("-EXT=5 KDR=0", nil), ("WHATEVER", .unknownParameter), ("-", .unknownParameter),
      ("KDR=0 UNENCRYPTED_SRTCP", .unsupportedParameter("UNENCRYPTED_SRTCP")),
    ] as [(String, CryptoError?)])
  func sessionParameters(text: String, expected: CryptoError?) {
    #expect(failure("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30) \(text)") == expected)
  }

  @Test("no description and no reason holds a key")
  func redaction() throws {
    let line = try CryptoAttribute("1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)")
    #expect("\(line)" == "1 AES_CM_128_HMAC_SHA1_80")
    #expect("\(line.keys)" == "[key for AES_CM_128_HMAC_SHA1_80]")
    var dumped = ""
    dump(line, to: &dumped)
    #expect(!dumped.contains(key30.prefix(8)) && !dumped.contains("inline"))
    for value in [
      "1 \(key30) inline:\(key30)", "1 AES_CM inline:\(key30)", "1 AES_CM_128_HMAC_SHA1_80 inline:\(key30)A",
      "1 AES_CM_128_HMAC_SHA1_80 \(key30)", "\(key30) x inline:\(key30)", "1 inline:\(key30) AES_CM_128_HMAC_SHA1_80",
      "1 AES_CM_128_HMAC_SHA1_80 inline:\(key30) \(key30)",
      "1 AES_CM_128_HMAC_SHA1_80 inline:\(key30) FEC_KEY=\(key30)",
    ] {
      let reason = try #require(failure(value)).description
      #expect(!reason.contains(key30.prefix(8)) && !reason.contains("inline:"), "\(value)")
    }
  }
}
