internal import SIPStack
internal import Testing

@Suite("Presence documents (RFC 3863, RFC 4480)")
struct PIDFTests {
  static func body(_ text: String, type: String = "application/pidf+xml") -> SIPBody {
    SIPBody(contentType: type, bytes: Array(text.utf8))
  }

  static func document(_ content: String) -> String {
    "<?xml version=\"1.0\"?><presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:a@b\">\(content)</presence>"
  }

  static let open = "<tuple id=\"t\"><status><basic>open</basic></status></tuple>"
  static let closed = "<tuple id=\"t\"><status><basic>closed</basic></status></tuple>"

  static func doing(_ what: String) -> String { "<person id=\"p\"><activities><\(what)/></activities></person>" }

  @Test("what is written is read again", arguments: PresenceState.allCases)
  func roundTrip(state: PresenceState) throws {
    let document = PIDF(entity: "sip:\"a&b<c>\"@example.test;x='y'", state: state)
    #expect(PIDF(document.body) == document)
  }

  @Test("baresip finds its letters in what is written")
  func letters() {
    let text = PresenceState.allCases.map {
      String(decoding: PIDF(entity: "sip:a@b", state: $0).body.bytes, as: UTF8.self)
    }
    #expect(text.map { $0.contains("<basic>open</basic>") } == [false, true, true, true, false])
    #expect(text.map { $0.contains("<basic>closed</basic>") } == [false, false, false, false, true])
    #expect(text.map { $0.contains("<rpid:away/>") } == [false, false, true, false, false])
    #expect(text.map { $0.contains("<rpid:busy/>") } == [false, false, false, true, false])
  }

  static let states: [(String, PresenceState)] = [
    (open, .online), (closed, .offline), (closed + open, .online), ("", .unknown),
    (open + doing("rpid:away"), .away), (open + doing("r:busy"), .busy), (open + doing("on-the-phone"), .busy),
    (open + doing("meal"), .online), (closed + doing("busy"), .offline), (doing("away"), .away),
    ("<tuple><status><basic> OPEN\n</basic><activities><busy/></activities></status></tuple>", .busy),
    ("<tuple><status/></tuple>", .unknown),
    ("<tuple><status><basic>?</basic></status></tuple>", .unknown), ("<note>basic open</note>", .unknown),
    ("<!-- <tuple> --><tuple><status><basic>op<!-- -->en</basic></status></tuple><?x y?>", .online),
    ("<tuple><status><basic><![CDATA[open]]></basic></status></tuple>", .online),
    ("<tuple><status><basic>&#x6f;p&#101;n</basic></status></tuple>", .online),
  ]

  @Test("one open tuple makes a person reachable; what the person does comes then", arguments: states)
  func state(content: String, state: PresenceState) {
    #expect(PIDF(Self.body(Self.document(content)))?.state == state)
  }

  @Test("baresip's own document is read")
  func baresip() {
    let text = """
      <?xml version="1.0" encoding="UTF-8" standalone="no"?>\r
      <presence xmlns="urn:ietf:params:xml:ns:pidf"\r
          xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model"\r
          xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"\r
          entity="sip:a@b">\r
        <dm:person id="p4159"><rpid:activities/></dm:person>\r
        <tuple id="t4109">\r
          <status>\r
            <basic>closed</basic>\r
          </status>\r
          <contact>sip:a@b</contact>\r
        </tuple>\r
      </presence>\r

      """
    #expect(PIDF(Self.body(text)) == PIDF(entity: "sip:a@b", state: .offline))
    #expect(PIDF(Self.body(text, type: "Application/PIDF+XML; charset=UTF-8"))?.state == .offline)
    #expect(PIDF(Self.body(text, type: "text/plain")) == nil)
  }

  static let malformed: [String] = [
    "", "<", "presence", "<presence", "<presence>", "<presence></tuple>", "<presence/><presence/>", "<presence/>x",
    "<list/>", "<presence a></presence>", "<presence a=b/>", "<presence a='1'b='2'/>", "<presence a='<'/>",
    "<presence>&unknown;</presence>", "<presence>&amp</presence>", "<presence>&#0;</presence>",
    "<presence>&#xD800;</presence>", "<presence>&#99999999;</presence>", "<presence><!-- </presence>",
    "<presence><![CDATA[ </presence>", "<presence><? </presence>", "<presence><!ELEMENT a></presence>",
    "<!DOCTYPE presence><presence/>",
    "<!DOCTYPE p [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><presence>&b;</presence>",
    String(repeating: "<presence>", count: 17) + String(repeating: "</presence>", count: 17),
    "<presence>" + String(repeating: "<a/>", count: 1_024) + "</presence>",
    "<presence" + (0..<33).map { " a\($0)='1'" }.joined() + "/>",
    "<presence>" + String(repeating: " ", count: 65_536) + "</presence>",
  ]

  @Test("what is malformed, too large or has a document type is refused, never a trap", arguments: malformed)
  func refused(text: String) {
    #expect(PIDF(Self.body(text)) == nil)
  }

  @Test("no byte less, and no byte changed, is a trap")
  func everyByte() {
    let bytes = PIDF(entity: "sip:a@b", state: .busy).body.bytes
    for index in bytes.indices {
      _ = PIDF(SIPBody(contentType: PIDF.contentType, bytes: Array(bytes[..<index])))
      for byte in [0, UInt8(ascii: "<"), UInt8(ascii: "&"), UInt8(ascii: ">"), 0xFF] {
        var changed = bytes
        changed[index] = byte
        _ = PIDF(SIPBody(contentType: PIDF.contentType, bytes: changed))
      }
    }
  }
}
