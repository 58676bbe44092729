internal import SIPStack
internal import Testing

/// A message of ours for each of the cases of RFC 4475 and RFC 5118, and what becomes of it here.
struct TortureCase: CustomTestStringConvertible {
  enum Verdict: Equatable {
    /// Handed on: an INVITE gets 100 and a call, another request that is known gets its 200.
    case served
    case refused(Int)
    /// Dropped without an answer.
    case ignored
  }

  let name: String
  let message: String
  let verdict: Verdict

  init(_ name: String, _ verdict: Verdict, _ message: String) {
    (self.name, self.message, self.verdict) = (name, message, verdict)
  }

  var testDescription: String { self.name }

  static let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
  static let isSDP = "Content-Type: application/sdp"

  /// RFC 4475 §3.1.1: syntactically valid.
  static let valid: [TortureCase] = [
    // wsinv: folds, tabs, compact names, odd case, empty values, quoted pairs.
    TortureCase(
      "wsinv", .served,
      """
      INVITE sip:bob@192.0.2.2;unknown SIP/2.0\r
      TO :\r
       <sip:bob@192.0.2.2>\r
      fRoM : "A \\\\ \\"B\\""\t<sip:eve@192.0.2.1>\r
        ;\ttag = 9\r
      mAx-ForWards: 0068\r
      i: ws\t1\r
      cseq: 0009\r
        INVITE\r
      v : SIP /\r
       2.0\r
       / UDP\r
        192.0.2.1:5060;branch = z9hG4bKws\r
      s:\r
      X-Unknown:\r
        newer\r
      v: SIP / 2.0 / TCP h.example.com; branch=z9hG4bKws2 , SIP/2.0/UDP [2001:db8::9]:5062;branch=z9hG4bKws3\r
      l: 0\r
      \r

      """),
    // intmeth: every character that a method, a user and a header name may hold.
    TortureCase(
      "intmeth", .refused(405),
      Requests.text(
        SIPMethod("!mEtHod*%_+`'~.-"), uri: "sip:!%25*_+`'~.-=&$,;?/:p!&=+$,@example.com",
        headers: ["X!*%_+`'~.-: \u{7F16}"])),
    TortureCase("esc01", .served, Requests.text(.invite, uri: "sip:sips%3Auser%40example.com@192.0.2.2;a%6Eb=%41")),
    TortureCase(
      "escnull", .served, Requests.text(.options, uri: "sip:null-%00-null@192.0.2.2", from: "<sip:%00@192.0.2.1>;tag=1")
    ),
    TortureCase("esc02", .refused(405), Requests.text(SIPMethod("RE%47IST%45R"))),
    TortureCase("lwsdisp", .served, Requests.text(.options, from: "caller<sip:eve@192.0.2.1>;tag=323")),
    TortureCase(
      "longreq", .served,
      Requests.text(
        .invite, uri: "sip:" + String(repeating: "long", count: 250) + "@192.0.2.2",
        from: "\"" + String(repeating: "name ", count: 200) + "\" <sip:eve@192.0.2.1>;tag=1",
        callID: String(repeating: "call", count: 100),
        headers: (1...34).map { "Via: SIP/2.0/TCP p\($0).example.com;branch=z9hG4bK\($0)" }
          + [String(repeating: "X", count: 900) + ": y"])),
    // dblreq: what follows the body in a datagram is not looked at.
    TortureCase("dblreq", .served, Requests.text(.options) + Requests.text(.invite, branch: "z9hG4bKsecond")),
    TortureCase("semiuri", .served, Requests.text(.options, uri: "sip:user;par=u%40example.net@192.0.2.2")),
    TortureCase(
      "transports", .served,
      Requests.text(
        .options,
        headers: ["Via: SIP/2.0/SCTP a.example.com;branch=z9hG4bKa, SIP/2.0/UNKNOWN b.example.com;branch=z9hG4bKb"])),
    TortureCase(
      "mpart01", .refused(415),
      Requests.text(
        .invite, headers: ["Content-Type: multipart/mixed;boundary=b"],
        body: "--b\r\nContent-Type: text/plain\r\n\r\nx\0y\r\n--b--\r\n")),
    TortureCase(
      "unreason", .ignored, "SIP/2.0 200 = 2**3 * \u{5FC}\u{2207}\r\n" + Self.responseRest),
    TortureCase("noreason", .ignored, "SIP/2.0 100 \r\n" + Self.responseRest),
  ]

