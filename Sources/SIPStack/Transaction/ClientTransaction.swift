internal import NetBase

/// What a response is matched by (RFC 3261 §17.1.3).
struct ClientTransactionKey: Hashable, Sendable {
  var branch: String
  var method: SIPMethod
}

/// One of the two client machines.
enum ClientMachine {
  case invite(InviteClientTransaction)
  case nonInvite(NonInviteClientTransaction)
}

/// A client transaction in the endpoint's table: the machine, what it sends again, and who waits for the result.
final class ClientTransaction {
  /// Who is told.
  enum User {
    case invite(SessionID)
    /// A re-INVITE or an UPDATE.
    case reoffer(SessionID)
    case bye(SessionID)
    case prack(SessionID)
    /// A SUBSCRIBE, a NOTIFY or a REFER.
    case subscription(SubscriptionID)
    case request(RequestID)
    case registration(RegistrationID)
    /// A BYE to a fork that lost, or to who answered too late: nobody waits for its result, but it has to arrive.
    case farewell
    /// A CANCEL: nobody waits for its result.
    case nobody
  }

  let key: ClientTransactionKey
  /// Counts up with every transaction: an order that does not depend on hashing.
  let serial: UInt64
  let timer: DeadlineHeap.Slot
  let request: SIPMessage
  let bytes: [UInt8]
  var path: SIPPath
  let user: User
  /// What it and those before it have been through.
  let submission: Submission
  private var machine: ClientMachine
  /// The ACK of a failure, to be sent again with each copy of it.
  var failureAcknowledgement: [UInt8]?
  /// The ACKs of successes by the tag of who answered; nil bytes while the user still owes the answer.
  var acknowledgements: [String: Acknowledgement] = [:]

  /// The last numbers that were used in early dialogs which are let go, by the tag of who answered: a late 2xx of such a
  /// one is hung up by a BYE with a higher number (RFC 3261 §12.2.1.1).
  var earlySequences: [String: UInt32] = [:]

  /// An ACK that was sent, or is awaited from the user.
  enum Acknowledgement {
    case awaited
    case sent([UInt8], SIPPath)
  }

  init(
    key: ClientTransactionKey, serial: UInt64, timer: DeadlineHeap.Slot, request: SIPMessage, path: SIPPath,
    user: User, submission: Submission, timers: TransactionTimers, now: Instant
  ) {
    (self.key, self.serial, self.timer) = (key, serial, timer)
    (self.request, self.path, self.user) = (request, path, user)
    self.submission = submission
    self.bytes = request.serialized()
    self.machine =
      key.method == .invite
      ? .invite(InviteClientTransaction(timers: timers, now: now))
      : .nonInvite(NonInviteClientTransaction(timers: timers, now: now))
  }

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

  var isProceedingInvite: Bool {
    switch self.machine {
    case .invite(let machine): machine.isProceeding
    case .nonInvite: false
    }
  }

  /// Whether no response at all has come to it.
  var isUnheard: Bool { self.isPending && !self.isProceedingInvite }

  func receive(status: Int, now: Instant) -> ClientTransactionAction {
    let action: ClientTransactionAction
    switch self.machine {
    case .invite(var machine):
      action = machine.receive(status: status, now: now)
      self.machine = .invite(machine)
    case .nonInvite(var machine):
      action = machine.receive(status: status, now: now)
      self.machine = .nonInvite(machine)
    }
    return action
  }

  func timeout(now: Instant) -> ClientTransactionAction {
    let action: ClientTransactionAction
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

  /// ACKs that went over a connection that is gone go over a new one where they are asked for again.
  func leaveFlow(_ flow: SIPFlow) {
    for case (let tag, .sent(let bytes, var path)) in self.acknowledgements where path.flow == flow {
      path.flow = nil
      self.acknowledgements[tag] = .sent(bytes, path)
    }
  }

  func cancelled(now: Instant) {
    guard case .invite(var machine) = self.machine else { return }
    machine.cancelled(now: now)
    self.machine = .invite(machine)
  }

  func abandon() {
    switch self.machine {
    case .invite(var machine):
      machine.abandon()
      self.machine = .invite(machine)
    case .nonInvite(var machine):
      machine.abandon()
      self.machine = .nonInvite(machine)
    }
  }
}
