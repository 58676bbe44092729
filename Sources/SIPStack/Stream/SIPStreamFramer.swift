internal import NetBase

/// Cuts a byte stream into SIP messages by their Content-Length, and finds the keepalives between them (RFC 3261 §18.3,
/// RFC 5626 §4.4.1).
///
/// After `append`, take `next()` until it is nil. Each byte is looked at a fixed number of times, however it arrives.
/// After an error the stream can't be understood any more: close it.
package struct SIPStreamFramer: Sendable {
  /// Which end of the connection reads: keepalives are pings in one direction and pongs in the other.
  package enum Role: Sendable {
    /// The end that opened the connection: it hears pongs.
    case client
    /// The end that accepted it: it hears pings.
    case server
  }

  package enum Element: Hashable, Sendable {
    /// A whole message, its empty line and body included.
    case message([UInt8])
    /// Two line ends: the peer wants one back.
    case ping
    case pong
  }

  package enum Failure: Error, Hashable, Sendable {
    /// Longer than the limit, headers and body.
    case messageTooLong
    /// Without Content-Length a stream has no next message (RFC 3261 §20.14).
    case missingContentLength
    case malformedContentLength
  }

  private let role: Role
  private let limit: Int
  private var buffer: [UInt8] = []
  /// Where the next element begins.
  private var start = 0
  /// Up to here there is no end of the headers.
  private var scanned = 0
  /// Where the message that begins at `start` ends, when its headers are all there.
  private var end: Int?

  /// - Parameter limit: bytes of the longest message.
  package init(role: Role, limit: Int = SIPMessage.maximumLength) {
    (self.role, self.limit) = (role, limit)
  }

  /// Whether a message has begun that has not ended; line ends before one are none of it (RFC 3261 §7.5).
  package var isInsideMessage: Bool { self.start < self.buffer.count && self.isMessageStart }

  package mutating func append(_ bytes: RawSpan) {
    if self.start == self.buffer.count {
      self.buffer.removeAll(keepingCapacity: self.buffer.capacity <= 16_384)
      (self.start, self.scanned) = (0, 0)
    } else if self.start > self.buffer.count / 2 {
      self.buffer.removeSubrange(..<self.start)
      self.scanned -= self.start
      if let end { self.end = end - self.start }
      self.start = 0
    }
    self.buffer.append(contentsOf: bytes.copied())
  }

  /// The next element; nil when more bytes are needed.
  package mutating func next() throws(Failure) -> Element? {
    if self.end == nil {
      if let keepalive = self.skipLineEnds() { return keepalive }
      guard self.start < self.buffer.count, self.isMessageStart else { return nil }
      let body = self.findBody()
      // Headers may end beyond the limit in what came at once.
      let room = self.limit - ((body ?? self.buffer.count) - self.start)
      guard room >= 0 else { throw .messageTooLong }
      guard let body else { return nil }
      let length = try self.contentLength(before: body)
      guard length <= room else { throw .messageTooLong }
      self.end = body + length
    }
    guard let end, end <= self.buffer.count else { return nil }
    let message = Array(self.buffer[self.start..<end])
    (self.start, self.scanned, self.end) = (end, end, nil)
    return .message(message)
  }

  private var isMessageStart: Bool {
    self.buffer[self.start] != .carriageReturn && self.buffer[self.start] != .lineFeed
  }

  /// Passes over the line ends before a message; stops where they may be the beginning of a keepalive.
  private mutating func skipLineEnds() -> Element? {
    let keepalive: [UInt8] = self.role == .server ? [13, 10, 13, 10] : [13, 10]
    while self.start < self.buffer.count, !self.isMessageStart {
      let there = self.buffer[self.start...].prefix(keepalive.count)
      if there.elementsEqual(keepalive) {
        self.start += keepalive.count
        self.scanned = self.start
        return self.role == .server ? .ping : .pong
      }
      if keepalive.starts(with: there) { return nil }
      self.start += 1
      self.scanned = self.start
    }
    return nil
  }

  /// Where the body begins: after the first empty line.
  private mutating func findBody() -> Int? {
    while self.scanned < self.buffer.count {
      let index = self.scanned
      self.scanned += 1
      guard self.buffer[index] == .lineFeed, index > self.start else { continue }
      let previous = self.buffer[index - 1]
      if previous == .lineFeed { return index + 1 }
      if previous == .carriageReturn, index - 1 > self.start, self.buffer[index - 2] == .lineFeed { return index + 1 }
    }
    return nil
  }

  private func contentLength(before body: Int) throws(Failure) -> Int {
    var line = self.start
    var found: Int?
    while line < body {
      let lineEnd = self.buffer[line..<body].firstIndex(of: .lineFeed) ?? body
      defer { line = lineEnd + 1 }
      guard let colon = Self.lengthNameEnd(self.buffer[line..<lineEnd]) else { continue }
      var value = self.buffer[(colon + 1)..<lineEnd]
      // A line that begins with white space goes on with the one before it.
      if value.allSatisfy({ $0.isLineWhitespace }), lineEnd + 1 < body, self.buffer[lineEnd + 1].isBlank {
        let next = self.buffer[(lineEnd + 1)..<body].firstIndex(of: .lineFeed) ?? body
        value = self.buffer[(lineEnd + 1)..<next]
      }
      let length = try Self.number(value)
      guard found == nil || found == length else { throw .malformedContentLength }
      found = length
    }
    guard let found else { throw .missingContentLength }
    return found
  }

  /// Where the colon is, when the line is a Content-Length or its short form `l`.
  private static func lengthNameEnd(_ line: ArraySlice<UInt8>) -> Int? {
    guard let first = line.first, first | 0x20 == UInt8(ascii: "c") || first | 0x20 == UInt8(ascii: "l"),
      let colon = line.firstIndex(of: .colon)
    else { return nil }
    var name = line[..<colon]
    while let last = name.last, last.isBlank { name = name.dropLast() }
    let isLength =
      name.count == 1
      ? first | 0x20 == UInt8(ascii: "l")
      : name.count == 14 && String(decoding: name, as: UTF8.self).isSame(ignoringCaseOf: "Content-Length")
    return isLength ? colon : nil
  }

  private static func number(_ text: ArraySlice<UInt8>) throws(Failure) -> Int {
    var digits = text
    while let first = digits.first, first.isLineWhitespace { digits = digits.dropFirst() }
    while let last = digits.last, last.isLineWhitespace { digits = digits.dropLast() }
    guard !digits.isEmpty, digits.count <= 10 else { throw .malformedContentLength }
    var value = 0
    for digit in digits {
      guard digit.isDigit else { throw .malformedContentLength }
      value = value * 10 + Int(digit - UInt8(ascii: "0"))
    }
    return value
  }
}

extension UInt8 {
  fileprivate var isBlank: Bool { self == .space || self == .tab }
  fileprivate var isLineWhitespace: Bool { self.isBlank || self == .carriageReturn }
}
