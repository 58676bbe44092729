internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Messages")
struct MessageTests {
  static func parse(_ text: String) -> Result<SIPMessage, SIPParseError> {
    Result { () throws(SIPParseError) in
      try Array(text.utf8).withRawSpan { span throws(SIPParseError) in try SIPMessage(datagram: span) }
    }
  }

  @Test("compact forms, folding, white space and bare line feeds are understood")
  func tolerant() throws {
    let text =
      "\r\n\r\nINVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n"
      + "TO :\n sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n"
      + "f   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n"
      + "i: abc@192.0.2.1\r\ncseq: 0009\r\n  INVITE\r\n"
      + "Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw, SIP/2.0/TCP [2001:db8::9]:5061;branch=x\r\n"
      + "k:\tone , two\r\nSubject :\r\nunknown-header : a;b=\"c,d\" , \"\r\n\r\nbody"
    let message = try Self.parse(text).get()
    let essentials = try SIPEssentials(message)
    #expect(essentials.to.tag == "1918181833n" && essentials.from.tag == "98asjd8")
    #expect(essentials.from.displayName == "J Rosenberg \\\"")
    #expect(essentials.cseq == CSeq(number: 9, method: .invite))
    #expect(essentials.via.host == "192.0.2.2" && essentials.vias.count == 2)
    let second = try Via(essentials.vias[1])
    #expect(second.host == "[2001:db8::9]" && second.port == 5061)
    #expect(message.headers.list("Supported") == ["one", "two"])
    #expect(message.headers["subject"] == "" && message.headers["s"] == "")
    #expect(message.bytes == Array("body".utf8), "without Content-Length the body ends with the datagram")
  }

  @Test(
    "what is not SIP is refused with the reason",
    arguments: [
      ("", .empty), ("\r\n\n", .empty), ("x", .malformedStartLine),
      ("INVITE sip:a@b\r\n\r\n", .malformedStartLine), ("INVITE  sip:a@b SIP/2.0\r\n\r\n", .malformedStartLine),
      ("INVITE sip:a b@c SIP/2.0\r\n\r\n", .malformedStartLine), ("IN,V sip:a@b SIP/2.0\r\n\r\n", .malformedStartLine),
      ("SIP/2.0 4294967301 better\r\n\r\n", .malformedStartLine), ("SIP/2.0 099 low\r\n\r\n", .malformedStartLine),
      ("SIP/2.0 700 high\r\n\r\n", .malformedStartLine), ("SIP/2.0 486 a\u{1B}[2Jb\r\n\r\n", .malformedStartLine),
      ("SIP/3.0 200 OK\r\n\r\n", .unsupportedVersion),
      ("INVITE sip:a@b SIP/7.0\r\n\r\n", .unsupportedVersion), ("INVITE a@b SIP/2.0\r\n\r\n", .malformedURI),
      ("SIP/2.0 200 OK\r\nVia", .unterminatedHeaders), ("SIP/2.0 200 OK\r\n", .unterminatedHeaders),
      ("SIP/2.0 200 OK\r\nVia\r\n\r\n", .malformedHeader), ("SIP/2.0 200 OK\r\n: x\r\n\r\n", .malformedHeader),
      ("SIP/2.0 200 OK\r\n folded\r\n\r\n", .malformedHeader), ("SIP/2.0 200 OK\r\nA: b\0\r\n\r\n", .malformedHeader),
      ("SIP/2.0 200 OK\r\nA: b\rc\r\n\r\n", .malformedHeader),
      ("SIP/2.0 200 OK\r\nl: 5\r\n\r\n1234", .incompleteBody),
      ("SIP/2.0 200 OK\r\nl: -5\r\n\r\n", .malformedContentLength),
      ("SIP/2.0 200 OK\r\nl: 99999999999999999999\r\n\r\n", .malformedContentLength),
      ("SIP/2.0 200 OK\r\nl: 1\r\nContent-Length: 2\r\n\r\n12", .malformedContentLength),
    ] as [(String, SIPParseError)])
  func refused(text: String, error: SIPParseError) {
    #expect(Self.parse(text) == .failure(error))
  }

  @Test("the limits: 64 KiB and 256 header lines")
  func limits() throws {
    let start = "SIP/2.0 200 OK\r\n"
    #expect(throws: Never.self) { try Self.parse(start + String(repeating: "A: b\r\n", count: 256) + "\r\n").get() }
    #expect(Self.parse(start + String(repeating: "A: b\r\n", count: 257) + "\r\n") == .failure(.tooManyHeaders))
    let room = 65_536 - start.utf8.count - 2
    #expect(throws: Never.self) { try Self.parse(start + "\r\n" + String(repeating: "x", count: room)).get() }
    #expect(Self.parse(start + "\r\n" + String(repeating: "x", count: room + 1)) == .failure(.messageTooLarge))
  }

  @Test("hostile shapes are read in linear time: 64 KiB of folds, commas, quotes or semicolons")
  func linear() throws {
    for filler in ["\r\n a", ",", "\"", ";", "\\", "<", " ", ";a=\"b\"", "a,"] {
      let value = String(repeating: filler, count: 30_000 / filler.utf8.count)
      let message = try Self.parse("OPTIONS sip:a@b SIP/2.0\r\nVia: x\(value)\r\nTo: \"x\(value)\r\n\r\n").get()
      _ = message.headers.list("Via").count
      _ = try? SIPEssentials(message)
      _ = try? Via("SIP/2.0/UDP a" + value)
      _ = try? NameAddress("<sip:a@b>" + value)
      _ = try? SIPURI("sip:a@b" + value)
    }
  }

  @Test("what is written is read again as the same")
  func roundTrip() throws {
    var message = SIPMessage(.request(.invite, Pair.uri("sip:bob@192.0.2.2;transport=udp")))
    message.headers.append("f", "\"A \\\"B\\\"\" <sip:a@b>;tag=1")
    message.headers.append("X", "1")
    message.headers.append("x-Y", "ä")
    message.set(body: SIPBody(bytes: [0, 13, 10, 255]))
    let parsed = try message.serialized().withRawSpan { span throws(SIPParseError) in try SIPMessage(datagram: span) }
    #expect(parsed.startLine == message.startLine && parsed.body == message.body)
    #expect(parsed.headers.fields.dropLast() == message.headers.fields[...])
    #expect(parsed.headers["Content-Length"] == "4")
  }

  @Test("no value can start a line of its own")
  func injection() throws {
    var message = SIPMessage(.response(status: 200, reason: "OK\r\nA: 1"))
    message.headers.append("B", "x\r\nC: 2\n\nbody")
    message.headers.append("D\r\nE", "3")
    let parsed = message.serialized().withRawSpan { span in try? SIPMessage(datagram: span) }
    #expect(parsed?.headers["A"] == nil && parsed?.headers["C"] == nil && parsed?.headers["E"] == nil)
  }

  @Test("headers are replaced and removed by name, whatever the form")
  func headers() {
    var headers = SIPHeaders([("Via", "1"), ("Call-ID", "c"), ("v", "2"), ("VIA", "3")])
    #expect(headers.all("v") == ["1", "2", "3"] && headers.count(of: "via") == 3)
    headers.set("v", "9")
    #expect(headers.fields.map(\.value) == ["9", "c"])
    headers.remove("i")
    #expect(headers.fields.map(\.name) == ["Via"])
    headers.set("To", "t")
    #expect(headers["t"] == "t")
  }
}
