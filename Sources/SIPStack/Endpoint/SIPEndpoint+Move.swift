package import NetBase

/// A session that goes on from another address: what a change of network asks for.
extension SIPEndpoint {
  /// The way of a session's next request; nil while there is no dialog.
  package func path(of id: SessionID) -> SIPPath? { self.sessions[id]?.dialog?.path }

  /// Sends what comes next of a session from `local`, and names it in Contact, where the address before was named.
  ///
  /// A re-INVITE or an UPDATE must follow to tell the peer (RFC 3261 §12.2.1.1). A 2xx of ours that waits for its ACK goes
  /// out again with the new Contact, for its ACK would go to the address that is no more.
  ///
  /// - Parameter flow: the connection that leads from the new address to the same next hop; nil where none is known.
  package func move(_ id: SessionID, to local: SocketAddress, flow: SIPFlow? = nil, now: Instant) {
    guard let session = self.sessions[id] else { return }
    let isElsewhere = session.answer.map { $0.path.local != local } ?? false
    for record in session.earlyDialogs + (session.dialog.map { [$0] } ?? []) {
      let former = record.start.local
      record.contact = record.contact.moved(from: former, to: local)
      session.contact = session.contact.moved(from: former, to: local)
      (record.start.local, record.start.flow) = (local, flow)
    }
    if isElsewhere { self.sendAnswerAgain(session, from: local, flow, now) }
  }

  private func sendAnswerAgain(_ session: InviteSession, from local: SocketAddress, _ flow: SIPFlow?, _ now: Instant) {
    guard var answer = session.answer, var message = answer.bytes.withRawSpan({ try? SIPMessage(datagram: $0) }) else {
      return
    }
    message.headers.set("Contact", session.contact.description)
    answer.bytes = message.serialized()
    (answer.path.local, answer.path.flow) = (local, flow)
    // A peer that has had it repeats an ACK to the old address, if any: it is not waited for as long as another.
    if !answer.isOffer, answer.isReoffer { answer.isTakenAt = now.advanced(byMilliseconds: 3_000) }
    session.answer = answer
    self.counters.retransmissionsSent += 1
    self.send(answer.bytes, answer.path)
    self.settle(session)
  }

  /// Whether a request in a dialog comes with another Contact than the last: the peer has moved.
  func hasMoved(_ request: SIPMessage, _ record: DialogRecord) -> Bool {
    guard let contact = Dialog.contact(request) else { return false }
    return (contact.host, contact.port) != (record.dialog.remoteTarget.host, record.dialog.remoteTarget.port)
  }
}

extension NameAddress {
  /// The same name at our new address; another one, as a registrar gives it out (GRUU), stays.
  fileprivate func moved(from former: SocketAddress, to local: SocketAddress) -> NameAddress {
    guard self.uri.host == former.uriHost else { return self }
    var moved = self
    moved.uri.host = local.uriHost
    moved.uri.port = local.port
    return moved
  }

  /// The same where another transport leads there, too.
  func moved(from former: SIPPath, to next: SIPPath) -> NameAddress {
    var moved = self.moved(from: former.local, to: next.local)
    if former.transport != next.transport, self.uri.host == former.local.uriHost {
      moved.uri.parameters["transport"] = next.transport.uriParameter
    }
    return moved
  }
}
