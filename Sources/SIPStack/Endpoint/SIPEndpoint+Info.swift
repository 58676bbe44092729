package import NetBase

/// INFO and MESSAGE inside calls (RFC 6086, RFC 3428 §4).
extension SIPEndpoint {
  /// Sends INFO in a call; `requestResult` or `requestFailed` brings the result.
  package func info(_ id: SessionID, body: SIPBody?, headers: [(String, String)] = [], now: Instant) -> RequestID {
    self.request(.info, in: id, headers: headers, body: body, now)
  }

  /// Whether the peer of a call has announced that it takes INFO of a package.
  package func takes(_ package: InfoPackage, in id: SessionID) -> Bool {
    self.sessions[id]?.peer.receivedInfo.contains(package.name) ?? false
  }

  /// Sends INFO of a package that the peer takes (RFC 6086 §4.2.1); `requestResult` or `requestFailed` brings the result.
  package func info(_ id: SessionID, of package: InfoPackage, _ bytes: [UInt8], now: Instant) -> RequestID {
    self.request(
      .info, in: id, headers: [("Info-Package", package.name), ("Content-Disposition", "Info-Package")],
      body: SIPBody(contentType: package.contentType, bytes: bytes), now)
  }

  /// Sends MESSAGE in a call; `requestResult` or `requestFailed` brings the result.
  package func message(
    _ id: SessionID, body: SIPBody, headers: [(String, String)] = [], now: Instant
  ) -> RequestID {
    self.request(.message, in: id, headers: headers, body: body, now)
  }

  private func request(
    _ method: SIPMethod, in id: SessionID, headers: [(String, String)], body: SIPBody?, _ now: Instant
  ) -> RequestID {
    let request = RequestID(value: self.newIdentifier())
    guard let session = self.sessions[id], let record = session.dialog, !session.hasEnded else {
      self.emit(.requestFailed(request, .rejected(status: 481, reason: ReasonPhrase.of(481))))
      return request
    }
    self.send(method, in: record, user: .request(request), headers: headers, body: body, now)
    return request
  }

  func receive(info transaction: ServerTransaction, _ session: InviteSession, _ now: Instant) {
    let request = transaction.request
    if case .leaving = session.state { return self.refuse(transaction, 481, now) }
    if let name = request.headers["Info-Package"] { return self.receive(info: transaction, of: name, session, now) }
    let digit = request.body.flatMap { DTMFInfo($0) }
    if let body = request.body, digit == nil {
      let type = body.contentType.prefix { $0 != ";" && $0 != " " }
      guard Self.infoTypes.contains(where: { $0.isSame(ignoringCaseOf: type) }) else {
        return self.refuse(transaction, 415, headers: [("Accept", Self.infoTypes.joined(separator: ", "))], now)
      }
      if type.lowercased().hasPrefix("application/dtmf") { return self.refuse(transaction, 400, now) }
    }
    self.respond(transaction, 200, now)
    self.emit(.info(session.id, IncomingInfo(body: request.body, digit: digit, package: nil, headers: request.headers)))
  }

  /// A package is taken where Recv-Info has announced it (RFC 6086 §4.2.2).
  private func receive(
    info transaction: ServerTransaction, of name: String, _ session: InviteSession, _ now: Instant
  ) {
    let request = transaction.request
    let known = session.policy.infoPackages
    let name = name.prefix { $0 != ";" && $0 != " " }
    guard let package = known.first(where: { $0.name.isSame(ignoringCaseOf: name) }) else {
      return self.refuse(transaction, 469, headers: [("Recv-Info", session.policy.receivedInfo)], now)
    }
    if let body = request.body {
      let type = body.contentType.prefix { $0 != ";" && $0 != " " }
      guard package.contentType.isSame(ignoringCaseOf: type) else {
        return self.refuse(transaction, 415, headers: [("Accept", package.contentType)], now)
      }
    }
    self.respond(transaction, 200, now)
    self.emit(
      .info(session.id, IncomingInfo(body: request.body, digit: nil, package: package, headers: request.headers)))
  }

  /// The last one asks for a key frame.
  private static let infoTypes = ["application/dtmf-relay", "application/dtmf", "application/media_control+xml"]

  func receive(message transaction: ServerTransaction, _ record: DialogRecord?, _ now: Instant) {
    let essentials = transaction.essentials
    self.respond(transaction, 200, now)
    self.emit(
      .instantMessage(
        record?.session,
        IncomingMessage(
          from: essentials.from, to: essentials.to, body: transaction.request.body,
          headers: transaction.request.headers)))
  }
}
