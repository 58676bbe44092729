/// What a message carries after its headers.
package struct SIPBody: Hashable, Sendable {
  package var contentType: String
  package var bytes: [UInt8]

  package init(contentType: String = "application/sdp", bytes: [UInt8]) {
    (self.contentType, self.bytes) = (contentType, bytes)
  }

  /// Whether it is SDP, or says nothing else.
  package var isSessionDescription: Bool {
    let type = self.contentType.prefix { $0 != ";" && !$0.isWhitespace }.lowercased()
    return type.isEmpty || type == "application/sdp"
  }
}

/// A request or a response: start line, header fields in order, body (RFC 3261 §7).
package struct SIPMessage: Hashable, Sendable {
  /// The first line.
  package enum StartLine: Hashable, Sendable {
    case request(SIPMethod, SIPURI)
    case response(status: Int, reason: String)
  }

  package var startLine: StartLine
  package var headers: SIPHeaders
  package var bytes: [UInt8]

  package init(_ startLine: StartLine, headers: SIPHeaders = SIPHeaders(), bytes: [UInt8] = []) {
    (self.startLine, self.headers, self.bytes) = (startLine, headers, bytes)
  }

  /// The body with its type, of several parts the one that describes the session; nil when there are no bytes.
  package var body: SIPBody? {
    guard !self.bytes.isEmpty else { return nil }
    let whole = SIPBody(contentType: self.headers["Content-Type"] ?? "", bytes: self.bytes)
    return whole.describedPart ?? whole
  }

  /// Puts `body` in, with its Content-Type; Content-Length is written by `serialized`.
  package mutating func set(body: SIPBody?) {
    self.bytes = body?.bytes ?? []
    if let body { self.headers.set("Content-Type", body.contentType) } else { self.headers.remove("Content-Type") }
  }

  /// The bytes for the wire. Control characters in values become spaces unless a backslash quotes
  /// them, line ends always, so no value can start a line of its own.
  package func serialized() -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(512 + self.bytes.count)
    func put(_ text: String) { out.append(contentsOf: text.utf8) }
    func putClean(_ text: String) {
      for byte in text.utf8 {
        let isQuoted = out.last == .backslash && byte != .carriageReturn && byte != .lineFeed
        out.append(byte.isControl && !isQuoted ? .space : byte)
      }
    }
    switch self.startLine {
    case .request(let method, let uri):
      putClean("\(method) \(uri)")
      put(" SIP/2.0\r\n")
    case .response(let status, let reason):
      putClean("SIP/2.0 \(status) \(reason)")
      put("\r\n")
    }
    for field in self.headers.fields where !field.name.isSame(ignoringCaseOf: "Content-Length") {
      putClean(field.name)
      put(": ")
      putClean(field.value)
      put("\r\n")
    }
    put("Content-Length: \(self.bytes.count)\r\n\r\n")
    out.append(contentsOf: self.bytes)
    return out
  }
}

/// The header fields that every message must have, taken apart (RFC 3261 §8.1.1).
package struct SIPEssentials: Hashable, Sendable {
  package var via: Via
  /// Every Via element as written, the topmost first.
  package var vias: [String]
  package var from: NameAddress
  package var to: NameAddress
  package var callID: String
  package var cseq: CSeq

  /// Takes them from `message`; the first that is missing, repeated or malformed is the error.
  package init(_ message: SIPMessage) throws(SIPParseError) {
    self.vias = message.headers.list("Via")
    guard let first = self.vias.first else { throw .missingHeader("Via") }
    self.via = try Via(first)
    for other in self.vias.dropFirst() { _ = try Via(other) }
    self.from = try NameAddress(Self.single("From", message.headers))
    self.to = try NameAddress(Self.single("To", message.headers))
    self.callID = try Self.single("Call-ID", message.headers)
    self.cseq = try CSeq(Self.single("CSeq", message.headers))
    guard !self.callID.isEmpty else { throw .missingHeader("Call-ID") }
    if case .request(let method, _) = message.startLine, method != self.cseq.method { throw .methodMismatch }
  }

  private static func single(_ name: String, _ headers: SIPHeaders) throws(SIPParseError) -> String {
    guard let (value, count) = headers.single(name) else { throw .missingHeader(name) }
    guard count == 1 else { throw .repeatedHeader(name) }
    return value
  }
}
