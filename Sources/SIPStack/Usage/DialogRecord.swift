internal import NetBase

/// A dialog, and the usages that share it: at most one session, and subscriptions (RFC 5057 §3).
final class DialogRecord {
  /// How far offer and answer are while the INVITE has no final response (RFC 6337 §2.2).
  enum Exchange {
    case none
    /// Ours waits for an answer.
    case offered
    /// The peer's waits for one.
    case received
    case complete
  }

  var dialog: Dialog
  /// The path of the message that made the dialog.
  let start: SIPPath
  var session: SessionID?
  var subscriptions: [SubscriptionID] = []
  /// Where the peer reaches us in this dialog.
  let contact: NameAddress
  /// RSeq of the last provisional response that we confirmed (RFC 3262 §4).
  var confirmedProvisional: UInt32?
  var exchange = Exchange.none

  init(_ dialog: Dialog, start: SIPPath, contact: NameAddress, session: SessionID? = nil) {
    (self.dialog, self.start, self.contact, self.session) = (dialog, start, contact, session)
  }

  var id: DialogID { self.dialog.id }
  /// Where the next request goes.
  var path: SIPPath { self.dialog.path(from: self.start) }
}

extension SIPEndpoint {
  /// Sends a request in the dialog, in a transaction of its own.
  @discardableResult
  func send(
    _ method: SIPMethod, in record: DialogRecord, user: ClientTransaction.User, headers: [(String, String)] = [],
    body: SIPBody? = nil, _ now: Instant
  ) -> ClientTransaction {
    var request = record.dialog.request(method)
    for (name, value) in headers { request.headers.append(name, value) }
    request.headers.append("User-Agent", self.configuration.userAgent)
    request.set(body: body)
    return self.start(request, record.path, user: user, now)
  }

  /// Takes the dialog out of the table when no usage is left.
  func release(_ record: DialogRecord) {
    guard record.session == nil, record.subscriptions.isEmpty, self.dialogs[record.id] === record else { return }
    self.dialogs[record.id] = nil
  }

  /// The session leaves the dialog.
  func leave(_ record: DialogRecord) {
    record.session = nil
    self.release(record)
  }

  /// Sends the request of `transaction`, which has had its final response, once more and changed: the same user, the
  /// next number, a new branch. Whoever waits for the old transaction waits for the new one. Nil when nobody waits.
  ///
  /// - Parameter change: takes what was sent, its Via and CSeq still to be replaced.
  @discardableResult
  func sendAgain(
    _ transaction: ClientTransaction, _ now: Instant, change: (inout SIPMessage) -> Void
  ) -> ClientTransaction? {
    var request = transaction.request
    guard let sent = try? SIPEssentials(request), self.isAwaited(transaction) else { return nil }
    request.headers.remove("Via")
    change(&request)
    var number = sent.cseq.number + 1
    var path = transaction.path
    if let tag = sent.to.tag {
      let id = DialogID(callID: sent.callID, localTag: sent.from.tag ?? "", remoteTag: tag)
      guard let record = self.dialogs[id] else { return nil }
      number = record.dialog.nextSequence()
      path = record.path
    }
    request.headers.set("CSeq", CSeq(number: number, method: sent.cseq.method).description)
    let again = self.start(request, path, user: transaction.user, now)
    self.adopt(again, insteadOf: transaction)
    return again
  }

  /// Whether the user of `transaction` still wants its result.
  private func isAwaited(_ transaction: ClientTransaction) -> Bool {
    switch transaction.user {
    case .invite(let id):
      guard case .calling(_, .no)? = self.sessions[id]?.state else { return false }
      return true
    case .reoffer(let id):
      guard case .sent(let current, _)? = self.sessions[id]?.outgoingReoffer else { return false }
      return current === transaction
    case .bye(let id): return self.sessions[id] != nil
    case .prack(let id): return self.sessions[id]?.hasEnded == false
    case .subscription(let id): return self.subscriptions[id]?.request === transaction
    case .request: return true
    case .nobody: return false
    }
  }

  private func adopt(_ again: ClientTransaction, insteadOf old: ClientTransaction) {
    switch old.user {
    case .invite(let id):
      guard let session = self.sessions[id] else { return }
      session.state = .calling(again, .no)
      for early in session.earlyDialogs { self.leave(early) }
      session.earlyDialogs = []
    case .reoffer(let id):
      guard let session = self.sessions[id], case .sent(_, let reoffer)? = session.outgoingReoffer else { return }
      session.outgoingReoffer = .sent(again, reoffer)
    case .subscription(let id): self.subscriptions[id]?.request = again
    case .bye, .prack, .request, .nobody: break
    }
  }
}