  /// What a response of nobody has after its first line.
  static let responseRest =
    "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n"
    + "Call-ID: r\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"

  /// RFC 4475 §3.1.2: syntactically invalid.
  static let invalid: [TortureCase] = [
    TortureCase(
      "badinv01", .refused(400),
      Requests.text(.invite, headers: ["Via: SIP/2.0/UDP 192.0.2.9;;,;,,", "Contact: \"Joe\" <sip:joe@e.org>;;;;"])),
    TortureCase(
      "clerr", .refused(400), Requests.text(.invite).replacing("Content-Length: 0", with: "Content-Length: 9999")),
    TortureCase(
      "ncl", .refused(400), Requests.text(.invite).replacing("Content-Length: 0", with: "Content-Length: -9")),
    TortureCase(
      "scalar02", .refused(400), Requests.text(.options).replacing("CSeq: 1 ", with: "CSeq: 36893488147419103232 ")),
    TortureCase(
      "scalarlg", .ignored,
      "SIP/2.0 503 x\r\n" + responseRest.replacing("CSeq: 1", with: "CSeq: 9292394834772304023312")),
    TortureCase("quotbal", .refused(400), Requests.text(.invite, to: "\"Mr. B <sip:bob@192.0.2.2>")),
    TortureCase("ltgtruri", .refused(400), Requests.text(.invite, uri: "<sip:bob@192.0.2.2>")),
    TortureCase("lwsruri", .refused(400), Requests.text(.invite, uri: "sip:bob@192.0.2.2; lr")),
    TortureCase("lwsstart", .refused(400), Requests.text(.invite, uri: " sip:bob@192.0.2.2 ")),
    TortureCase("trws", .refused(400), Requests.text(.options).replacing("SIP/2.0\r\nVia", with: "SIP/2.0  \r\nVia")),
    TortureCase("escruri", .served, Requests.text(.invite, uri: "sip:bob@192.0.2.2?Route=%3Csip:e.org%3E")),
    TortureCase(
      "baddate", .served, Requests.text(.invite, headers: ["Date: Fri, 01 Jan 2010 16:00:00 EST"])),
    TortureCase(
      "regbadct", .refused(405), Requests.text(.register, headers: ["Contact: sip:user@e.org?Route=%3Csip:s.org%3E"])),
    TortureCase("badaspec", .refused(400), Requests.text(.options, to: "\"Watson, T.\" <sip:t@e.org> <sip:u@e.org>")),
    TortureCase("baddn", .served, Requests.text(.options, from: "Bell, Alexander <sip:a@192.0.2.1>;tag=43")),
    TortureCase("badvers", .refused(505), Requests.text(.options).replacing("SIP/2.0\r\nVia", with: "SIP/7.0\r\nVia")),
    TortureCase("mismatch01", .refused(400), Requests.text(.options).replacing("1 OPTIONS", with: "1 INVITE")),
    TortureCase(
      "mismatch02", .refused(400), Requests.text(SIPMethod("NEWMETHOD")).replacing("1 NEWMETHOD", with: "1 INVITE")),
    TortureCase("bigcode", .ignored, "SIP/2.0 4294967301 x\r\n" + responseRest),
  ]

