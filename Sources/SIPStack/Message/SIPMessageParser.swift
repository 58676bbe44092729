internal import NetBase

extension SIPMessage {
  /// The longest message that is read, in bytes.
  package static let maximumLength = 65_536
  /// The most header lines that are read.
  package static let maximumHeaders = 256

  /// Parses one datagram, in time linear in its length. Never traps.
  package init(datagram: RawSpan, limits: SIPLimits = SIPLimits()) throws(SIPParseError) {
    guard datagram.byteCount <= min(limits.messageLength, Self.maximumLength) else { throw .messageTooLarge }
    var reader = SIPMessageReader(datagram.copied())
    let startLine = try Self.startLine(reader.bytes, try reader.startLine())
    let headers = try reader.headers(limits)
    self.init(startLine, headers: headers, bytes: try reader.body(headers))
  }

  /// What can still be read of a request that `init(datagram:)` refused, for the response that refuses it: the
  /// method and the sound header lines. Nil for a response and for what is not SIP at all.
  static func salvage(datagram: RawSpan) -> (method: SIPMethod, headers: SIPHeaders)? {
    let length = min(datagram.byteCount, Self.maximumLength)
    var reader = SIPMessageReader(datagram.extracting(0..<length).copied())
    guard let line = try? reader.startLine() else { return nil }
    var scanner = TextScanner(reader.bytes, line)
    let method = scanner.take(while: \.isToken)
    guard !method.isEmpty, scanner.peek == .space else { return nil }
    return (SIPMethod(method), reader.soundHeaders())
  }

  private static func startLine(_ bytes: [UInt8], _ line: Range<Int>) throws(SIPParseError) -> StartLine {
    var scanner = TextScanner(bytes, line)
    let first = scanner.skip(while: { $0 != .space })
    guard scanner.take(.space) else { throw .malformedStartLine }
    let second = scanner.skip(while: { $0 != .space })
    let hasThird = scanner.take(.space)
    let third = scanner.position..<line.upperBound
    let word = scanner.text(first)
    if word.prefix(4).isSame(ignoringCaseOf: "SIP/") {
      guard word.isSame(ignoringCaseOf: "SIP/2.0") else { throw .unsupportedVersion }
      guard second.count == 3, let status = scanner.text(second).decimal(upTo: 699), status >= 100 else {
        throw .malformedStartLine
      }
      return .response(status: status, reason: hasThird ? scanner.text(third) : "")
    }
    guard hasThird, !first.isEmpty, bytes[first].allSatisfy(\.isToken) else { throw .malformedStartLine }
    let version = scanner.text(third)
    guard version.prefix(4).isSame(ignoringCaseOf: "SIP/"), !version.utf8.contains(.space) else {
      throw .malformedStartLine
    }
    guard version.isSame(ignoringCaseOf: "SIP/2.0") else { throw .unsupportedVersion }
    return .request(SIPMethod(word), try SIPURI(TextScanner(bytes, second)))
  }
}

/// Walks over the lines of one message; each byte is visited a fixed number of times.
private struct SIPMessageReader {
  /// One line without its end.
  struct Line {
    var range: Range<Int>
    /// Where its first colon is.
    var colon: Int?
    /// Whether its control characters stand where they may.
    var isText: Bool
  }

  let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The first line that is not empty.
  mutating func startLine() throws(SIPParseError) -> Range<Int> {
    while self.position < self.bytes.count,
      self.bytes[self.position] == .carriageReturn || self.bytes[self.position] == .lineFeed
    {
      self.position += 1
    }
    guard self.position < self.bytes.count else { throw .empty }
    guard let line = self.line(), line.isText else { throw .malformedStartLine }
    return line.range
  }

  mutating func headers(_ limits: SIPLimits) throws(SIPParseError) -> SIPHeaders {
    let maximum = min(limits.headerCount, SIPMessage.maximumHeaders)
    var headers = SIPHeaders()
    var last: (name: String, value: Range<Int>)?
    /// The value so far, where it is folded over several lines.
    var folded: [UInt8]?
    func flush() {
      guard let (name, value) = last else { return }
      headers.append(name, String(decoding: folded?[...] ?? self.bytes[value], as: UTF8.self))
    }
    while let line = self.line() {
      guard self.position <= limits.headerLength else { throw .headersTooLong }
      if line.range.isEmpty {
        flush()
        return headers
      }
      guard line.isText else { throw .malformedHeader }
      let first = self.bytes[line.range.lowerBound]
      if first == .space || first == .tab {
        guard let value = last?.value else { throw .malformedHeader }
        let more = self.trimmed(line.range)
        // In place: a copy for each line would make long folds slow.
        if folded == nil { folded = Array(self.bytes[value]) }
        if folded?.isEmpty == false && !more.isEmpty { folded?.append(.space) }
        folded?.append(contentsOf: self.bytes[more])
        continue
      }
      flush()
      guard headers.fields.count < maximum else { throw .tooManyHeaders }
      guard let field = self.field(line) else { throw .malformedHeader }
      last = field
      folded = nil
    }
    throw .unterminatedHeaders
  }

