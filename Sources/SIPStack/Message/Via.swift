package import NetBase

/// One Via element: the transport, who sent it, and the branch (RFC 3261 §20.42).
package struct Via: Hashable, Sendable, CustomStringConvertible {
  /// The transport's name as written: one that this endpoint does not speak is echoed all the same.
  package var transport: String
  package var host: String
  package var port: UInt16?
  package var parameters: SIPParameters

  /// A Via of ours, which asks for the source port (RFC 3581 §3).
  package init(transport: SIPTransportKind, sentBy: SocketAddress, branch: String) {
    (self.transport, self.host, self.port) = (transport.rawValue, sentBy.uriHost, sentBy.port)
    self.parameters = SIPParameters()
    self.parameters.set("rport", nil)
    self.parameters.set("branch", branch)
  }

  package init(_ text: some StringProtocol) throws(SIPParseError) {
    var scanner = TextScanner(text)
    func word() -> String {
      scanner.skipWhitespace()
      defer { scanner.skipWhitespace() }
      return scanner.take(while: \.isToken)
    }
    guard word().isSame(ignoringCaseOf: "SIP"), scanner.take(.slash), word() == "2.0", scanner.take(.slash) else {
      throw .malformedVia
    }
    let transport = word()
    guard !transport.isEmpty,
      let (host, port) = HostPort.read(&scanner, spaced: true),
      let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter })
    else { throw .malformedVia }
    // A comment in parentheses after the parameters is RFC 2543's; nothing depends on it.
    scanner.skipWhitespace()
    guard scanner.isAtEnd || scanner.peek == UInt8(ascii: "(") else { throw .malformedVia }
    (self.transport, self.host, self.port, self.parameters) = (transport, host, port, parameters)
  }

  /// The transaction's branch; empty when there is none.
  package var branch: String { self.parameters["branch"] ?? "" }

  /// Whether the branch is unique as RFC 3261 promises it (the magic cookie).
  package var hasMagicCookie: Bool {
    self.branch.utf8.count > 7 && self.branch.prefix(7).isSame(ignoringCaseOf: "z9hG4bK")
  }

  /// Who sent it, with the default port filled in and the case of the host levelled: part of a transaction's key.
  package var sentBy: String { "\(self.host.lowercased()):\(self.port ?? 5060)" }

  /// Notes where the request really came from (RFC 3261 §18.2.1, RFC 3581 §4).
  package mutating func note(source: SocketAddress) {
    let asksForPort = self.parameters.contains("rport")
    let isHonest = SocketAddress(host: self.host, port: 0).map { $0.isSameHost(as: source) } ?? false
    if asksForPort { self.parameters.set("rport", "\(source.port)") }
    if asksForPort || !isHonest { self.parameters.set("received", source.unscoped.host) }
  }

  /// Where responses go: back to the source address, at the port that the sender listens on (RFC 3261 §18.2.2).
  ///
  /// `maddr` is not followed: it would let a stranger aim our responses at a third party.
  package func responseAddress(source: SocketAddress) -> SocketAddress {
    self.parameters.contains("rport") ? source : source.with(port: self.port ?? 5060)
  }

  /// Where the peer saw our request come from; nil when it does not say (RFC 3581 §4).
  package var seenAddress: SocketAddress? {
    guard let port = self.parameters["rport"]?.decimal(upTo: 65_535), port > 0 else { return nil }
    return SocketAddress(host: self.parameters["received"] ?? self.host, port: UInt16(port))
  }

  package var description: String {
    let port = self.port.map { ":\($0)" } ?? ""
    return "SIP/2.0/\(self.transport) \(self.host)\(port)\(self.parameters)"
  }
}

/// The sequence number and method of a request (RFC 3261 §20.16).
package struct CSeq: Hashable, Sendable, CustomStringConvertible {
  /// 0 to 2^31 - 1.
  package var number: UInt32
  package var method: SIPMethod

  package init(number: UInt32, method: SIPMethod) {
    (self.number, self.method) = (number, method)
  }

  package init(_ text: some StringProtocol) throws(SIPParseError) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    guard let number = scanner.take(while: \.isDigit).decimal(upTo: Int(Int32.max)) else { throw .malformedCSeq }
    let method = scanner.rest()
    guard !method.isEmpty, method.utf8.allSatisfy(\.isToken) else { throw .malformedCSeq }
    self.init(number: UInt32(number), method: SIPMethod(method))
  }

  package var description: String { "\(self.number) \(self.method)" }
}
