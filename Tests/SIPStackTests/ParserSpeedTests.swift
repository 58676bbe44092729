internal import Glibc
internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Speed of the parser")
struct ParserSpeedTests {
  /// An INVITE as a phone sends it through a proxy, with an offer of three codecs.
  static let invite: [UInt8] = {
    let lines = [
      "INVITE sip:bob@biloxi.example.com;transport=udp SIP/2.0",
      "Via: SIP/2.0/UDP proxy3.site3.atlanta.example.com:5060;rport;branch=z9hG4bK77ef4c2312983.1",
      "Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bKnashds8;received=192.0.2.1", "Max-Forwards: 69",
      "Record-Route: <sip:proxy3.site3.atlanta.example.com;lr>",
      "From: \"Alice\" <sip:alice@atlanta.example.com>;tag=1928301774", "To: Bob <sip:bob@biloxi.example.com>",
      "Call-ID: a84b4c76e66710@pc33.atlanta.example.com", "CSeq: 314159 INVITE",
      "Contact: <sip:alice@pc33.atlanta.example.com:5060>",
      "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, REFER, NOTIFY", "Supported: 100rel, timer, replaces",
      "User-Agent: Phone/1.0", "Content-Type: application/sdp",
    ]
    let body =
      [
        "v=0", "o=alice 2890844526 2890844526 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0",
        "m=audio 49172 RTP/AVP 96 0 8 101", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1",
        "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=ptime:20", "a=sendrecv",
      ].joined(separator: "\r\n") + "\r\n"
    return Array((lines + ["Content-Length: \(body.utf8.count)", "", body]).joined(separator: "\r\n").utf8)
  }()

  /// The shortest processor time of one `body` in a run of many: what else the machine does makes the others longer.
  static func shortest(batches: Int, of count: Int, _ body: () -> Void) -> Double {
    let times = (0..<batches).map { _ in
      let start = Self.threadTime
      for _ in 0..<count { body() }
      return (Self.threadTime - start) / Double(count)
    }
    return times.min() ?? .infinity
  }

  /// What this thread has used of a processor, in microseconds.
  private static var threadTime: Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) * 1e6 + Double(time.tv_nsec) / 1e3
  }

  /// What the library's own way to make strings of an INVITE's lines takes, in microseconds: 2.6 on two processors of our
  /// own. Where neighbours have a share of the caches and of the arithmetic it is more, and so is everything else.
  private static var yardstick: Double {
    var count = 0
    defer { precondition(count > 0) }
    return Self.shortest(batches: 100, of: 100) {
      for line in Self.invite.split(separator: UInt8(ascii: "\n")) {
        count += String(decoding: line, as: UTF8.self).utf8.count
      }
    }
  }

  /// A quiet machine is held to the 5 microseconds themselves.
  private static let isLong = unsafe getenv("APUS_LONG").map { unsafe String(cString: $0) } == "1"

  // What the optimiser has not seen, or a sanitizer watches, says nothing of the time.
  #if !DEBUG
    @Test("an INVITE is read in 5 microseconds, and its addresses are taken apart in as many, on a machine of our own")
    func invite() throws {
      var lines = 0
      let message = try Self.invite.withRawSpan { span throws(SIPParseError) in try SIPMessage(datagram: span) }
      var (time, taken, yardstick) = (Double.infinity, Double.infinity, Double.infinity)
      var limit: Double { Self.isLong ? 5 : 5 * max(1, yardstick / 2.8) }
      var rounds = 0
      // Whatever else runs makes it slower, for a second or two at times, and never faster.
      repeat {
        if rounds > 0 { usleep(400_000) }
        rounds += 1
        yardstick = min(yardstick, Self.yardstick)
        time = min(
          time,
          Self.shortest(batches: 200, of: 100) {
            if let parsed = Self.invite.withRawSpan({ try? SIPMessage(datagram: $0) }) {
              lines += parsed.headers.fields.count
            }
          })
        taken = min(
          taken,
          Self.shortest(batches: 200, of: 100) {
            if let essentials = try? SIPEssentials(message) { lines += essentials.vias.count }
          })
      } while max(time, taken) > limit && rounds < 8
      print("its lines as strings: \(yardstick) µs, so that the limit is \(limit)")
      print("an INVITE of \(Self.invite.count) bytes: read in \(time) µs, its addresses taken apart in \(taken) µs")
      #expect(lines == rounds * 20_000 * (message.headers.fields.count + 2))
      #expect(time <= limit, "read in \(time) µs")
      #expect(taken <= limit, "taken apart in \(taken) µs")
    }
  #endif

  @Test(
    "time grows with the length and no faster, up to the limit",
    arguments: [
      (
        "headers",
        "X-Filler: abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijk"
          + "lmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnop"
          + "qrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrs\r\n", ""
      ),
      ("folds", " a\r\n", "X: b\r\n"), ("commas", "a,", "Via: "), ("colons", ":", "X"), ("quotes", "\"", "To: "),
    ])
  func linear(name: String, filler: String, start: String) throws {
    func time(_ length: Int) -> Double {
      let filling = String(repeating: filler, count: length / filler.utf8.count)
      let text = "OPTIONS sip:a@b SIP/2.0\r\n\(start)\(filling)" + (filler.hasSuffix("\n") ? "" : "\r\n") + "\r\n"
      let bytes = Array(text.utf8)
      return Self.shortest(batches: 6, of: 1) {
        guard let message = bytes.withRawSpan({ try? SIPMessage(datagram: $0) }) else {
          Issue.record("\(name) of \(length) bytes is not read")
          return
        }
        _ = message.headers.list("Via").count
        _ = try? SIPEssentials(message)
      }
    }
    let (short, long) = (time(7_500), time(60_000))
    // Eight times the length: eight times the time, 64 times if it were quadratic.
    #expect(long < short * 24, "\(name): \(short) µs, then \(long) µs")
  }
}