  /// The header lines that can be read, the others passed over.
  mutating func soundHeaders() -> SIPHeaders {
    var headers = SIPHeaders()
    while let line = self.line(), !line.range.isEmpty, headers.fields.count < SIPMessage.maximumHeaders {
      guard line.isText, let field = self.field(line) else { continue }
      headers.append(field.name, String(decoding: self.bytes[field.value], as: UTF8.self))
    }
    return headers
  }

  /// The body: as long as Content-Length says, or to the end of the datagram (RFC 3261 §18.3).
  func body(_ headers: SIPHeaders) throws(SIPParseError) -> [UInt8] {
    let rest = self.bytes[self.position...]
    let lengths = headers.all("Content-Length")
    guard let text = lengths.first else { return Array(rest) }
    guard lengths.allSatisfy({ $0 == text }), let length = text.decimal(upTo: Int(Int32.max)) else {
      throw .malformedContentLength
    }
    guard length <= rest.count else { throw .incompleteBody }
    return Array(rest.prefix(length))
  }

  /// The next line; nil when no line end follows.
  ///
  /// Control characters stand in a header field only behind the backslash of a quoted pair, and CR not even there
  /// (RFC 3261 §25.1).
  private mutating func line() -> Line? {
    let start = self.position
    var colon: Int?
    var isText = true
    var index = start
    while index < self.bytes.count {
      if index + 8 <= self.bytes.count, self.isPlain(at: index, colonCounts: colon == nil) {
        index += 8
        continue
      }
      let byte = self.bytes[index]
      switch byte {
      case .colon: if colon == nil { colon = index }
      case .lineFeed:
        self.position = index + 1
        let end = index > start && self.bytes[index - 1] == .carriageReturn ? index - 1 : index
        return Line(range: start..<end, colon: colon, isText: isText)
      case .tab: break
      case .carriageReturn:
        if index + 1 == self.bytes.count || self.bytes[index + 1] != .lineFeed { isText = false }
      default:
        if byte.isControl, index == start || self.bytes[index - 1] != .backslash { isText = false }
      }
      index += 1
    }
    return nil
  }

  /// Whether the eight bytes at `index` are neither control characters nor, as long as that matters, colons.
  @inline(__always)
  private func isPlain(at index: Int, colonCounts: Bool) -> Bool {
    let word = unsafe self.bytes.span.bytes.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
    let (ones, tops) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
    /// The top bit of some byte, if one is less than `limit`, which is 128 at most.
    func below(_ limit: UInt64, _ word: UInt64) -> UInt64 { (word &- ones &* limit) & ~word & tops }
    var found = below(0x20, word) | below(1, word ^ (ones &* 0x7F))
    if colonCounts { found |= below(1, word ^ (ones &* UInt64(UInt8.colon))) }
    return found == 0
  }

  private func field(_ line: Line) -> (name: String, value: Range<Int>)? {
    guard let colon = line.colon else { return nil }
    var end = colon
    while end > line.range.lowerBound, self.bytes[end - 1] == .space || self.bytes[end - 1] == .tab { end -= 1 }
    let name = self.bytes[line.range.lowerBound..<end]
    guard !name.isEmpty, name.allSatisfy(\.isToken) else { return nil }
    return (String(decoding: name, as: UTF8.self), self.trimmed((colon + 1)..<line.range.upperBound))
  }

  private func trimmed(_ range: Range<Int>) -> Range<Int> {
    var (start, end) = (range.lowerBound, range.upperBound)
    while start < end, self.bytes[start] == .space || self.bytes[start] == .tab { start += 1 }
    while end > start, self.bytes[end - 1] == .space || self.bytes[end - 1] == .tab { end -= 1 }
    return start..<end
  }
}
