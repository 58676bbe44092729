internal import ModuleKit
internal import NetBase
internal import SRTPEngine

/// A transport's SRTP contexts, both ways: one pair, or with DTLS and no rtcp-mux one for each component.
struct KeyStore: ~Copyable {
  // What every packet and tick touches comes first.
  /// Whether RTCP has keys of its own (RFC 5764 §3 without rtcp-mux).
  var isPerComponent = false

  /// Whether there are keys that open what comes, in the contexts that are RTP's and those that are RTCP's own.
  private var opens = (rtp: false, rtcp: false)
  /// Changes of keys that this end has seen at work: a packet of the peer's was authenticated under its new key, and one of
  /// ours left under ours, by when the next key came at the latest. What the peer authenticated, its own count tells: both
  /// directions are authenticated for what both ends count, which is at most the lesser of the two.
  private(set) var rekeys = 0
  /// Whether newer keys than the first are installed that are not in use both ways yet.
  private(set) var isRekeying = false

  /// Whether RTCP that has keys of its own has newer ones than it had before this re-key.
  private var hasNewReportKeys = false
  /// Whether RTP was heard since RTP's newest keys were installed, under whichever: the peer does not only listen.
  private var hearsMedia = false

  /// When `timeout` wants to be called. It changes where keys do only, and is asked for at every tick: so it is kept here.
  private(set) var nextDeadline: Instant?
  /// Whether anything may be out of use that was not taken.
  private var mayHaveRetired = false

  private let limit: KeyLimit
  /// Packets under the key in use at which it is said, again, that there should be another one.
  private var nextReminder: UInt64 = 0
  /// An offer may have been refused, or met one of the peer's, by then.
  private static let reminderInterval: UInt64 = 250

  private(set) var profile: SRTPProfile?
  private var rtpInbound: InboundKeys
  private var rtpOutbound: OutboundKeys
  private var rtcpInbound: InboundKeys
  private var rtcpOutbound: OutboundKeys

  init(_ transform: SRTPTransform = .standard, limit: KeyLimit = .standard) {
    self.limit = limit
    // Video that is sent again comes after all that left meanwhile.
    self.rtpInbound = InboundKeys(replayWindow: VideoReceiver.misorder, transform: transform)
    self.rtpOutbound = OutboundKeys(transform: transform)
    self.rtcpInbound = InboundKeys(transform: transform)
    self.rtcpOutbound = OutboundKeys(transform: transform)
  }

  /// Tells how long packets may be on their way.
  var roundTrip: Duration? {
    get { self.rtpInbound.roundTripTime }
    set {
      guard let newValue else { return }
      self.rtpInbound.roundTripTime = newValue
      self.rtcpInbound.roundTripTime = newValue
    }
  }

  /// Whether a new key may be in use that is not here yet: a packet that no key opens is then left as it came.
  var expectsInbound = false {
    didSet {
      self.rtpInbound.preservesFailures = self.expectsInbound
      self.rtcpInbound.preservesFailures = self.expectsInbound
    }
  }

  /// Whether a key waits until the peer can read it.
  var hasPending: Bool { self.rtpOutbound.hasPending }

  /// Whose keys open what comes for `component`; nil while there are none.
  func inboundOwner(for component: Component) -> Component? {
    let hasKeys = self.isOwn(component) ? self.opens.rtcp : self.opens.rtp
    return hasKeys ? (self.isPerComponent ? component : .rtp) : nil
  }

  func hasOutbound(for component: Component) -> Bool {
    self.isOwn(component) ? self.rtcpOutbound.isReady : self.rtpOutbound.isReady
  }

  mutating func installInbound(
    _ material: consuming SRTPKeyMaterial, _ continuity: KeyContinuity, for component: Component, now: Instant
  ) throws(SRTPError) {
    let profile = material.profile
    defer { self.noteChange() }
    if self.isOwn(component) {
      if self.rtcpInbound.generationCount > 0 { self.hasNewReportKeys = true }
      try self.rtcpInbound.install(material, continuity: continuity.engine, now: now)
    } else {
      // Since we sent under the last nothing may have come: it counts all the same.
      if self.isRekeying {
        self.noteRekey()
        self.hasNewReportKeys = false
      }
      self.hearsMedia = false
      self.isRekeying = self.rtpInbound.generationCount > 0
      try self.rtpInbound.install(material, continuity: continuity.engine, now: now)
      self.profile = profile
    }
  }

  /// A key that a newer one has overtaken: the peer may have sent under it.
  mutating func installFormerInbound(
    _ material: consuming SRTPKeyMaterial, for component: Component, now: Instant
  ) throws(SRTPError) {
    defer { self.noteChange() }
    if self.isOwn(component) {
      try self.rtcpInbound.installFormer(material, now: now)
    } else {
      try self.rtpInbound.installFormer(material, now: now)
    }
  }