  /// RFC 4475 §3.2 to §3.4: about transactions, the application, and compatibility with RFC 2543.
  static let meaning: [TortureCase] = [
    TortureCase("badbranch", .served, Requests.text(.options, branch: "z9hG4bK")),
    TortureCase(
      "insuf", .refused(400), "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nl: 0\r\n\r\n"),
    TortureCase("unkscm", .refused(416), Requests.text(.options, uri: "nobodyKnowsThisScheme:totallyopaque")),
    TortureCase("novelsc", .refused(416), Requests.text(.options, uri: "soap.beep://192.0.2.103:3002")),
    TortureCase("unksm2", .served, Requests.text(.options, to: "isbn:2983792873", headers: ["Contact: <name:x>"])),
    TortureCase(
      "bext01", .refused(420),
      Requests.text(.options, headers: ["Require: nothingSupportsThis, nothingSupportsThisEither", "Proxy-Require: x"])),
    TortureCase(
      "invut", .refused(415), Requests.text(.invite, headers: ["Content-Type: application/unknownformat"], body: "x")),
    TortureCase(
      "regaut01", .refused(405), Requests.text(.register, headers: ["Authorization: NoOneKnows x=\"y\", z=w"])),
    TortureCase(
      "multi01", .refused(400), Requests.text(.invite, headers: ["Call-ID: other", "CSeq: 2 BYE", "Max-Forwards: 1"])),
    TortureCase("mcl01", .refused(400), Requests.text(.options, headers: ["Content-Length: 20"], body: "five.")),
    TortureCase(
      "bcast", .ignored, "SIP/2.0 200 OK\r\n" + responseRest.replacing("192.0.2.2:5060", with: "255.255.255.255;rport")),
    TortureCase("zeromf", .served, Requests.text(.options, headers: ["Max-Forwards: 0"])),
    TortureCase(
      "cparam01", .served, Requests.text(.options, headers: ["Contact: sip:+19725552222@gw1.example.net;unknownparam"])),
    TortureCase(
      "cparam02", .served, Requests.text(.options, headers: ["Contact: <sip:+1972@gw1.example.net;unknownparam>"])),
    TortureCase(
      "regescrt", .refused(405),
      Requests.text(.register, headers: ["Contact: <sip:u@example.com?Route=%3Csip:e.com%3E>"])),
    TortureCase("sdp01", .served, Requests.text(.invite, headers: ["Accept: text/nobodyKnowsThis", isSDP], body: sdp)),
    TortureCase(
      "inv2543", .served,
      Requests.text(.invite, from: "sip:iuser@192.0.2.1", branch: "1", headers: [isSDP], body: sdp)
        .replacing(";branch=1", with: "")),
  ]

  /// RFC 5118 §4: IPv6.
  static let ipv6: [TortureCase] = [
    TortureCase("4.1 a reference", .served, Requests.text(.options, uri: "sip:[2001:db8::10]")),
    TortureCase("4.2 without brackets", .refused(400), Requests.text(.options, uri: "sip:2001:db8::10")),
    TortureCase("4.3 a port inside the brackets", .served, Requests.text(.options, uri: "sip:[2001:db8::10:5070]")),
    TortureCase("4.4 a port outside", .served, Requests.text(.options, uri: "sip:[2001:db8::10]:5070")),
    TortureCase(
      "4.5 received with brackets", .served,
      Requests.text(.options, via: "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];rport")),
    TortureCase(
      "4.5 received without brackets", .served,
      Requests.text(.options, via: "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;rport")),
    TortureCase(
      "4.6 in SDP", .served,
      Requests.text(.invite, headers: [isSDP], body: sdp.replacing("IP4 192.0.2.1", with: "IP6 2001:db8::20"))),
    TortureCase(
      "4.7 both families in Via", .served,
      Requests.text(
        .options,
        headers: ["Via: SIP/2.0/UDP 192.0.2.5:5060;branch=z9hG4bKx, SIP/2.0/UDP [2001:db8::9];branch=z9hG4bKy"])),
    TortureCase(
      "4.8 both families in SDP", .served,
      Requests.text(.invite, headers: [isSDP], body: sdp + "c=IN IP6 2001:db8::1\r\nm=video 6000 RTP/AVP 31\r\n")),
    TortureCase("4.9 an IPv4-mapped address", .served, Requests.text(.options, uri: "sip:u@[::ffff:192.0.2.10]:19823")),
    TortureCase("4.10 three colons", .served, Requests.text(.options, uri: "sip:u@[2001:db8:::192.0.2.1]")),
  ]
}
