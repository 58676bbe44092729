import NetBase
import Testing
import UACore

@testable import SIPStack

@Suite("Digest vectors")
struct DigestVectorTests {
  static func computation(_ algorithm: DigestAlgorithm, isSession: Bool = false) -> DigestComputation {
    DigestComputation(digest: DigestAlgorithm.openSSL, algorithm: algorithm, isSession: isSession)
  }

  static func secret(
    _ computation: DigestComputation, _ user: String, _ realm: String, _ password: String
  ) -> String {
    Array(password.utf8).withRawSpan { bytes in
      computation.secret(user: user, realm: realm, password: SecretBytes(bytes))
    }
  }

  @Test(
    "the hashes are those of the standards (RFC 1321 §A.5, FIPS 180-4)",
    arguments: [
      (DigestAlgorithm.md5, "abc", "900150983cd24fb0d6963f7d28e17f72"),
      (.sha256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (.sha512Truncated256, "abc", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
      (.md5, "", "d41d8cd98f00b204e9800998ecf8427e"),
    ])
  func hashes(algorithm: DigestAlgorithm, text: String, expected: String) {
    #expect(Self.computation(algorithm).hash(text) == expected)
  }

  @Test(
    "RFC 7616 §3.9.1: MD5 and SHA-256",
    arguments: [
      (DigestAlgorithm.md5, "8ca523f5e9506fed4657c9700eebdbec"),
      (.sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ])
  func mufasa(algorithm: DigestAlgorithm, expected: String) {
    let computation = Self.computation(algorithm)
    let request = DigestComputation.Request(
      method: SIPMethod("GET"), uri: "/dir/index.html", nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
      nonceCount: "00000001", clientNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop: .authentication)
    let secret = Self.secret(computation, "Mufasa", "http-auth@example.org", "Circle of Life")
    #expect(computation.response(secret: secret, request) == expected)
  }

  @Test("RFC 7616 §3.9.2: SHA-512-256, a hashed user and a name beyond ASCII")
  func jaeson() {
    let computation = Self.computation(.sha512Truncated256)
    let user = "J\u{E4}s\u{F8}n Doe"
    #expect(
      computation.hash("\(user):api@example.org") == "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b")
    let request = DigestComputation.Request(
      method: SIPMethod("GET"), uri: "/doe.json", nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
      nonceCount: "00000001", clientNonce: "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", qop: .authentication)
    let secret = Self.secret(computation, user, "api@example.org", "Secret, or not?")
    // As erratum 4897 has it; the text of the RFC prints a digest over another hash.
    #expect(
      computation.response(secret: secret, request)
        == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5")
  }

  @Test("RFC 2617 §3.5 and RFC 2069: MD5 with and without qop")
  func old() {
    let computation = Self.computation(.md5)
    let secret = Self.secret(computation, "Mufasa", "testrealm@host.com", "Circle Of Life")
    let request = DigestComputation.Request(
      method: SIPMethod("GET"), uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
      nonceCount: "00000001", clientNonce: "0a4f113b", qop: .authentication)
    #expect(computation.response(secret: secret, request) == "6629fae49393a05397450978507c4ef1")
    let without = DigestComputation.Request(
      method: SIPMethod("GET"), uri: "/dir/index.html", nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093")
    #expect(computation.response(secret: secret, without) == "670fd8c2df070c60b045671b8b24ff02")
  }
}
