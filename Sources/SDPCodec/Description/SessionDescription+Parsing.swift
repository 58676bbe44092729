internal import NetBase

extension SessionDescription {
  /// Reads a description that arrived as text.
  package init(parsing text: String) throws(SDPError) {
    try self.init(parsing: Array(text.utf8))
  }

  /// Reads a description in a received message; copies what it keeps.
  package init(parsing bytes: RawSpan) throws(SDPError) {
    guard bytes.byteCount <= SDPLimits.bytes else { throw .tooLarge(bytes: bytes.byteCount) }
    try self.init(parsing: bytes.copied())
  }

  /// Reads a description: lines end with CRLF or LF, trailing blanks fall away, unknown lines are skipped, and so is
  /// `k=`, which RFC 8866 §5.12 makes obsolete. Takes time linear in the length.
  package init(parsing bytes: [UInt8]) throws(SDPError) {
    guard bytes.count <= SDPLimits.bytes else { throw .tooLarge(bytes: bytes.count) }
    var parser = SDPParser()
    for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) { try parser.read(line) }
    self = try parser.finish()
  }
}

/// Reads line by line; what it has so far is in `session`.
private struct SDPParser {
  private var session = SessionDescription(
    origin: SDPOrigin(
      sessionID: "0", sessionVersion: "0", connection: SDPConnection(addressType: "IP4", address: "0.0.0.0")),
    timings: [])
  private var line = 0
  private var seen: Set<UInt8> = []

  mutating func read(_ raw: ArraySlice<UInt8>) throws(SDPError) {
    self.line += 1
    var bytes = raw
    if bytes.last == 0x0D { bytes.removeLast() }
    guard !bytes.contains(where: { $0 == 0 || $0 == 0x0D }) else { throw .invalidByte(line: self.line) }
    while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
    guard bytes.count >= 2, bytes[bytes.startIndex + 1] == UInt8(ascii: "="), let type = bytes.first else {
      // Not a type=value line: skipped like an unknown one, yet it cannot come before v=0.
      if !bytes.isEmpty, self.seen.isEmpty { throw .notVersionZero(line: self.line) }
      return
    }
    try self.read(type: type, value: String(decoding: bytes.dropFirst(2), as: UTF8.self))
  }

  private mutating func read(type: UInt8, value: String) throws(SDPError) {
    if self.seen.isEmpty {
      guard type == UInt8(ascii: "v"), value == "0" else { throw .notVersionZero(line: self.line) }
      self.seen.insert(type)
      return
    }
    switch Character(Unicode.Scalar(type)) {
    case "m": try self.readMedia(value)
    case "a": try self.readAttribute(value)
    case "c": try self.readConnection(value)
    case "b": self.readBandwidth(value)
    case "i": self.readInformation(value)
    default: if self.session.media.isEmpty { try self.readSessionLine(type, value) }
    }
  }

  private mutating func readSessionLine(_ type: UInt8, _ value: String) throws(SDPError) {
    switch Character(Unicode.Scalar(type)) {
    case "v": throw .duplicate(type: "v", line: self.line)
    case "o":
      guard let origin = SDPOrigin(value) else { throw .malformed(type: "o", line: self.line) }
      guard self.seen.insert(type).inserted else { throw .duplicate(type: "o", line: self.line) }
      self.session.origin = origin
    case "s": self.session.sessionName = value.isEmpty ? "-" : value
    case "u": self.session.uri = value
    case "e": self.session.emails.append(value)
    case "p": self.session.phones.append(value)
    case "t":
      guard let timing = SDPTiming(value) else { throw .malformed(type: "t", line: self.line) }
      self.session.timings.append(timing)
    case "r":
      if !self.session.timings.isEmpty { self.session.timings[self.session.timings.count - 1].repeats.append(value) }
    case "z": self.session.timeZones = value
    default: break
    }
  }

  private mutating func readMedia(_ value: String) throws(SDPError) {
    guard let media = MediaDescription(value) else { throw .malformed(type: "m", line: self.line) }
    guard self.session.media.count < SDPLimits.media else { throw .tooManyMedia(line: self.line) }
    self.session.media.append(media)
  }

  private mutating func readAttribute(_ text: String) throws(SDPError) {
    let (name, value) = text.cut(at: ":")
    guard !name.isEmpty else { return }
    let attribute = SDPAttribute(name, value)
    if self.session.media.isEmpty {
      guard self.session.attributes.count < SDPLimits.attributes else { throw .tooManyAttributes(line: self.line) }
      self.session.attributes.append(attribute)
    } else {
      let last = self.session.media.count - 1
      guard self.session.media[last].attributes.count < SDPLimits.attributes else {
        throw .tooManyAttributes(line: self.line)
      }
      self.session.media[last].attributes.append(attribute)
    }
  }

  private mutating func readConnection(_ value: String) throws(SDPError) {
    guard let connection = SDPConnection(value) else { throw .malformed(type: "c", line: self.line) }
    if self.session.media.isEmpty {
      if self.session.connection == nil { self.session.connection = connection }
    } else {
      let last = self.session.media.count - 1
      if self.session.media[last].connection == nil { self.session.media[last].connection = connection }
    }
  }

  /// An unreadable `b=` line is skipped: bandwidth is advice.
  private mutating func readBandwidth(_ value: String) {
    guard let bandwidth = SDPBandwidth(value) else { return }
    if self.session.media.isEmpty {
      self.session.bandwidths.append(bandwidth)
    } else {
      self.session.media[self.session.media.count - 1].bandwidths.append(bandwidth)
    }
  }

  private mutating func readInformation(_ value: String) {
    if self.session.media.isEmpty {
      self.session.information = value
    } else {
      self.session.media[self.session.media.count - 1].information = value
    }
  }

  consuming func finish() throws(SDPError) -> SessionDescription {
    guard !self.seen.isEmpty else { throw .missing(type: "v", line: self.line) }
    guard self.seen.contains(UInt8(ascii: "o")) else { throw .missing(type: "o", line: self.line) }
    if self.session.timings.isEmpty { self.session.timings = [SDPTiming()] }
    return self.session
  }
}
