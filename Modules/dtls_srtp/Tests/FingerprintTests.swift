import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

private let digest256 = (0..<32).map { "\($0 < 16 ? "0" : "")\(String($0, radix: 16, uppercase: true))" }
private let text256 = digest256.joined(separator: ":")
private let bytes256 = (0..<32).map { UInt8($0) }

@Suite("Fingerprints (RFC 8122) and settings") struct FingerprintTests {
  @Test("sha-256, 384 and 512 are read in either case; the text comes back in upper case")
  func known() {
    let expected = Fingerprint(function: .sha256, digest: bytes256)
    for value in ["sha-256 \(text256)", "SHA-256 \(text256.lowercased())", " sha-256  \(text256) "] {
      #expect(Fingerprint.parse(value) == .known(expected), "\(value)")
    }
    #expect(expected.description == "sha-256 \(text256)")
    let longer = Array(repeating: "AB", count: 48).joined(separator: ":")
    #expect(
      Fingerprint.parse("sha-384 \(longer)")
        == .known(.init(function: .sha384, digest: .init(repeating: 0xAB, count: 48)))
    )
    let longest = Array(repeating: "CD", count: 64).joined(separator: ":")
    #expect(
      Fingerprint.parse("sha-512 \(longest)")
        == .known(.init(function: .sha512, digest: .init(repeating: 0xCD, count: 64))))
  }

  @Test("weak and unknown functions are not accepted", arguments: ["sha-1", "md5", "md2", "sha-224", "sha3-256"])
  func unsupported(function: String) {
    #expect(Fingerprint.parse("\(function) \(text256)") == .unsupported(function))
  }

  @Test(
    "malformed values are told",
    arguments: [
      "", "sha-256", "sha-256 00", "sha-256 \(text256):00", "sha-256 \(text256.dropLast())", "sha-256 \(text256) x",
      "sha-256 \(text256.dropLast(2))+1", "sha-256 \(text256.dropLast(2))GG", "sha-256 \(text256.dropLast(2))٣٣",
      "sha-256 \(text256.filter { $0 != ":" })", "sha-512 \(text256)",
    ])
  func malformed(value: String) { #expect(Fingerprint.parse(value) == .malformed) }

  @Test("a certificate's own fingerprint matches it, and no other does")
  func matching() throws {
    let (one, other) = (try Certificate(), try Certificate())
    #expect(one.fingerprint != other.fingerprint)
    #expect(one.fingerprint.digest.count == 32)
    #expect(Fingerprint.parse(one.fingerprint.description) == .known(one.fingerprint))
  }

  @Test("profiles are read with and without SRTP_, in order, and an unknown name is refused")
  func profiles() {
    #expect(SRTPProfile.parseDTLSNames("AES128_CM_SHA1_80") == [.aesCM128HMACSHA1Tag80])
    #expect(
      SRTPProfile.parseDTLSNames("SRTP_AEAD_AES_256_GCM:AES128_CM_SHA1_32, AEAD_AES_256_GCM")
        == [.aeadAES256GCM, .aesCM128HMACSHA1Tag32])
    for bad in ["", ",", "AES256_CM_SHA1_80", "AES_256_CM_HMAC_SHA1_80", "aead_aes_128_gcm"] {
      #expect(SRTPProfile.parseDTLSNames(bad) == nil, "\(bad)")
    }
    #expect(
      DTLSSRTP.configKeys[1].defaultValue == "AEAD_AES_128_GCM,AES128_CM_SHA1_80,AEAD_AES_256_GCM,AES128_CM_SHA1_32")
  }

  @Test("the module is made from its defaults, and refuses an unknown profile with a sentence")
  func module() throws {
    let module = try DTLSSRTP(settings: ModuleSettings(keys: DTLSSRTP.configKeys))
    #expect(module.facets.map(\.kind) == ["media encryption"])
    do {
      _ = try DTLSSRTP(settings: ModuleSettings(keys: DTLSSRTP.configKeys, values: ["dtls_srtp_profiles": "DES"]))
      Issue.record("accepted")
    } catch {
      #expect(error.message.contains("dtls_srtp_profiles \"DES\""))
      #expect(error.kind == .configuration)
    }
  }
}
