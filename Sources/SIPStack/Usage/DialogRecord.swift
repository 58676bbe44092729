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
  var start: SIPPath
  var session: SessionID?
  var subscriptions: [SubscriptionID] = []
  /// Where the peer reaches us in this dialog.
  var contact: NameAddress
  /// RSeq of the last provisional response that we confirmed (RFC 3262 §4).
  var confirmedProvisional: UInt32?
  var exchange = Exchange.none
  /// The peer's answer to the offer of our INVITE, where a reliable provisional response brought it.
  var answer: SIPBody?
  /// Our side of what was agreed in this dialog alone, while it is an early one of several.
  var localDescription: SIPBody?
  /// PRACKs of ours that wait for a response: an UPDATE that overtook one would make its number too low.
  var openPracks = 0

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
    body: SIPBody? = nil, submission: Submission = Submission(), _ now: Instant
  ) -> ClientTransaction {
    var request = record.dialog.request(method)
    for (name, value) in headers { request.headers.append(name, value) }
    request.headers.append("User-Agent", self.configuration.userAgent)
    request.set(body: body)
    return self.start(request, record.path, user: user, submission: submission, now)
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
  /// next number, a new branch. Whoever waits for the old transaction waits for the new one.
  ///
  /// - Parameter change: takes what was sent, its Via and CSeq still to be replaced.
  /// - Returns: false when nobody waits.
  @discardableResult
  func sendAgain(
    _ transaction: ClientTransaction, _ now: Instant, change: (inout SIPMessage) -> Void
  ) -> Bool {
    var request = transaction.request
    guard let sent = try? SIPEssentials(request), self.isWanted(transaction) else { return false }
    change(&request)
    var number = sent.cseq.number + 1
    var path = transaction.path
    if let tag = sent.to.tag {
      let id = DialogID(callID: sent.callID, localTag: sent.from.tag ?? "", remoteTag: tag)
      guard let record = self.dialogs[id] else { return false }
      number = record.dialog.nextSequence()
      path = record.path
    }
    request.headers.set("CSeq", CSeq(number: number, method: sent.cseq.method).description)
    self.resubmit(request, instead: transaction, path, transaction.submission, now)
    return true
  }
}
