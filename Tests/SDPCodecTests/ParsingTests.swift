import NetBase
import SDPCodec
import Testing

@Suite struct ParsingTests {
  static let lines = [
    "v=0", "o=jdoe 2890844526 2890842807 IN IP4 10.47.16.5", "s=SDP Seminar", "i=A seminar", "u=http://example.com/",
    "e=j.doe@example.com", "p=+1 617 555 6011", "c=IN IP4 224.2.17.12/127", "b=AS:256", "t=2873397496 2873404696",
    "r=604800 3600 0 90000", "z=2882844526 -1h", "a=recvonly", "m=audio 49170 RTP/AVP 0", "i=the speaker",
    "m=video 51372/2 RTP/AVP 99", "c=IN IP6 ff15::101/3", "b=TIAS:50000", "a=rtpmap:99 h263-1998/90000",
  ]
  static let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

  @Test("every line of RFC 8866 is read and written back in the RFC's order")
  func everyLine() throws {
    let text = Self.lines.map { $0 + "\r\n" }.joined()
    let session = try SessionDescription(parsing: text)
    #expect(session.text == text)
    #expect(session.origin.sessionVersion == "2890842807")
    #expect(session.connection?.host == "224.2.17.12")
    #expect(session.direction == .recvonly)
    #expect(session.media[0].information == "the speaker")
    #expect(session.media[1].port == 51372 && session.media[1].portCount == 2)
    #expect(session.media[1].connection?.host == "ff15::101")
    #expect(session.timings == [SDPTiming(start: 2_873_397_496, stop: 2_873_404_696, repeats: ["604800 3600 0 90000"])])
  }

  @Test(
    "line ends, blanks and unknown lines do not change what is read",
    arguments: ["\n", " \t\r\n", "\r\n\r\n", "\r\ny=unknown\r\n", "\r\nno equals sign\r\n", "\nk=clear:secret\n"])
  func tolerance(lineEnd: String) throws {
    let expected = try SessionDescription(parsing: Self.lines.map { $0 + "\r\n" }.joined())
    #expect(try SessionDescription(parsing: Self.lines.map { $0 + lineEnd }.joined()) == expected)
  }

  @Test("bytes, a span and text are read alike")
  func inputs() throws {
    let text = Self.lines.joined(separator: "\r\n")
    let bytes = Array(text.utf8)
    let expected = try SessionDescription(parsing: text)
    #expect(try SessionDescription(parsing: bytes) == expected)
    let fromSpan = try bytes.withRawSpan { span throws(SDPError) in try SessionDescription(parsing: span) }
    #expect(fromSpan == expected)
  }

  @Test("a session without name or time is read as if it had the empty ones")
  func defaults() throws {
    let session = try SessionDescription(parsing: "v=0\no=- 1 1 IN IP4 h.example\ns= \nm=audio 9 RTP/AVP 0")
    #expect(session.sessionName == "-")
    #expect(session.timings == [SDPTiming()])
    #expect(session.text.contains("s=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"))
  }

  @Test("bytes that are not UTF-8 are replaced, not trapped")
  func notUTF8() throws {
    let bytes = Array("v=0\no=- 1 1 IN IP4 h\ns=".utf8) + [0xFF, 0xC3, 0x28] + Array("\nm=audio 9 RTP/AVP 0\n".utf8)
    #expect(try SessionDescription(parsing: bytes).media.count == 1)
  }

  static let refusals: [(String, SDPError)] = [
    ("", .missing(type: "v", line: 1)),
    ("v=1\r\n", .notVersionZero(line: 1)),
    ("s=-\r\nv=0\r\n", .notVersionZero(line: 1)),
    ("HTTP/1.1 200 OK\r\n", .notVersionZero(line: 1)),
    ("v=0\r\ns=-\r\n", .missing(type: "o", line: 3)),
    ("v=0\r\no=- 1 1 IN IP4\r\n", .malformed(type: "o", line: 2)),
    ("v=0\r\nv=0\r\n", .duplicate(type: "v", line: 2)),
    ("v=0\r\no=- 1 1 IN IP4 h\r\no=- 1 1 IN IP4 h\r\n", .duplicate(type: "o", line: 3)),
  ]

  /// Lines behind `head`, where they are the fifth.
  static let refusedLines: [(String, SDPError)] = [
    ("t=now later", .malformed(type: "t", line: 5)),
    ("c=IN IP4", .malformed(type: "c", line: 5)),
    ("m=audio", .malformed(type: "m", line: 5)),
    ("m=audio 65536 RTP/AVP 0", .malformed(type: "m", line: 5)),
    ("m=audio -1 RTP/AVP 0", .malformed(type: "m", line: 5)),
    ("m=audio +1 RTP/AVP 0", .malformed(type: "m", line: 5)),
    ("m=audio 9/0 RTP/AVP 0", .malformed(type: "m", line: 5)),
    ("m=audio 9/x RTP/AVP 0", .malformed(type: "m", line: 5)),
    ("a=x:\0", .invalidByte(line: 5)),
    ("a=x:1\ra=y:2", .invalidByte(line: 5)),
  ]

