internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Bodies of several parts (RFC 2046 §5.1, RFC 5621)")
struct MultipartTests {
  private static let described = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\n"

  private func body(_ type: String, _ text: String) -> SIPBody? {
    SIPMessage(
      .response(status: 200, reason: "OK"), headers: SIPHeaders([("Content-Type", type)]), bytes: Array(text.utf8)
    ).body
  }

  @Test(
    "the part that describes the session is the body",
    arguments: [
      ("multipart/mixed;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\n", "\r\n--b--\r\n"),
      (
        "Multipart/Mixed ; x=1; boundary=\"a b=c\"",
        "preamble\r\n--a b=c\r\nContent-Type: application/ISUP\r\n\r\n\u{1}--a\r\n--a b=c \r\n"
          + "content-type: application/sdp; charset=x\r\nContent-Disposition: session\r\n\r\n",
        "\r\n--a b=c--\r\nepilogue"
      ),
      (
        "multipart/mixed;boundary=b", "--b\nContent-Type:application/sdp\n\n",
        "\n--b\nContent-Type: text/plain\n\nx\n--b--"
      ),
      (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: multipart/alternative;boundary=c\r\n\r\n--c\r\nContent-Type: text/plain\r\n\r\nx\r\n"
          + "--c\r\nContent-Type: application/sdp\r\n\r\n", "\r\n--c--\r\n--b--"
      ),
    ])
  func found(type: String, before: String, after: String) {
    let body = self.body(type, before + Self.described + after)
    #expect(body?.isSessionDescription == true)
    #expect(body.map { String(decoding: $0.bytes, as: UTF8.self) } == Self.described)
  }

  @Test(
    "where no part does, the body is what it says that it is",
    arguments: [
      ("multipart/mixed;boundary=b", "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--"),
      ("multipart/mixed;boundary=b", "--b\r\n\r\nv=0\r\n--b--"), ("multipart/mixed;boundary=b", "--b\r\n--b\r\n--b--"),
      ("multipart/mixed;boundary=b", "--b"), ("multipart/mixed;boundary=b", "--b--"),
      ("multipart/mixed", "--\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n----"),
      ("multipart/mixed;boundary=", "--\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n----"),
      ("multipart/mixed;boundary=b", "--bc\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--bc--"),
      (
        "multipart/mixed;boundary=b",
        "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\ndj0w\r\n--b--"
      ),
      ("text/plain;boundary=b", "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--"),
    ])
  func notFound(type: String, text: String) {
    let body = self.body(type, text)
    #expect(body?.contentType == type && body?.bytes == Array(text.utf8) && body?.isSessionDescription == false)
  }

  @Test("a body is cut in time that grows with its length, however many parts there are in parts")
  func bounded() {
    let part = "--b\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n"
    let text = String(repeating: part, count: 65_000 / part.utf8.count)
    let clock = ContinuousClock()
    let time = clock.measure { #expect(self.body("multipart/mixed;boundary=b", text)?.isSessionDescription == false) }
    #expect(time < .seconds(2), "\(time)")
  }

  @Test(
    "an INVITE and its 200, each with a part beside the description, make a call; without a description it is a 415")
  func call() {
    func mixed(_ body: SIPBody, _ type: String = "application/sdp") -> SIPBody {
      let before = "--b\r\nContent-Type: application/ISUP\r\n\r\nx\r\n--b\r\nContent-Type: \(type)\r\n\r\n"
      return SIPBody(
        contentType: "multipart/mixed;boundary=b", bytes: Array(before.utf8) + body.bytes + Array("\r\n--b--\r\n".utf8))
    }
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, let invite) = event else { return }
      #expect(invite.body == Pair.offer)
      pair.b.accept(id, body: mixed(Pair.answer), now: pair.now)
    }
    _ = pair.call(body: mixed(Pair.offer))
    pair.run(1_000)
    #expect(pair.established(.a) == [Pair.answer])
    _ = pair.call(body: mixed(Pair.offer, "text/plain"))
    pair.run(1_000)
    #expect(pair.count("415 INVITE", from: .b) == 1)
  }
}
