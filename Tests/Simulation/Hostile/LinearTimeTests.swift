import Glibc
import NetBase
import RTPStack
import SDPCodec
import SIPStack
import TestSupport
import Testing

/// No input takes more than linear time: eight times the bytes take about eight times as long.
@Suite(.serialized) struct LinearTimeTests {
  /// A shape of input that grows by repeating a piece, and who reads it.
  struct Shape: Sendable, CustomTestStringConvertible {
    let name: String
    let head: String
    let piece: String
    let tail: String
    let reader: @Sendable ([UInt8]) -> Void
    var testDescription: String { self.name }

    func input(_ bytes: Int) -> [UInt8] {
      Array((self.head + String(repeating: self.piece, count: bytes / self.piece.utf8.count) + self.tail).utf8)
    }
  }

  static let head = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1\r\n"
  static let tail = "\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
  static let session = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\n"
  static let media = "m=audio 9 RTP/AVP 0\r\n"

  static let shapes: [Shape] = [
    Shape(name: "one Via with commas", head: head + "Via: ", piece: ",", tail: tail, reader: endpoint),
    Shape(
      name: "one Via of many", head: head + "Via: SIP/2.0/UDP a", piece: ",SIP/2.0/UDP a", tail: tail, reader: endpoint),
    Shape(name: "a quoted string of backslashes", head: head + "From: \"", piece: "\\\\", tail: tail, reader: endpoint),
    Shape(
      name: "parameters of one name", head: head + "Contact: <sip:a@b>", piece: ";a=b", tail: tail, reader: endpoint),
    Shape(
      name: "different routes", head: head + "Route: <sip:a;lr>", piece: ",<sip:b;lr>", tail: tail, reader: endpoint),
    Shape(name: "a folded header", head: head + "X: a", piece: "\r\n a", tail: tail, reader: endpoint),
    Shape(name: "line ends", head: "", piece: "\r\n", tail: "", reader: endpoint),
    Shape(name: "a URI of escapes", head: "OPTIONS sip:", piece: "%41", tail: "@b SIP/2.0" + tail, reader: endpoint),
    Shape(name: "a Require of many", head: head + "Require: a", piece: ",b", tail: tail, reader: endpoint),
    Shape(name: "media lines", head: session, piece: "m=audio 9 RTP/AVP 0\r\n", tail: "", reader: description),
    Shape(name: "formats", head: session + "m=audio 9 RTP/AVP 0", piece: " 8", tail: "\r\n", reader: description),
    Shape(name: "rtpmaps", head: session + media, piece: "a=rtpmap:0 PCMU/8000\r\n", tail: "", reader: description),
    Shape(name: "flags", head: session + media, piece: "a=x\r\n", tail: "", reader: description),
    Shape(
      name: "crypto lines", head: session + media, piece: "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n",
      tail: "",
      reader: description),
    Shape(name: "a text without end", head: session + "a=", piece: "x", tail: "", reader: description),
  ]

  @Test("eight times the bytes take about eight times as long", arguments: shapes)
  func isLinear(shape: Shape) {
    let (small, large) = (shape.input(7_500), shape.input(60_000))
    // The CPU time of this thread, so that a busy machine does not matter; the best of a few.
    let (one, eight) = (Self.time(small, shape.reader), Self.time(large, shape.reader))
    #expect(eight < one * 24 + 0.0005, "\(shape.name): \(one * 1e6) µs, then \(eight * 1e6) µs")
    // Far more than it takes, for a debug build under a sanitizer.
    #expect(eight < 2, "\(shape.name) takes \(eight) s")
  }

  @Test("a compound of the smallest RTCP packets is read in linear time")
  func reports() {
    func compound(_ bytes: Int) -> [UInt8] { Array(repeating: [0x80, 203, 0, 0], count: bytes / 4).flatMap { $0 } }
    let read: @Sendable ([UInt8]) -> Void = { bytes in
      bytes.withRawSpan { span in
        guard var packets = try? RTCPCompound(span) else { return }
        while packets.next() != nil {}
      }
    }
    let (one, eight) = (Self.time(compound(8_000), read), Self.time(compound(64_000), read))
    #expect(eight < one * 24 + 0.0005, "\(one * 1e6) µs, then \(eight * 1e6) µs")
  }

  private static let endpoint: @Sendable ([UInt8]) -> Void = { bytes in
    let endpoint = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 1))
    let peer = SocketAddress(ipv4: 0x0A00_0002, port: 5060)
    bytes.withRawSpan {
      endpoint.receive($0, from: peer, on: peer, transport: .udp, now: Instant(nanoseconds: 0))
    }
    while endpoint.nextAction() != nil {}
  }

  private static let description: @Sendable ([UInt8]) -> Void = { bytes in
    _ = SDPRedaction.redacted(String(decoding: bytes, as: UTF8.self))
    guard let offer = try? SessionDescription(parsing: bytes) else { return }
    var negotiator = OfferAnswer(sessionID: 1, address: SocketAddress(ipv4: 0x0A00_0001, port: 20_000))
    _ = try? negotiator.receiveOffer(offer)
  }

  private static func time(_ bytes: [UInt8], _ body: ([UInt8]) -> Void) -> Double {
    (0..<5).map { _ in
      let start = Self.now
      body(bytes)
      return Self.now - start
    }.min() ?? 0
  }

  private static var now: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}
