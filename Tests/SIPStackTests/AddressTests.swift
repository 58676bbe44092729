internal import NetBase
internal import SIPStack
internal import Testing

@Suite("URIs and addresses")
struct AddressTests {
  @Test(
    "a URI is taken apart and written again as it was",
    arguments: [
      ("sip:atlanta.com", nil, "atlanta.com", nil), ("sip:alice@atlanta.com", "alice", "atlanta.com", nil),
      ("sips:alice:secret@atlanta.com:5061;transport=tcp", "alice", "atlanta.com", 5061),
      ("sip:+1-212-555-1212:1234@gateway.com;user=phone", "+1-212-555-1212", "gateway.com", nil),
      ("sip:alice;day=tuesday@atlanta.com", "alice;day=tuesday", "atlanta.com", nil),
      ("sip:[2001:db8::10]:5070;lr", nil, "[2001:db8::10]", 5070), ("sip:a@[::1]", "a", "[::1]", nil),
      ("sip:a@b?subject=x&to=y%20z", "a", "b", nil), ("sip:%61lice@b;x", "%61lice", "b", nil),
      ("tel:+358-555-1234567;postd=pp22", nil, "", nil), ("urn:service:sos", nil, "", nil),
    ] as [(String, String?, String, UInt16?)])
  func uri(text: String, user: String?, host: String, port: UInt16?) throws {
    let uri = try SIPURI(text)
    #expect(uri.user == user && uri.host == host && uri.port == port)
    #expect(uri.description == text)
  }

  @Test(
    "what is no URI is refused",
    arguments: [
      "", "sip:", ":a@b", "sip", "sip:@b", "sip:a@", "sip:a@b:", "sip:a@b:99999", "sip:a@b:5x", "sip:a@[::1",
      "sip:a@[]", "sip:a b@c", "sip:a@b c", "<sip:a@b>", "sip:a@b\r\nX: y", "sip:a@b;x=\"y\"", "1\u{e4}:x", "tel:",
    ])
  func noURI(text: String) {
    #expect(throws: SIPParseError.self) { try SIPURI(text) }
  }

  @Test(
    "URIs are compared as RFC 3261 §19.1.4 shows",
    arguments: [
      ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true),
      ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true),
      ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true),
      ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false),
      ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
      ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false),
      ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false),
      ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false),
      ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false),
      ("sip:bob@biloxi.com", "sips:bob@biloxi.com", false),
    ])
  func equivalence(left: String, right: String, isSame: Bool) throws {
    #expect(try SIPURI(left).isEquivalent(to: SIPURI(right)) == isSame)
    #expect(try SIPURI(right).isEquivalent(to: SIPURI(left)) == isSame)
  }

  @Test("a user part is escaped and comes back")
  func escapes() throws {
    let name = "sips:user@example.com ä%"
    let uri = SIPURI(user: SIPURI.escape(user: name), host: "example.net")
    #expect(try SIPURI(uri.description).unescapedUser == name)
    #expect(try SIPURI("sip:a%00b%zz%4@c").unescapedUser == "a\0b%zz%4")
  }

  @Test(
    "an address is read in each of its forms",
    arguments: [
      ("<sip:a@b>;tag=1", nil, "1", "<sip:a@b>;tag=1"),
      ("sip:a@b;tag=1", nil, "1", "<sip:a@b>;tag=1"),
      ("\"Mr. <X>, \\\"Y\\\"\" <sip:a@b;x=1>;tag=2;p", "Mr. <X>, \"Y\"", "2", nil),
      ("Anne Other <sip:a@b>", "Anne Other", nil, "\"Anne Other\" <sip:a@b>"),
      ("\"\"<sip:a@b>", "", nil, "\"\" <sip:a@b>"),
      ("<tel:+1-555>; tag = \"q;r\" ;", nil, "\"q;r\"", "<tel:+1-555>;tag=\"q;r\""),
    ] as [(String, String?, String?, String?)])
  func address(text: String, name: String?, tag: String?, written: String?) throws {
    let address = try NameAddress(text)
    #expect(address.displayName == name && address.tag == tag)
    #expect(address.description == written ?? text)
  }

  @Test(
    "what is no address is refused",
    arguments: [
      "", "<sip:a@b", "\"A <sip:a@b>", "\"A\" sip:a@b", "<sip:a@b> x", "<>", "*", "A sip:a@b", "<sip:a@b>;tag=\"x",
      "<sip:a@b>;=x", "sip:a@b, sip:c@d",
    ])
  func noAddress(text: String) {
    #expect(throws: SIPParseError.self) { try NameAddress(text) }
  }

  @Test(
    "what is no Via or CSeq is refused",
    arguments: ["", "SIP/2.0", "SIP/2.0/UDP", "SIP/1.0/UDP a", "XIP/2.0/UDP a", "SIP/2.0/UDP a:x", "SIP/2.0/UDP a b"])
  func noVia(text: String) {
    #expect(throws: SIPParseError.self) { try Via(text) }
    #expect(throws: SIPParseError.self) { try CSeq(text) }
    #expect(throws: SIPParseError.self) { try CSeq("2147483648 INVITE") }
    #expect(throws: SIPParseError.self) { try CSeq("36893488147419103232 INVITE") }
  }

  @Test("the generator is ChaCha20: the first block of the zero key, and the second of another (RFC 8439 appendix A.1)")
  func generator() {
    var generator = SeededGenerator(key: (0, 0, 0, 0))
    let expected: [UInt64] = [
      0x903d_f1a0_ade0_b876, 0x28bd_8653_e56a_5d40, 0x1aed_8da0_b819_d2bd, 0xc70d_778b_ccef_36a8,
      0x8d48_5751_7c59_41da, 0x374a_d8b8_3fe0_2477, 0x1ca1_1815_f4b8_436a, 0x8665_eeb2_69b6_87c3,
    ]
    #expect((0..<8).map { _ in generator.next() } == expected)
    var last = SeededGenerator(key: (0, 0, 0, 1 << 56))
    #expect((0..<9).map { _ in last.next() }.last == 0x9249_f8ec_2452_eb3a)
    var (one, same, other) = (SeededGenerator(seed: 7), SeededGenerator(seed: 7), SeededGenerator(seed: 8))
    let text = one.hexadecimal(words: 2)
    #expect(text.count == 32 && text == same.hexadecimal(words: 2) && text != other.hexadecimal(words: 2))
  }
}
