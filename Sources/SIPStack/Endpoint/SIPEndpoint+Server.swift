internal import NetBase

/// The server side of every request: match it, check it, refuse it or hand it on (RFC 3261 §8.2).
extension SIPEndpoint {
  func receive(
    request: SIPMessage, _ received: SIPEssentials, _ uri: SIPURI, _ path: SIPPath, _ now: Instant
  ) {
    var essentials = received
    essentials.via.note(source: path.peer)
    essentials.vias[0] = essentials.via.description
    let method = essentials.cseq.method
    if method == .ack { return self.receive(acknowledgement: request, essentials, uri, now) }
    let key = ServerTransactionKey(essentials, uri: uri, method: method)
    if let transaction = self.servers[key] {
      self.counters.retransmissionsReceived += 1
      if case .retransmit = transaction.receiveAgain() { self.sendAgain(transaction) }
      return
    }
    var back = path
    if !path.transport.isReliable { back.peer = essentials.via.responseAddress(source: path.peer) }
    guard self.isWithinLimits(request, essentials, uri, path, back: back, now) else { return }
    let transaction = ServerTransaction(
      key: key, timer: self.timers.reserve(), request: request, essentials: essentials, uri: uri, path: back,
      timers: self.configuration.timers(path.transport))
    self.timers.assign(.server(transaction), to: transaction.timer)
    self.servers[key] = transaction
    self.dispatch(transaction, source: path, now)
  }

  private func dispatch(_ transaction: ServerTransaction, source: SIPPath, _ now: Instant) {
    let essentials = transaction.essentials
    let method = essentials.cseq.method
    if method == .cancel { return self.receive(cancel: transaction, now) }
    guard self.configuration.allow.contains(method) else {
      return self.refuse(transaction, 405, headers: [("Allow", self.allowed)], now)
    }
    guard transaction.request.bytes.count <= self.configuration.limits.bodyLength else {
      self.counters.bodiesTooLong += 1
      return self.refuse(transaction, 413, now)
    }
    if let tag = essentials.to.tag {
      let id = DialogID(callID: essentials.callID, localTag: tag, remoteTag: essentials.from.tag ?? "")
      if let record = self.dialogs[id] { return self.receive(inDialog: transaction, record, now) }
      if method == .notify, self.receive(firstNotify: transaction, source, now) { return }
      return self.refuse(transaction, 481, now)
    }
    if let refusal = self.refusal(of: transaction) {
      return self.refuse(transaction, refusal.status, headers: refusal.headers, now)
    }
    self.merges[transaction.mergeKey] = transaction.key
    transaction.account = self.accountOfRequest(method, transaction.uri, essentials.to.uri, source)
    // What can only belong to a dialog belongs to none here.
    if [.bye, .update, .prack].contains(method) { return self.refuse(transaction, 481, now) }
    guard self.admits(transaction, source: source, now) else { return }
    switch method {
    case .invite: self.receive(invite: transaction, source: source, now)
    case .options: self.answer(options: transaction, now)
    case .subscribe: self.receive(subscribe: transaction, source: source, now)
    case .refer: self.receive(refer: transaction, source: source, now)
    case .message where !self.configuration.messagesAwaitAnswer: self.receive(message: transaction, nil, now)
    default: self.receive(outside: transaction, source: source)
    }
  }

  /// Why a request outside a dialog is refused; nil when it is fine (RFC 3261 §8.2.2, §8.2.3).
  private func refusal(of transaction: ServerTransaction) -> (status: Int, headers: [(String, String)])? {
    let (request, method) = (transaction.request, transaction.essentials.cseq.method)
    switch transaction.uri.scheme {
    case .sip, .sips, .tel: break
    case .other: return (416, [])
    }
    if let other = self.merges[transaction.mergeKey], self.servers[other] != nil { return (482, []) }
    // Of no hop that is left an endpoint takes no notice: it has arrived (RFC 4475 §3.3.11).
    if let hops = request.headers["Max-Forwards"], hops.decimal(upTo: 255) == nil { return (400, []) }
    // What an INVITE may require depends on who is called.
    if method != .invite, let unsupported = self.unsupported(request, self.configuration.policy) {
      return (420, [("Unsupported", unsupported)])
    }
    if method == .invite, let body = request.body, !self.understands(body.contentType) {
      return (415, [("Accept", self.configuration.accept.joined(separator: ", "))])
    }
    return nil
  }

  /// The option tags of Require that are not supported, as a list; nil when all are.
  func unsupported(_ request: SIPMessage, _ policy: CallPolicy) -> String? {
    let supported = self.supported(policy)
    let unknown = request.headers.list("Require").filter { tag in
      !supported.contains { $0.isSame(ignoringCaseOf: tag) }
    }
    return unknown.isEmpty ? nil : unknown.joined(separator: ", ")
  }

