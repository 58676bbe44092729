import NetBase
import SIPStack
import Testing

@Suite struct StreamFramerTests {
  static let invite = Array("INVITE sip:b@x SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 5\r\n\r\nhello".utf8)
  static let options = Array("OPTIONS sip:b@x SIP/2.0\r\nl : 0\r\n\r\n".utf8)

  /// What comes out when `bytes` arrive in pieces of `size`.
  static func elements(
    _ bytes: [UInt8], size: Int = .max, role: SIPStreamFramer.Role = .server, limit: Int = 65_536
  ) throws(SIPStreamFramer.Failure) -> [SIPStreamFramer.Element] {
    var framer = SIPStreamFramer(role: role, limit: limit)
    var found: [SIPStreamFramer.Element] = []
    var start = 0
    while start < bytes.count {
      let end = min(bytes.count, start + min(size, bytes.count))
      let piece = Array(bytes[start..<end])
      piece.withRawSpan { framer.append($0) }
      while let element = try framer.next() { found.append(element) }
      start = end
    }
    return found
  }

  @Test("messages come out whole however the stream is cut", arguments: [1, 2, 3, 7, 16, 61, 1000])
  func cutting(size: Int) throws {
    let stream = Self.invite + Self.options + [13, 10, 13, 10] + Self.invite + [13, 10] + Self.options
    #expect(
      try Self.elements(stream, size: size) == [
        .message(Self.invite), .message(Self.options), .ping, .message(Self.invite), .message(Self.options),
      ])
  }

  @Test("line ends are pings to whoever accepted the connection, and pongs to whoever opened it", arguments: [1, 100])
  func keepalives(size: Int) throws {
    let twice: [UInt8] = [13, 10, 13, 10, 13, 10, 13, 10]
    #expect(try Self.elements(twice, size: size) == [.ping, .ping])
    #expect(
      try Self.elements([13, 10] + Self.options, size: size, role: .client) == [.pong, .message(Self.options)])
  }

  @Test("line ends are no message that has begun; its first byte is")
  func inside() throws {
    var framer = SIPStreamFramer(role: .server)
    for (bytes, isInside) in [([13, 10], false), ([13], false), ([79], true)] as [([UInt8], Bool)] {
      bytes.withRawSpan { framer.append($0) }
      #expect(try framer.next() == nil)
      #expect(framer.isInsideMessage == isInside)
    }
  }

  @Test(
    "Content-Length is found in every form that it may have",
    arguments: [
      "Content-Length: 3", "content-length:3", "CONTENT-LENGTH  :  3 ", "l: 3", "L:3", "Content-Length:\r\n 3",
      "Content-Length: 3\r\nl: 3",
    ])
  func forms(header: String) throws {
    let message = Array("MESSAGE sip:b@x SIP/2.0\r\nLoose: l: 9\r\n\(header)\r\nTo: x\r\n\r\nabc".utf8)
    #expect(try Self.elements(message + Self.options) == [.message(message), .message(Self.options)])
  }

  @Test("lines may end with LF alone")
  func bareLineFeeds() throws {
    let message = Array("MESSAGE sip:b@x SIP/2.0\nl: 3\n\nabc".utf8)
    #expect(try Self.elements(message, size: 1) == [.message(message)])
  }

  @Test(
    "a stream that can't be cut is an error, not a guess",
    arguments: [
      ("l: 0\r\nl: 5", SIPStreamFramer.Failure.malformedContentLength), ("l: -1", .malformedContentLength),
      ("l: 99999999999", .malformedContentLength), ("l:", .malformedContentLength), ("To: x", .missingContentLength),
      ("l: 65536", .messageTooLong), ("l: 65510", .messageTooLong),
    ])
  func errors(headers: String, failure: SIPStreamFramer.Failure) {
    #expect(throws: failure) { try Self.elements(Array("BYE sip:b@x SIP/2.0\r\n\(headers)\r\n\r\n".utf8)) }
  }

  @Test("a message may have the limit's length, and headers without end are given up there")
  func limits() throws {
    let head = Array("BYE sip:b@x SIP/2.0\r\nl: 100\r\n\r\n".utf8)
    let message = head + [UInt8](repeating: 7, count: 100)
    #expect(try Self.elements(message, limit: message.count) == [.message(message)])
    #expect(throws: SIPStreamFramer.Failure.messageTooLong) { try Self.elements(message, limit: message.count - 1) }
    #expect(throws: SIPStreamFramer.Failure.messageTooLong) {
      try Self.elements([UInt8](repeating: 65, count: 5000), size: 10, limit: 4096)
    }
  }

  @Test(
    "headers that end beyond the limit are given up, however they come", arguments: [1, 100, 1000], ["l: 0", "To: x"])
  func longHeaders(size: Int, last: String) {
    let message = Array("BYE sip:b@x SIP/2.0\r\nA: \(String(repeating: "a", count: 300))\r\n\(last)\r\n\r\n".utf8)
    #expect(throws: SIPStreamFramer.Failure.messageTooLong) { try Self.elements(message, size: size, limit: 256) }
  }

  @Test("whatever the bytes are, nothing traps and each is in one element or none")
  func randomBytes() throws {
    var generator = SeededGenerator(seed: 11)
    let pieces: [[UInt8]] = [
      Self.invite, Self.options, [13, 10], [13], [10], [13, 10, 13, 10], Array("l: 2\r\n".utf8), [0], [255, 32],
    ]
    for _ in 0..<300 {
      var stream: [UInt8] = []
      for _ in 0..<20 { stream += pieces[Int(generator.next() % UInt64(pieces.count))] }
      var total = 0
      do throws(SIPStreamFramer.Failure) {
        for element in try Self.elements(stream, size: Int(generator.next() % 40) + 1) {
          if case .message(let bytes) = element { total += bytes.count }
        }
      } catch { continue }
      #expect(total <= stream.count)
    }
  }

  @Test("time is linear in the length, one byte at a time or at once")
  func isLinear() throws {
    func message(_ length: Int) -> [UInt8] {
      Array("BYE sip:b@x SIP/2.0\r\n\(String(repeating: "A: b\r\n", count: length / 6))l: 0\r\n\r\n".utf8)
    }
    func seconds(_ length: Int) throws -> Double {
      let bytes = message(length)
      let clock = ContinuousClock()
      return try (0..<3).map { _ in
        let time = try clock.measure { _ = try Self.elements(bytes, size: 1, limit: 1 << 20) }
        return Double(time.components.attoseconds) / 1e18 + Double(time.components.seconds)
      }.min() ?? 0
    }
    // Sixteen times the bytes: quadratic work would take 256 times as long.
    #expect(try seconds(64_000) < seconds(4000) * 64)
  }
}
