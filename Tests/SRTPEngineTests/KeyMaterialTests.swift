import NetBase
import SRTPEngine
import Testing

@Suite("Profiles and keys")
struct KeyMaterialTests {
  @Test("a key of the wrong length is refused with a sentence", arguments: SRTPProfile.allCases)
  func wrongLength(_ profile: SRTPProfile) {
    for length in [0, profile.keyLength, profile.keyAndSaltLength - 1, profile.keyAndSaltLength + 1, 200] {
      let expected = SRTPError.wrongKeyLength(profile, expected: profile.keyAndSaltLength, actual: length)
      #expect(throws: expected) { _ = try material(profile, [UInt8](repeating: 1, count: length)) }
      #expect("\(expected)".hasSuffix("."))
    }
  }

  @Test(
    "names, identifiers and lengths are the RFCs'",
    arguments: [
      ("AES_CM_128_HMAC_SHA1_80", 1, "SRTP_AES128_CM_SHA1_80", 30, 10, 10),
      ("AES_CM_128_HMAC_SHA1_32", 2, "SRTP_AES128_CM_SHA1_32", 30, 4, 10),
      ("AES_256_CM_HMAC_SHA1_80", nil, nil, 46, 10, 10),
      ("AEAD_AES_128_GCM", 7, "SRTP_AEAD_AES_128_GCM", 28, 16, 16),
      ("AEAD_AES_256_GCM", 8, "SRTP_AEAD_AES_256_GCM", 44, 16, 16),
    ] as [(String, UInt16?, String?, Int, Int, Int)])
  func profiles(name: String, identifier: UInt16?, dtlsName: String?, length: Int, rtpTag: Int, rtcpTag: Int) throws {
    let profile = try #require(SRTPProfile(rawValue: name))
    #expect(profile.dtlsIdentifier == identifier)
    #expect(profile.dtlsName == dtlsName)
    #expect(profile.keyAndSaltLength == length)
    #expect(profile.rtpTagLength == rtpTag && profile.rtcpTagLength == rtcpTag)
    if let identifier { #expect(SRTPProfile(dtlsIdentifier: identifier) == profile) }
    if let dtlsName { #expect(SRTPProfile(dtlsName: dtlsName) == profile) }
  }

  @Test("an unknown suite is none of ours")
  func unknown() {
    #expect(SRTPProfile(rawValue: "F8_128_HMAC_SHA1_80") == nil)
    #expect(SRTPProfile(dtlsIdentifier: 5) == nil)
    #expect(SRTPProfile(dtlsName: "SRTP_NULL_SHA1_80") == nil)
  }

  @Test("a master key identifier is a number in so many bytes (RFC 4568 §6.1)")
  func identifier() throws {
    #expect(try MasterKeyIdentifier(value: 1, length: 4).bytes == [0, 0, 0, 1])
    #expect(try MasterKeyIdentifier(value: 0x0102, length: 2).bytes == [1, 2])
    #expect(try MasterKeyIdentifier(value: .max, length: 10).bytes == [0, 0] + [UInt8](repeating: 255, count: 8))
    for (value, length) in [(1, 0), (256, 1), (1, 129), (1, -1)] as [(UInt64, Int)] {
      #expect(throws: SRTPError.badMasterKeyIdentifier(length: length)) {
        _ = try MasterKeyIdentifier(value: value, length: length)
      }
    }
    #expect(throws: SRTPError.badMasterKeyIdentifier(length: 0)) { _ = try MasterKeyIdentifier(bytes: []) }
  }

  @Test("a lifetime is 1 to 2^48 packets")
  func lifetime() throws {
    for packets in [0, (1 << 48) + 1] as [UInt64] {
      #expect(throws: SRTPError.badLifetime(packets)) { _ = try key(1, lifetime: packets) }
    }
    let longest = try key(1, lifetime: 1 << 48).lifetime
    #expect(longest == 1 << 48)
  }

  @Test("the same key is told from another")
  func sameKey() throws {
    let first = try key(1)
    let answers = [
      first.isSameKey(as: try key(1)), first.isSameKey(as: first.duplicate()), first.isSameKey(as: try key(2)),
      first.isSameKey(as: try key(1, .aesCM128HMACSHA1Tag32)), first.isSameKey(as: try key(1, identifier: [1])),
    ]
    #expect(answers == [true, true, false, false, false])
  }

  @Test("a key does not print its bytes")
  func notPrinted() throws {
    let error = SRTPError.contextRefused(.aeadAES128GCM, status: 3)
    #expect("\(error)" == "libsrtp2 refused a key for AEAD_AES_128_GCM (status 3).")
  }
}