  mutating func installOutbound(
    _ material: consuming SRTPKeyMaterial, _ continuity: KeyContinuity, for component: Component, switchNow: Bool
  ) throws(SRTPError) {
    defer { self.noteChange() }
    if self.isOwn(component) {
      try self.rtcpOutbound.install(material, continuity: continuity.engine, switchNow: switchNow)
    } else {
      try self.rtpOutbound.install(material, continuity: continuity.engine, switchNow: switchNow)
    }
  }

  mutating func switchOutbound() throws(SRTPError) {
    defer { self.noteChange() }
    try self.rtpOutbound.switchToPending()
    try self.rtcpOutbound.switchToPending()
  }

  mutating func unprotect(
    _ packet: inout Packet, isRTCP: Bool, on component: Component, now: Instant
  ) -> SRTPResult {
    defer { if self.nextDeadline != nil { self.noteChange() } }
    let result =
      self.isOwn(component)
      ? self.rtcpInbound.unprotect(&packet, isRTCP: isRTCP, now: now)
      : self.rtpInbound.unprotect(&packet, isRTCP: isRTCP, now: now)
    if self.isRekeying {
      if case .ok = result, !self.isOwn(component) { self.hearsMedia = true }
      self.noteRekey()
    }
    return result
  }

  /// A re-key is done, for this end, when the peer was heard under the new key and we have sent under ours. The peer's
  /// first packet under its new key also tells that it can read ours: it has them installed by then, whether or not a
  /// packet under them has come. Of a peer that only listens RTCP alone is heard; so is it of us.
  private mutating func noteRekey() {
    let isListenerHeard = self.hasNewReportKeys && !self.hearsMedia && self.rtcpInbound.heard
    guard self.rtpInbound.heard || isListenerHeard else { return }
    if self.rtpOutbound.hasPending { try? self.switchOutbound() }
    let hasReported = self.isPerComponent && self.rtcpOutbound.packetsUnderCurrentKey > 0
    guard self.rtpOutbound.packetsUnderCurrentKey > 0 || hasReported else { return }
    (self.isRekeying, self.hasNewReportKeys) = (false, false)
    self.rekeys += 1
    self.nextReminder = 0
  }

  private mutating func noteChange() {
    self.mayHaveRetired = true
    self.opens = (self.rtpInbound.generationCount > 0, self.rtcpInbound.generationCount > 0)
    let (rtp, rtcp) = (self.rtpInbound.nextDeadline, self.rtcpInbound.nextDeadline)
    self.nextDeadline = rtp.map { min(rtcp ?? $0, $0) } ?? rtcp
  }

  /// Whether a packet of the peer's may change more than what is counted.
  var isChanging: Bool { self.isRekeying || self.nextDeadline != nil }

  /// Whether the key in use is worn out, and it is time to say so.
  var isWornOut: Bool {
    let (sent, reports) = self.packetsUnderCurrentKeys
    guard sent >= self.limit.packets || reports >= self.limit.reports else { return false }
    return self.used >= self.nextReminder
  }

  /// The same, once.
  mutating func takeReminder() -> Bool {
    guard self.isWornOut else { return false }
    self.nextReminder = self.used + Self.reminderInterval
    return true
  }

  private var packetsUnderCurrentKeys: (sent: UInt64, reports: UInt64) {
    (
      self.rtpOutbound.packetsUnderCurrentKey,
      self.isPerComponent ? self.rtcpOutbound.packetsUnderCurrentKey : self.rtpOutbound.reportsUnderCurrentKey
    )
  }

  private var used: UInt64 {
    let (sent, reports) = self.packetsUnderCurrentKeys
    return self.isPerComponent ? sent + reports : sent
  }

  mutating func protect(_ packet: inout Packet, isRTCP: Bool, on component: Component) -> SRTPResult {
    if self.isOwn(component) {
      return isRTCP ? self.rtcpOutbound.protect(rtcp: &packet) : self.rtcpOutbound.protect(rtp: &packet)
    }
    return isRTCP ? self.rtpOutbound.protect(rtcp: &packet) : self.rtpOutbound.protect(rtp: &packet)
  }

  mutating func timeout(now: Instant) {
    guard let nextDeadline, nextDeadline <= now else { return }
    self.rtpInbound.timeout(now: now)
    self.rtcpInbound.timeout(now: now)
    self.noteChange()
  }

  /// A context that is no longer in use, to be freed elsewhere.
  mutating func takeRetired() -> RetiredSRTP? {
    guard self.mayHaveRetired else { return nil }
    if let retired = self.rtpInbound.takeRetired() { return retired }
    if let retired = self.rtcpInbound.takeRetired() { return retired }
    if let retired = self.rtpOutbound.takeRetired() { return retired }
    if let retired = self.rtcpOutbound.takeRetired() { return retired }
    self.mayHaveRetired = false
    return nil
  }

  private func isOwn(_ component: Component) -> Bool {
    if case .rtcp = component { return self.isPerComponent }
    return false
  }
}

extension KeyContinuity {
  var engine: SRTPContinuity {
    switch self {
    case .carried: .carryRollover
    case .fresh: .fresh
    }
  }
}
