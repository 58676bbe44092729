internal import NetBase
internal import SIPStack

/// What can be watched at somebody, by the name of its event package.
package enum WatchedPackage: String, CaseIterable, Sendable {
  /// RFC 3856.
  case presence
  /// RFC 4235.
  case dialog

  /// The type of its bodies.
  var contentType: String {
    switch self {
    case .presence: PIDF.contentType
    case .dialog: DialogInfo.contentType
    }
  }
}

/// One package watched at one contact: the subscription that stands, or what it waits for.
final class ContactWatch {
  /// Which one it is.
  struct Key: Hashable {
    let uri: String
    let package: WatchedPackage
  }

  /// What its subscription is doing.
  enum Stage {
    /// It waits for an account that can ask.
    case idle
    /// The contact's address is looked up.
    case locating
    case subscribed(SubscriptionID)
    /// It failed, and is tried again later.
    case waiting
    case over
  }

  let key: Key
  var stage = Stage.idle
  /// Who asks.
  var account: LocalAccount?
  /// Where its subscription was sent, and how the contact's NOTIFYs come: by which Contact, and over which connection.
  var way: (target: SIPTarget, contact: SIPURI, flow: SIPFlow?)?
  /// Grows with each attempt: what belongs to an older one has no effect.
  var attempt = 0
  /// How often in a row it was refused, or nobody answered.
  var failures = 0
  var presence = PresenceState.unknown
  var dialogs = DialogTable()
  /// Whether anything was heard of its dialogs.
  var knowsDialogs = false

  init(_ key: Key) { self.key = key }

  var subscription: SubscriptionID? { if case .subscribed(let id) = self.stage { id } else { nil } }

  /// What is shown of it.
  var shown: String {
    switch self.key.package {
    case .presence: self.presence.shown
    case .dialog: self.knowsDialogs ? self.dialogs.lamp?.rawValue ?? "idle" : "unknown"
    }
  }

  /// Forgets what was heard.
  func forget() {
    self.presence = .unknown
    self.dialogs = DialogTable()
    self.knowsDialogs = false
  }

  /// Takes in what a NOTIFY carries; false when it can't be read. Without a body nothing is known (RFC 6665 §4.2.2).
  func take(_ body: SIPBody?) -> Bool {
    guard let body else {
      self.forget()
      return true
    }
    switch self.key.package {
    case .presence:
      guard let document = PIDF(body) else { return false }
      self.presence = document.state
    case .dialog:
      guard let document = DialogInfo(body) else { return false }
      self.dialogs.take(document)
      self.knowsDialogs = true
    }
    return true
  }

  /// How long after the end of a subscription the next one is tried, as baresip waits; counts failures.
  func pause(after end: SubscriptionEnd) -> Duration {
    switch end {
    case .terminated(reason: "deactivated", _), .terminated(reason: "timeout", _): .seconds(5)
    case .terminated(reason: "rejected", _), .terminated(reason: "noresource", _): .seconds(3_600)
    case .terminated(_, let retryAfter): .seconds(min(max(300, retryAfter ?? 0), 86_400))
    case .local, .unsubscribed, .refused, .timeout, .unreachable: self.pauseAfterFailure()
    }
  }

  func pauseAfterFailure() -> Duration {
    let pauses = [30, 300, 3_600, 86_400]
    defer { self.failures += 1 }
    return .seconds(pauses[min(self.failures, pauses.count - 1)])
  }
}