  @Test("what is no description is refused with its line", arguments: refusals)
  func refused(text: String, error: SDPError) {
    #expect(throws: error) { try SessionDescription(parsing: text) }
  }

  @Test("a line that cannot be skipped is refused with its number", arguments: refusedLines)
  func refused(line: String, error: SDPError) {
    #expect(throws: error) { try SessionDescription(parsing: "\(Self.head)\(line)\r\n") }
  }

  @Test("the caps are met without a complaint and passed with an error")
  func caps() throws {
    let media = String(repeating: "m=audio 9 RTP/AVP 0\r\n", count: 64)
    let attributes = String(repeating: "a=x\r\n", count: 512)
    #expect(try SessionDescription(parsing: Self.head + attributes + media + attributes).media.count == 64)
    #expect(throws: SDPError.tooManyMedia(line: 69)) {
      try SessionDescription(parsing: Self.head + media + "m=audio 9 RTP/AVP 0\r\n")
    }
    #expect(throws: SDPError.tooManyAttributes(line: 517)) {
      try SessionDescription(parsing: Self.head + attributes + "a=x\r\n")
    }
    #expect(throws: SDPError.tooManyAttributes(line: 518)) {
      try SessionDescription(parsing: Self.head + "m=audio 9 RTP/AVP 0\r\n" + attributes + "a=x\r\n")
    }
    let full = Self.head + "a=" + String(repeating: "x", count: 65_536 - Self.head.utf8.count - 2)
    #expect(try SessionDescription(parsing: full).attributes.count == 1)
    #expect(throws: SDPError.tooLarge(bytes: 65_537)) { try SessionDescription(parsing: full + "x") }
    let bytes = Array((full + "x").utf8)
    #expect(throws: SDPError.tooLarge(bytes: 65_537)) {
      try bytes.withRawSpan { span throws(SDPError) in try SessionDescription(parsing: span) }
    }
  }

  @Test(
    "64 KiB of anything is read or refused, and negotiated, in no time", .timeLimit(.minutes(5)),
    arguments: [
      "\n", "a\n", "a=\n", "b=AS:1\n", "e=x\n", "r=1\n", "t=0 0\n", "i=x\n", "c=IN IP4 h\n", "m=audio 9 RTP/AVP",
      "m=audio 9 RTP/AVP 96 ", "m=audio 9 RTP/AVP 0\na=fmtp:0 ", "a=rtpmap:0 ", "a=fingerprint:sha-256 ", "AA:", " 1",
      "\t",
      "/", ":", "\u{301}", "=",
    ])
  func bombs(unit: String) throws {
    let start = "\(Self.head)c=IN IP4 192.0.2.9\r\nm=audio 9 RTP/AVP 0\r\n\(unit)"
    let text = start + String(repeating: unit, count: (65_536 - start.utf8.count) / unit.utf8.count)
    guard let session = try? SessionDescription(parsing: text) else { return }
    var agent = try agent()
    let media = try agent.receiveOffer(session)
    #expect(media.count <= SDPLimits.media)
    _ = media.map { ($0.fingerprints, $0.rtpmaps, $0.fmtps, $0.ssrcs, $0.rtcp, $0.ptime) }
    _ = session.redacted
  }

  @Test("no prefix of a real description traps", arguments: RealOffers.all)
  func truncated(offer: RealOffer) throws {
    let bytes = Array(offer.text.utf8)
    for count in 0...bytes.count {
      guard let session = try? SessionDescription(parsing: Array(bytes[..<count])) else { continue }
      for media in try agent().receiving(session) { _ = (media.fingerprints, media.rtcp, media.ssrcs, media.groups) }
    }
  }

  @Test("no mutation of a real description traps", arguments: RealOffers.all)
  func mutated(offer: RealOffer) throws {
    var random = SeededGenerator(seed: 3264)
    let original = Array(offer.text.utf8)
    for _ in 0..<300 {
      var bytes = original
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      guard let session = try? SessionDescription(parsing: bytes) else { continue }
      var agent = try agent()
      try agent.receiveOffer(session)
      _ = try? agent.makeAnswer([
        try audio([opus, pcmu, events], accepts: ["RTP/AVP", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"])
      ])
    }
  }
}

extension OfferAnswer {
  /// The lines of `offer`.
  func receiving(_ offer: SessionDescription) throws -> [RemoteMedia] {
    var copy = self
    return try copy.receiveOffer(offer)
  }
}
