package import NetBase

/// Reliable provisional responses and their PRACK, both ways (RFC 3262).
extension SIPEndpoint {
  /// Sends the answer to the offer of a reliable provisional response (event `earlyOffer`) in its PRACK.
  package func acknowledgeProgress(_ id: SessionID, dialog: DialogID, body: SIPBody?, now: Instant) {
    guard let session = self.sessions[id], case .calling(let transaction, _) = session.state,
      let record = session.record(dialog), case .received = record.exchange, let number = record.confirmedProvisional
    else { return }
    record.exchange = .complete
    (record.localDescription, session.localDescription) = (body, body)
    self.sendPrack(number, transaction, record, session, body: body, now)
  }

  // MARK: The caller

  /// RSeq of a provisional response that is to be confirmed.
  func reliableNumber(of response: ReceivedResponse, _ session: InviteSession) -> UInt32? {
    let headers = response.message.headers
    guard session.policy.reliableProvisional != .no,
      headers.list("Require").contains(where: { $0.isSame(ignoringCaseOf: "100rel") })
    else { return nil }
    return headers["RSeq"].flatMap { $0.trimmed.decimal(upTo: Int(UInt32.max)) }.map { UInt32($0) }
  }

  func receive(
    reliable response: ReceivedResponse, _ number: UInt32, _ transaction: ClientTransaction, _ record: DialogRecord,
    _ session: InviteSession, _ now: Instant
  ) {
    // A copy, or one that came ahead of its turn: neither is confirmed nor handed on (RFC 3262 §4).
    if let last = record.confirmedProvisional, number != last &+ 1 { return }
    record.confirmedProvisional = number
    session.peer.note(response.message.headers)
    let progress = CallProgress(response, record.id, isReliable: true)
    let isDescribed = progress.body?.isSessionDescription == true
    switch record.exchange {
    case .none where isDescribed:
      record.exchange = .received
      return self.emit(.earlyOffer(session.id, progress))
    case .offered where isDescribed: (record.exchange, record.answer) = (.complete, progress.body)
    case .none, .offered, .received, .complete: break
    }
    self.sendPrack(number, transaction, record, session, body: nil, now)
    self.emit(.progress(session.id, progress))
  }

  private func sendPrack(
    _ number: UInt32, _ transaction: ClientTransaction, _ record: DialogRecord, _ session: InviteSession,
    body: SIPBody?, _ now: Instant
  ) {
    guard let cseq = transaction.request.headers["CSeq"].flatMap({ try? CSeq($0) }) else { return }
    record.openPracks += 1
    self.send(
      .prack, in: record, user: .prack(session.id),
      headers: [("RAck", RAck(responseNumber: number, cseq: cseq).description)], body: body, now)
  }

  // MARK: The callee

  func ring(
    reliably session: InviteSession, _ transaction: ServerTransaction, _ ring: ReliableProvisionals.Waiting,
    _ now: Instant
  ) {
    guard var reliable = session.reliable, reliable.answer == nil, let record = session.dialog else { return }
    guard reliable.outstanding == nil else {
      if reliable.waiting.count < ReliableProvisionals.maximumWaiting { reliable.waiting.append(ring) }
      session.reliable = reliable
      return
    }
    let number = reliable.nextSequence
    let headers =
      self.dialogHeaders(session) + [("Require", "100rel"), ("RSeq", "\(number)")] + ring.headers
    guard
      let bytes = self.respond(
        transaction, ring.status, reason: ring.reason, headers: headers, body: ring.body, now)
    else { return }
    let isOffer = ring.body != nil && record.exchange == .none
    switch record.exchange {
    case .none where ring.body != nil: record.exchange = .offered
    case .received where ring.body != nil: record.exchange = .complete
    case .none, .offered, .received, .complete: break
    }
    if ring.body != nil { session.localDescription = ring.body }
    let timers = self.configuration.timers(transaction.path.transport)
    // Repeated over any transport, for proxies may lose it between two reliable hops.
    reliable.outstanding = .init(
      sequence: number, bytes: bytes, path: transaction.path, backoff: Backoff(timers.t1, cap: nil, now: now),
      limit: now.advanced(by: timers.limit), hasBody: ring.body != nil, isOffer: isOffer)
    reliable.nextSequence = number &+ 1
    session.reliable = reliable
    self.settle(session)
  }

  func receive(
    prack transaction: ServerTransaction, _ record: DialogRecord, _ session: InviteSession, _ now: Instant
  ) {
    guard let rack = transaction.request.headers["RAck"].flatMap({ RAck($0) }), var reliable = session.reliable,
      session.dialog === record, rack.cseq == session.inviteSequence
    else { return self.refuse(transaction, 481, now) }
    let body = transaction.request.body
    guard let outstanding = reliable.outstanding, outstanding.sequence == rack.responseNumber else {
      guard reliable.abandoned.contains(rack.responseNumber) else { return self.refuse(transaction, 481, now) }
      self.respond(transaction, 200, now)
      return
    }
    guard case .incoming(let pending) = session.state else { return self.refuse(transaction, 481, now) }
    reliable.outstanding = nil
    session.reliable = reliable
    if outstanding.isOffer {
      record.exchange = .complete
      self.respond(transaction, 200, now)
    } else if body != nil, record.exchange == .complete, session.incomingReoffer == nil,
      session.outgoingReoffer == nil
    {
      transaction.session = session.id
      session.incomingReoffer = .init(transaction: transaction, record: record)
    } else {
      self.respond(transaction, 200, now)
    }
    self.emit(.progressAcknowledged(session.id, outstanding.isOffer ? body : nil))
    if session.incomingReoffer?.transaction === transaction {
      self.emit(.reoffer(session.id, body, method: .prack))
    }
    self.goOn(session, pending, now)
    self.settle(session)
  }

  /// What waited for the PRACK follows: the 2xx, or else the next provisional response.
  private func goOn(_ session: InviteSession, _ transaction: ServerTransaction, _ now: Instant) {
    guard var reliable = session.reliable, reliable.outstanding == nil, case .incoming = session.state else { return }
    if let answer = reliable.answer {
      self.accept(session, transaction, headers: answer.headers, body: answer.body, now)
    } else if !reliable.waiting.isEmpty {
      let next = reliable.waiting.removeFirst()
      session.reliable = reliable
      self.ring(reliably: session, transaction, next, now)
    }
  }

  func timeout(reliable session: InviteSession, _ now: Instant) {
    guard case .incoming(let transaction) = session.state, var outstanding = session.reliable?.outstanding else {
      return
    }
    if outstanding.limit <= now {
      // The caller does not confirm: it is not there any more (RFC 3262 §3).
      self.respond(transaction, 504, now)
      self.abandonReoffers(session, now)
      self.end(session, .timeout)
      self.forget(session, now)
    } else if outstanding.backoff.fires(at: now) {
      session.reliable?.outstanding = outstanding
      self.counters.retransmissionsSent += 1
      self.send(outstanding.bytes, outstanding.path)
    }
  }
}
