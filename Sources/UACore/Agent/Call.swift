internal import ModuleKit
internal import NetBase
internal import SDPCodec
internal import SIPStack
internal import SRTPEngine

/// One call as main sees it: a SIP session, its media, and what became of both.
final class Call {
  let id: CallID
  /// Nil where the program carries the descriptions, and not SIP; and before the INVITE leaves.
  var session: SessionID?
  /// Who brings its descriptions to the peer in SIP's place, while there is more to bring.
  var carrier: (any CallCarrier)?
  let isOutgoing: Bool
  let peer: String
  /// The peer's display name, as it gives it.
  var peerName: String?
  /// The Request-URI of an INVITE that came in.
  var target = ""
  let settings: CallSettings
  /// SIP's Call-ID.
  var sipCallID = ""
  /// Who diverted the call here (RFC 5806).
  var diverter: String?
  /// When the INVITE left or came.
  let began: Instant
  var state: CallState
  /// Made when the call has a description to make or to answer.
  var media: CallMedia?
  /// The peer's offer, while it waits for someone to answer.
  var pendingOffer: [UInt8]?
  var isLateOffer = false
  /// What the peer has trickled before its description was taken.
  var earlyCandidates: [CandidateFragment.Section] = []
  static let maximumEarlyCandidates = 16
  /// The answer that went out with early media, which the 2xx repeats where no PRACK has confirmed it.
  var earlyAnswer: [UInt8]?
  /// Whether it is answered by itself, or was; then a person's `accept` comes too late.
  var answersItself = false
  /// Whether our answer is on its way.
  var isAnswered = false
  var isMuted = false
  /// Digits that wait to be sent by INFO, and whether one is under way.
  var infoDigits = ""
  var isSendingInfo = false
  /// A transfer that was asked for while a re-offer of ours waits for its answer.
  var pendingTransfer: CallTransfer?
  /// Who was put on hold until this call stands, or for its transfer: they go on where that comes to nothing.
  var held: [CallID] = []
  /// The REFER that asked for this call, while the one who sent it waits for news.
  var refer: ReferID?
  /// Whether a REFER in it was accepted, and it is not known yet where its target is: another one has to wait.
  var isReferring = false
  /// How many REFERs in a row have led to it.
  var referrals = 0
  var established: Instant?
  var ended: Instant?
  var secured: Instant?
  var firstMedia: Instant?
  var firstSent: Instant?
  var security: SecurityReport?
  /// What was heard last of the peer's digits, and how many there were in all.
  private(set) var digits = ""
  private(set) var digitCount = 0
  static let maximumDigits = 256
  var reason = ""
  /// Whether the peer has hung up, or taken its call back.
  private(set) var isEndedByPeer = false
  var failure: ModuleError?
  var status: Int?
  var statistics = TransportStatistics()
  /// Of the video's own transport.
  var videoTransport: TransportStatistics?
  /// What is done when its transports have told their figures, or it is over.
  var measured: [() -> Void] = []
  /// Whether applications wait for the figures that the peer's report has changed.
  var owesReport = false
  /// What a re-offer of ours is for, while it waits for its answer.
  var changes = Changes()
  /// Hold or resume that was asked for while an offer was under way, the last word of it.
  var nextHold: Bool?
  /// The call whose place it takes (RFC 3891).
  var replaced: CallID?
  /// How far the call is on its way to another address of ours.
  var move = Move.none
  /// SIP is done with it; the transport may not be.
  var hasSIPEnded = false
  var hasMediaEnded = false
  /// What is done when candidates are gathered; nil while nothing waits for any.
  var gathering: [() -> Void]?
  /// How often any were waited for.
  var gatherings = 0
  /// Where the announcements of the transport's events are handled.
  var eventPort: (() -> Void)?

  struct Changes {
    var hold: Bool?
    /// The directions before those that are offered.
    var formerDirections: CallDirections?
    /// Whether our offer only repeats what stands, for the answer to the one before it could not be used.
    var saysWhatStands = false
  }

  enum Move {
    case none
    /// Its address is gone; so many offers of another one were refused.
    case needed(refusals: Int)
    case offered(refusals: Int)
  }

  init(id: CallID, session: SessionID?, isOutgoing: Bool, peer: String, settings: CallSettings, began: Instant) {
    self.id = id
    self.session = session
    self.isOutgoing = isOutgoing
    self.peer = peer
    self.settings = settings
    self.began = began
    self.state = isOutgoing ? .calling : .incoming
  }

  /// Whether it came in and nobody has answered it yet.
  var isWaiting: Bool { !self.isOutgoing && !self.isAnswered && [.incoming, .ringing, .early].contains(self.state) }

  /// Notes a digit of the peer's, which may send as many as it likes.
  func heard(_ digit: Character) {
    if self.digits.count == Self.maximumDigits { self.digits.removeFirst() }
    self.digits.append(digit)
    self.digitCount += 1
  }

  /// The newest figures are there, or there will be none.
  func tellMeasured() {
    let waiting = self.measured
    self.measured = []
    for body in waiting { body() }
  }

  /// Notes why the call ends; the first reason stands.
  func end(_ reason: String, failure: ModuleError? = nil, status: Int? = nil, byPeer: Bool = false) {
    guard self.reason.isEmpty else { return }
    (self.reason, self.failure, self.status, self.isEndedByPeer) = (reason, failure, status, byPeer)
  }

  /// Why it ended, as baresip says it: a status with its reason, or a sentence.
  var closing: String {
    if let status { return "\(status) \(ReasonPhrase.of(status))" }
    if let failure { return failure.message }
    if self.isEndedByPeer { return "Connection reset by peer" }
    return self.reason == "hangup" ? "Connection reset by user" : self.reason
  }

  /// When media first crossed under keys, either way.
  private var firstSecuredMedia: Instant? {
    guard let sent = self.firstSent, let heard = self.firstMedia else { return self.firstSent ?? self.firstMedia }
    return min(sent, heard)
  }

  func report(now: Instant, rxMode: RxMode) -> CallReport {
    func since(_ instant: Instant?) -> Double? { instant.map { Double($0.nanoseconds(since: self.began)) / 1e6 } }
    let duration = self.established.map { Double((self.ended ?? now).nanoseconds(since: $0)) / 1e9 } ?? 0
    let isEncrypted = self.media?.isEncrypted ?? false
    return CallReport(
      id: self.id, isOutgoing: self.isOutgoing, peer: self.peer, peerName: self.peerName,
      target: self.target, state: self.state, reason: self.reason, failure: self.failure, status: self.status,
      setup: since(self.established),
      secure: isEncrypted && self.secured != nil ? since(self.firstSecuredMedia) : nil,
      firstMedia: since(self.firstMedia), duration: duration,
      mediaEncryption: isEncrypted ? self.settings.mediaEncryption ?? "none" : "none",
      profile: self.security?.profile.rawValue, dtlsVersion: self.security?.dtlsVersion,
      codec: self.media?.codec.map { "\($0.codec.encodingName)/\($0.codec.clockRate)/\($0.codec.channels)" },
      rxMode: rxMode, isOnHold: self.media?.isOnHold ?? false,
      isHeldByPeer: self.media?.isHeldByPeer ?? false, digits: self.digits,
      digitCount: self.digitCount, media: self.statistics,
      video: self.statistics.video ?? self.videoTransport?.video, videoTransport: self.videoTransport,
      unusedCandidates: self.media?.unusedCandidates ?? UnusedCandidates())
  }
}
