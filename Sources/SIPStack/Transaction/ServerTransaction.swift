internal import NetBase

/// What a request is matched by (RFC 3261 §17.2.3).
struct ServerTransactionKey: Hashable, Sendable {
  var branch: String
  var sentBy: String
  var method: SIPMethod

  /// The key of `method` for what came with these headers; an ACK and a CANCEL name the INVITE by its own method.
  ///
  /// A sender of RFC 2543 promises nothing about its branch, so its key is made of all that identifies the request.
  init(_ essentials: SIPEssentials, uri: SIPURI, method: SIPMethod) {
    let via = essentials.via
    self.sentBy = via.sentBy
    self.method = method
    self.branch =
      via.hasMagicCookie
      ? via.branch
      : "\(essentials.callID)\n\(essentials.cseq.number)\n\(essentials.from.tag ?? "")\n\(uri)\n\(via.branch)"
  }
}

/// What tells that one request reached us over two paths (RFC 3261 §8.2.2.2).
struct MergeKey: Hashable, Sendable {
  var callID: String
  var fromTag: String
  var cseq: CSeq
}

/// A server transaction in the endpoint's table: the machine, the request, and the response that it repeats.
final class ServerTransaction {
  private enum Machine {
    case invite(InviteServerTransaction)
    case nonInvite(NonInviteServerTransaction)
  }

  let key: ServerTransactionKey
  let timer: DeadlineHeap.Slot
  let request: SIPMessage
  let essentials: SIPEssentials
  let uri: SIPURI
  private(set) var path: SIPPath
  private var machine: Machine
  var response: [UInt8]?
  /// The session that an INVITE belongs to.
  var session: SessionID?
  /// The account that an incoming request is for, when the user told.
  var account: SIPAccountID?
  /// The tag that all responses carry when the request has none.
  var localTag: String?

  init(
    key: ServerTransactionKey, timer: DeadlineHeap.Slot, request: SIPMessage, essentials: SIPEssentials, uri: SIPURI,
    path: SIPPath, timers: TransactionTimers
  ) {
    (self.key, self.timer, self.request, self.essentials) = (key, timer, request, essentials)
    (self.uri, self.path) = (uri, path)
    self.machine =
      key.method == .invite
      ? .invite(InviteServerTransaction(timers: timers)) : .nonInvite(NonInviteServerTransaction(timers: timers))
  }

  var mergeKey: MergeKey {
    MergeKey(
      callID: self.essentials.callID, fromTag: self.essentials.from.tag ?? "", cseq: self.essentials.cseq)
  }

  /// The connection is gone: what is still to be said goes to the address that the Via names (RFC 3261 §18.2.2).
  func leaveFlow() { self.path.leaveFlow(port: self.viaPort) }

  var viaPort: UInt16 { self.essentials.via.port ?? self.path.transport.defaultPort }

  var nextDeadline: Instant? {
    switch self.machine {
    case .invite(let machine): machine.nextDeadline
    case .nonInvite(let machine): machine.nextDeadline
    }
  }

  var isTerminated: Bool {
    switch self.machine {
    case .invite(let machine): machine.isTerminated
    case .nonInvite(let machine): machine.isTerminated
    }
  }

  var isPending: Bool {
    switch self.machine {
    case .invite(let machine): machine.isPending
    case .nonInvite(let machine): machine.isPending
    }
  }

  func respond(status: Int, now: Instant) -> Bool {
    let isSent: Bool
    switch self.machine {
    case .invite(var machine):
      isSent = machine.respond(status: status, now: now)
      self.machine = .invite(machine)
    case .nonInvite(var machine):
      isSent = machine.respond(status: status, now: now)
      self.machine = .nonInvite(machine)
    }
    return isSent
  }

  func receiveAgain() -> ServerTransactionAction {
    switch self.machine {
    case .invite(let machine): machine.receiveInvite()
    case .nonInvite(let machine): machine.receiveRequest()
    }
  }

  func receiveAcknowledgement(now: Instant) -> ServerTransactionAction {
    guard case .invite(var machine) = self.machine else { return .none }
    let action = machine.receiveAcknowledgement(now: now)
    self.machine = .invite(machine)
    return action
  }

  func timeout(now: Instant) -> ServerTransactionAction {
    let action: ServerTransactionAction
    switch self.machine {
    case .invite(var machine):
      action = machine.timeout(now: now)
      self.machine = .invite(machine)
    case .nonInvite(var machine):
      action = machine.timeout(now: now)
      self.machine = .nonInvite(machine)
    }
    return action
  }
}