  private func understands(_ contentType: String) -> Bool {
    var scanner = TextScanner(contentType)
    let type = scanner.take(while: { $0 != .semicolon && $0 != .space && $0 != .tab })
    return type.isEmpty || self.configuration.accept.contains { $0.isSame(ignoringCaseOf: type) }
  }

  var allowed: String { self.configuration.allow.map(\.name).joined(separator: ", ") }

  /// The option tags that hold for a call.
  private func supported(_ policy: CallPolicy) -> [String] {
    var tags = self.configuration.supported
    if policy.reliableProvisional != .no, !tags.contains("100rel") { tags.append("100rel") }
    if policy.sessionTimers.isSupported, !tags.contains("timer") { tags.append("timer") }
    return tags + policy.infoPackages.map(\.optionTag)
  }

  /// Allow, Supported, Allow-Events and Recv-Info, as requests and responses that make a dialog carry them.
  func capabilities(_ policy: CallPolicy) -> [(String, String)] {
    var headers = [("Allow", self.allowed)]
    let supported = self.supported(policy)
    if !supported.isEmpty { headers.append(("Supported", supported.joined(separator: ", "))) }
    if !self.configuration.eventPackages.isEmpty {
      headers.append(("Allow-Events", self.configuration.eventPackages.joined(separator: ", ")))
    }
    if !policy.infoPackages.isEmpty { headers.append(("Recv-Info", policy.receivedInfo)) }
    return headers
  }

  func answer(options transaction: ServerTransaction, _ now: Instant) {
    var headers = self.capabilities(self.configuration.policy)
    headers.append(("Accept", self.configuration.accept.joined(separator: ", ")))
    self.respond(transaction, 200, headers: headers, body: self.configuration.optionsBody, now)
  }

  func refuse(
    _ transaction: ServerTransaction, _ status: Int, headers: [(String, String)] = [], _ now: Instant
  ) {
    self.counters.refusedRequests += 1
    self.respond(transaction, status, headers: headers, now)
  }

  /// Sends a response in its transaction and returns its bytes; nil when the transaction has had its final one.
  @discardableResult
  func respond(
    _ transaction: ServerTransaction, _ status: Int, reason: String? = nil, headers more: [(String, String)] = [],
    body: SIPBody? = nil, _ now: Instant
  ) -> [UInt8]? {
    guard transaction.respond(status: status, now: now) else { return nil }
    let (request, essentials) = (transaction.request, transaction.essentials)
    var headers = SIPHeaders()
    for via in essentials.vias { headers.append("Via", via) }
    if status == 100, let stamp = request.headers["Timestamp"] { headers.append("Timestamp", stamp) }
    if [.invite, .subscribe, .refer].contains(essentials.cseq.method), (101..<300).contains(status) {
      for route in request.headers.all("Record-Route") { headers.append("Record-Route", route) }
    }
    headers.append("From", request.headers["From"] ?? "")
    headers.append("To", self.to(of: transaction, status))
    headers.append("Call-ID", essentials.callID)
    headers.append("CSeq", essentials.cseq.description)
    headers.append("Server", self.configuration.userAgent)
    for (name, value) in more { headers.append(name, value) }
    var response = SIPMessage(
      .response(status: status, reason: reason ?? ReasonPhrase.of(status)), headers: headers)
    response.set(body: body)
    let bytes = response.serialized()
    transaction.response = bytes
    self.counters.responsesSent += 1
    self.send(bytes, transaction.path)
    self.settle(transaction)
    return bytes
  }

  private func to(of transaction: ServerTransaction, _ status: Int) -> String {
    let to = transaction.request.headers["To"] ?? ""
    guard status > 100, transaction.essentials.to.tag == nil else { return to }
    let tag = transaction.localTag ?? self.newTag()
    transaction.localTag = tag
    return "\(to);tag=\(tag)"
  }

  /// Answers what is no sound message without a transaction, if it is a request with a Via that can be read.
  func refuse(malformed bytes: RawSpan, _ error: SIPParseError, _ path: SIPPath) {
    guard let (method, headers) = SIPMessage.salvage(datagram: bytes), method != .ack,
      let first = headers.list("Via").first, var via = try? Via(first)
    else { return }
    via.note(source: path.peer)
    var back = path
    if !path.transport.isReliable { back.peer = via.responseAddress(source: path.peer) }
    var answer = SIPHeaders()
    answer.append("Via", via.description)
    for other in headers.list("Via").dropFirst() { answer.append("Via", other) }
    for name in ["From", "To", "Call-ID", "CSeq"] {
      guard var value = headers[name] else { continue }
      if name == "To", (try? NameAddress(value))?.tag == nil, !value.isEmpty { value += ";tag=\(self.newTag())" }
      answer.append(name, value)
    }
    answer.append("Server", self.configuration.userAgent)
    let (status, reason) = error == .unsupportedVersion ? (505, error.phrase) : (400, error.phrase)
    let response = SIPMessage(.response(status: status, reason: reason), headers: answer)
    self.counters.refusedRequests += 1
    self.counters.responsesSent += 1
    self.send(response.serialized(), back)
  }
}
