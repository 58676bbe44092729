import Testing

@testable import UACore

/// What people type, made into what is called.
@Suite struct DialStringTests {
  @Test(
    "test_clean_number: a number loses what people write between its digits",
    arguments: [
      ("1234567", "1234567"), ("+12 34 56 78", "+12345678"), ("(100) 500123", "100500123"),
      ("0412/34 56 78", "0412345678"), ("012/34.56.78", "012345678"), ("+64-1-234-5678", "+6412345678"),
      ("005(0)12345", "00512345"), ("+5(0)12345", "+512345"), ("05(0)12345", "05012345"),
      ("05(0)12345\t\n", "05012345"), ("*21*100#", "*21*100#"), ("+49 (0) 89 1234", "+49891234"), ("+49(0)", "+490"),
    ])
  func cleanNumber(typed: String, dialled: String) { #expect(DialString.cleaned(typed) == dialled) }

  @Test(
    "test_clean_number_only_numeric: what is no number stays as it is",
    arguments: ["(100)test500123", "@(100)500123", "sip:1-2-3@example.com", "bob"])
  func cleanNumberOnlyNumeric(typed: String) { #expect(DialString.cleaned(typed) == nil) }

  @Test(
    "test_account_uri_complete: what lacks a domain gets the account's",
    arguments: [
      ("192.168.1.2", "sip:192.168.1.2"), ("192.168.1.2:5677", "sip:192.168.1.2:5677"),
      ("user", "sip:user@proxy.com"), ("user@domain.com", "sip:user@domain.com"),
      ("user@domain.com:5677", "sip:user@domain.com:5677"), ("sip:office.local", "sip:office.local"),
      ("sip:user@domain.com", "sip:user@domain.com"), ("[2113:1470:1f1b:24b::2]", "sip:[2113:1470:1f1b:24b::2]"),
      ("[fe80::b62e:99ff:feee:268f]", "sip:[fe80::b62e:99ff:feee:268f]"),
      ("x@[2113:1470:1f1b:24b::2]", "sip:x@[2113:1470:1f1b:24b::2]"),
      ("[2113:1470:1f1b:24b::2]:5677", "sip:[2113:1470:1f1b:24b::2]:5677"),
      ("x@[2113:1470:1f1b:24b::2]:5677", "sip:x@[2113:1470:1f1b:24b::2]:5677"), ("  user", "sip:user@proxy.com"),
    ])
  func uriComplete(typed: String, uri: String) {
    #expect(DialString.completed(typed, for: Account(uri: "sip:A@proxy.com")?.address) == uri)
  }

  @Test(
    "what can't be called is repeated only where it has no password in it",
    arguments: [
      ("sip:bob@", true), ("bob", true), ("@", true), ("sip:bob:secret@", false), ("SIP:bob:secret@h@", false),
      ("bob:secret@", false),
    ])
  func refusal(typed: String, isRepeated: Bool) {
    #expect(DialString.refusal(of: typed).hasPrefix("\(isRepeated ? typed : "that") is not a SIP URI"))
  }

  @Test(
    "the account's port and transport go with its domain",
    arguments: [
      ("sip:a@proxy.com:5070", "sip:100@proxy.com:5070"), ("sip:a@proxy.com:5060", "sip:100@proxy.com"),
      ("sip:a@proxy.com;transport=tcp", "sip:100@proxy.com;transport=tcp"), ("sips:a@proxy.com", "sips:100@proxy.com"),
    ])
  func uriCompleteOfAccount(account: String, uri: String) {
    #expect(DialString.completed("100", for: Account(uri: account)?.address) == uri)
  }

  @Test("a scheme has no case (RFC 3261 §19.1.4)", arguments: ["sip:a@b", "SIP:a@b", "Sips:a@b"])
  func scheme(text: String) { #expect(DialString.hasScheme(text) && !DialString.hasScheme("x\(text)")) }
}
