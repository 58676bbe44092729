import NetBase
import Testing

@testable import ICEAgent

@Suite("Candidate lines (RFC 8839 §5.1)")
struct CandidateTests {
  @Test(
    "what is read is written the same",
    arguments: [
      "1 1 UDP 2130706431 203.0.113.141 8998 typ host",
      "2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998",
      "a+/Z 2 UDP 1 2001:db8::1 9 typ prflx raddr :: rport 0",
    ])
  func roundTrip(line: String) throws {
    #expect(try ICECandidate(parsing: line).attributeValue == line)
  }

  @Test("extensions are skipped, and words are told apart whatever their case")
  func tolerant() throws {
    let candidate = try ICECandidate(
      parsing: "1 1 udp 2130706431 192.0.2.1 8998 typ HOST generation 0 network-id 1 ufrag abcd odd")
    #expect(candidate.kind == .host && candidate.address.description == "192.0.2.1:8998" && candidate.related == nil)
  }

  @Test(
    "what can't be used is refused, with the reason",
    arguments: [
      ("1 1 tcp 1 192.0.2.1 9 typ host tcptype active", ICECandidateError.transport("tcp")),
      ("1 1 udp 1 4f1b.local 9 typ host", .name("4f1b.local")),
      ("1 1 udp 1 fe80::1%1 9 typ host", .name("fe80::1%1")),
      ("1 1 udp 1 192.0.2.1 9 typ odd", .kind("odd")),
      ("1 0 udp 1 192.0.2.1 9 typ host", .malformed), ("1 1 udp 0 192.0.2.1 9 typ host", .malformed),
      ("1 1 udp 2147483648 192.0.2.1 9 typ host", .malformed), ("1 1 udp -1 192.0.2.1 9 typ host", .malformed),
      ("1 1 udp 1 192.0.2.1 65536 typ host", .malformed), ("", .malformed), ("1 1 udp 1 192.0.2.1 9 typ", .malformed),
      ("$ 1 udp 1 192.0.2.1 9 typ host", .malformed),
      ("123456789012345678901234567890123 1 udp 1 192.0.2.1 9 typ host", .malformed),
    ])
  func refused(line: String, reason: ICECandidateError) {
    #expect(throws: reason) { try ICECandidate(parsing: line) }
  }

  @Test("priorities are those of RFC 8445 §5.1.2.1")
  func priorities() {
    #expect(ICECandidate.priority(.host, localPreference: 65535, component: 1) == 2_130_706_431)
    #expect(ICECandidate.priority(.serverReflexive, localPreference: 65535, component: 1) == 1_694_498_815)
  }

  @Test("fragments and passwords have RFC 8839's lengths and letters, and a password is not printed")
  func credentials() throws {
    let password = "asd88fgpdd777uzjYhagZg"
    #expect(ICECredentials(fragment: "8hhY", password: password) != nil)
    #expect(ICECredentials(fragment: "8hh", password: password) == nil)
    #expect(ICECredentials(fragment: "8hhY", password: String(password.dropLast())) == nil)
    #expect(ICECredentials(fragment: "8h:Y", password: password) == nil)
    #expect("\(try #require(ICECredentials(fragment: "8hhY", password: password)))" == "ICECredentials(8hhY)")
  }
}
