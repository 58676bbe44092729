internal import NetBase
internal import SIPStack

/// One call as its user knows it.
struct FlowCall {
  let id: SessionID
  let isOutgoing: Bool
  /// The agent at the other end; nil behind the forker.
  var peer: Int?
  /// Call-ID and both tags, the caller's first: the same at both ends.
  var name: String?
  var establishedAt: Instant?
  /// When its user hung up.
  var hungUpAt: Instant?
  /// Whether a target of its may be a place where nobody is.
  var isDelayed = false
  var end: EndReason?
  var endedAt: Instant?
  /// The call that it replaces.
  var replaces: SessionID?
  /// The REFER that asked for it.
  var refer: ReferID?
  var media = FlowMedia()

  init(id: SessionID, isOutgoing: Bool, peer: Int?) { (self.id, self.isOutgoing, self.peer) = (id, isOutgoing, peer) }

  var isEstablished: Bool { self.establishedAt != nil }
}

/// A re-INVITE or UPDATE of a user.
struct FlowOffer {
  /// Nil for an UPDATE without.
  let text: String?
  /// In an early dialog, the callee's tag of it.
  var early: String?
  /// Whether nothing was in its way when it was made.
  let isFree: Bool
}

/// How far offer and answer are, as a user knows it. An answer names the offer that it answers.
struct FlowMedia {
  /// The descriptions in force.
  var mine: String?
  var theirs: String?
  /// Open offers of ours by re-INVITE or UPDATE, oldest first.
  var offers: [FlowOffer] = []
  /// The INVITE's: the caller's own offer, or the one that came with it at the callee.
  var first: String?
  /// What the callee says in each response to the INVITE.
  var reply: String?
  /// The callee: whether the reply was confirmed before the 2xx.
  var isConfirmed = false
  /// The peer's offer that the user has not answered; what it is, and of which kind.
  var owed: String??
  /// Whether both ends must agree in the end. Not so with forks, nor after an offer in an early dialog got no response.
  var isTracked = true
  /// The caller's early dialogs whose offer was answered, by the callee's tag.
  var early: [String: (mine: String, theirs: String)] = [:]
  var lastEarly: String?

  mutating func settle(mine: String?, theirs: String?) { (self.mine, self.theirs) = (mine, theirs) }

  /// The name of a description, without what it answers.
  static func head(_ text: String) -> Substring { text.prefix { $0 != ":" } }

  static func text(_ body: SIPBody?) -> String? { body.map { String(decoding: $0.bytes, as: UTF8.self) } }

  static func body(_ text: String?) -> SIPBody? { text.map { SIPBody(bytes: Array($0.utf8)) } }

  /// Whether `answer` was made for `offer`.
  static func isAnswer(_ answer: String?, to offer: String?) -> Bool {
    guard let answer, let offer else { return false }
    return answer.hasSuffix(":" + Self.head(offer))
  }
}
