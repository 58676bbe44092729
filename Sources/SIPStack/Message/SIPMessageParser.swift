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
    let line = try reader.startLine()
    let startLine = try Self.startLine(line)
    let headers = try reader.headers(limits)
    self.init(startLine, headers: headers, bytes: try reader.body(headers))
  }

  /// What can still be read of a request that `init(datagram:)` refused, for the response that refuses it: the
  /// method and the sound header lines. Nil for a response and for what is not SIP at all.
  static func salvage(datagram: RawSpan) -> (method: SIPMethod, headers: SIPHeaders)? {
    let length = min(datagram.byteCount, Self.maximumLength)
    var reader = SIPMessageReader(datagram.extracting(0..<length).copied())
    guard let line = try? reader.startLine() else { return nil }
    let method = line.prefix { $0.isToken }
    guard !method.isEmpty, method.count < line.count, line[line.startIndex + method.count] == .space else { return nil }
    return (SIPMethod(String(decoding: method, as: UTF8.self)), reader.soundHeaders())
  }

  private static func startLine(_ line: ArraySlice<UInt8>) throws(SIPParseError) -> StartLine {
    let words = line.split(separator: .space, maxSplits: 2, omittingEmptySubsequences: false)
    guard words.count >= 2 else { throw .malformedStartLine }
    let first = String(decoding: words[0], as: UTF8.self)
    if first.prefix(4).isSame(ignoringCaseOf: "SIP/") {
      guard first.isSame(ignoringCaseOf: "SIP/2.0") else { throw .unsupportedVersion }
      guard words[1].count == 3,
        let status = String(decoding: words[1], as: UTF8.self).decimal(upTo: 699), status >= 100
      else { throw .malformedStartLine }
      return .response(status: status, reason: words.count == 3 ? String(decoding: words[2], as: UTF8.self) : "")
    }
    guard words.count == 3, !first.isEmpty, words[0].allSatisfy(\.isToken) else { throw .malformedStartLine }
    let version = String(decoding: words[2], as: UTF8.self)
    guard version.prefix(4).isSame(ignoringCaseOf: "SIP/"), !version.utf8.contains(.space) else {
      throw .malformedStartLine
    }
    guard version.isSame(ignoringCaseOf: "SIP/2.0") else { throw .unsupportedVersion }
    return .request(SIPMethod(first), try SIPURI(String(decoding: words[1], as: UTF8.self)))
  }
}

/// Walks over the lines of one message; each byte is visited a fixed number of times.
private struct SIPMessageReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The first line that is not empty.
  mutating func startLine() throws(SIPParseError) -> ArraySlice<UInt8> {
    while self.position < self.bytes.count,
      self.bytes[self.position] == .carriageReturn || self.bytes[self.position] == .lineFeed
    {
      self.position += 1
    }
    guard self.position < self.bytes.count else { throw .empty }
    guard let line = self.line() else { throw .malformedStartLine }
    return line
  }

  mutating func headers(_ limits: SIPLimits) throws(SIPParseError) -> SIPHeaders {
    var headers = SIPHeaders()
    var name: String?
    var value: [UInt8] = []
    while let line = self.line() {
      guard self.position <= limits.headerLength else { throw .headersTooLong }
      if line.isEmpty {
        if let name { headers.append(name, String(decoding: value, as: UTF8.self)) }
        return headers
      }
      guard Self.isText(line) else { throw .malformedHeader }
      if let first = line.first, first == .space || first == .tab {
        guard name != nil else { throw .malformedHeader }
        let more = Self.trimmed(line)
        if !value.isEmpty && !more.isEmpty { value.append(.space) }
        value.append(contentsOf: more)
        continue
      }
      if let name { headers.append(name, String(decoding: value, as: UTF8.self)) }
      guard headers.fields.count < min(limits.headerCount, SIPMessage.maximumHeaders) else {
        throw .tooManyHeaders
      }
      guard let field = Self.field(line) else { throw .malformedHeader }
      name = field.name
      value = Array(field.value)
    }
    throw .unterminatedHeaders
  }

  /// The header lines that can be read, the others passed over.
  mutating func soundHeaders() -> SIPHeaders {
    var headers = SIPHeaders()
    while let line = self.line(), !line.isEmpty, headers.fields.count < SIPMessage.maximumHeaders {
      guard Self.isText(line), let field = Self.field(line) else {
        continue
      }
      headers.append(field.name, String(decoding: field.value, as: UTF8.self))
    }
    return headers
  }

  /// The body: as long as Content-Length says, or to the end of the datagram (RFC 3261 §18.3).
  func body(_ headers: SIPHeaders) throws(SIPParseError) -> [UInt8] {
    let rest = self.bytes[self.position...]
    let lengths = Set(headers.all("Content-Length"))
    guard let text = lengths.first else { return Array(rest) }
    guard lengths.count == 1, let length = text.decimal(upTo: Int(Int32.max)) else { throw .malformedContentLength }
    guard length <= rest.count else { throw .incompleteBody }
    return Array(rest.prefix(length))
  }

  /// The next line without its end; nil when no line end follows.
  private mutating func line() -> ArraySlice<UInt8>? {
    guard let end = self.bytes[self.position...].firstIndex(of: .lineFeed) else { return nil }
    var line = self.bytes[self.position..<end]
    if line.last == .carriageReturn { line = line.dropLast() }
    self.position = end + 1
    return line
  }

  /// Control characters stand in a header field only behind the backslash of a quoted pair, and CR not even there
  /// (RFC 3261 §25.1).
  private static func isText(_ line: ArraySlice<UInt8>) -> Bool {
    var previous: UInt8 = 0
    for byte in line {
      guard !byte.isControl || previous == .backslash && byte != .carriageReturn else { return false }
      previous = byte
    }
    return true
  }

  private static func field(_ line: ArraySlice<UInt8>) -> (name: String, value: ArraySlice<UInt8>)? {
    guard let colon = line.firstIndex(of: .colon) else { return nil }
    var name = line[..<colon]
    while let last = name.last, last == .space || last == .tab { name = name.dropLast() }
    guard !name.isEmpty, name.allSatisfy(\.isToken) else { return nil }
    return (String(decoding: name, as: UTF8.self), Self.trimmed(line[(colon + 1)...]))
  }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var bytes = bytes
    while let first = bytes.first, first == .space || first == .tab { bytes = bytes.dropFirst() }
    while let last = bytes.last, last == .space || last == .tab { bytes = bytes.dropLast() }
    return bytes
  }
}
