package import NetBase

/// Send-side keys of one transport: the one in use, and one that waits until the peer can read it.
///
/// Owned by the transport's executor; neither copyable nor `Sendable`. Without a key nothing is sent: there is no
/// pass-through.
package struct OutboundKeys: ~Copyable {
  // What every packet touches comes first.
  /// Whether there is a key to send under.
  package private(set) var isReady = false
  /// Whether a key was installed that is not in use yet.
  package private(set) var hasPending = false
  /// SRTP and SRTCP packets sent under the key in use.
  package private(set) var packetsUnderCurrentKey: UInt64 = 0
  /// SRTCP packets among them.
  package private(set) var reportsUnderCurrentKey: UInt64 = 0
  private var current: OutboundSRTP?

  /// Packets that were not sent, by reason.
  package private(set) var counters = OutboundCounters()
  private let transform: SRTPTransform
  private var currentMaterial: SRTPKeyMaterial?
  private var pending: SRTPKeyMaterial?
  private var pendingContinuity = SRTPContinuity.carryRollover
  private var retired: RetiredSRTP?

  package init(transform: SRTPTransform = .standard) { self.transform = transform }

  /// Makes `material` the next key; with `switchNow`, and always when it is the first, the one in use.
  ///
  /// A key that waits already gives way to it. The key in use, installed again, only takes back what waits.
  package mutating func install(
    _ material: consuming SRTPKeyMaterial, continuity: SRTPContinuity = .carryRollover, switchNow: Bool
  ) throws(SRTPError) {
    if self.currentMaterial?.isSameKey(as: material) == true {
      self.pending = nil
      self.hasPending = false
      return
    }
    self.pending = consume material
    self.pendingContinuity = continuity
    self.hasPending = true
    if switchNow || !self.isReady { try self.switchToPending() }
  }

  /// Sends under the waiting key from now on; nothing changes when none waits.
  ///
  /// With libsrtp2 it takes about 0.5 ms, in which that frees the old key. On an error nothing can be sent until a key is
  /// installed: the old one is out of use, and going on under it would hide that the new one failed.
  package mutating func switchToPending() throws(SRTPError) {
    guard let material = self.pending.take() else { return }
    self.hasPending = false
    self.isReady = false
    (self.packetsUnderCurrentKey, self.reportsUnderCurrentKey) = (0, 0)
    self.currentMaterial = nil
    if var context = self.current.take() {
      switch self.pendingContinuity {
      case .carryRollover:
        try context.update(material)
        self.current = consume context
      case .fresh:
        self.retired = RetiredSRTP(adding: context.releaseSession(), to: self.retired.take())
        self.current = try OutboundSRTP(material, transform: self.transform)
      }
    } else {
      self.current = try OutboundSRTP(material, transform: self.transform)
    }
    self.currentMaterial = consume material
    self.isReady = true
  }

  /// Encrypts in place. Unless the result is `.ok`, the packet must not be sent; it is counted.
  package mutating func protect(rtp packet: inout Packet) -> SRTPResult {
    self.count(self.current?.protect(rtp: &packet) ?? .noKey)
  }

  /// Encrypts in place. Unless the result is `.ok`, the packet must not be sent; it is counted.
  package mutating func protect(rtcp packet: inout Packet) -> SRTPResult {
    let result = self.count(self.current?.protect(rtcp: &packet) ?? .noKey)
    if case .ok = result { self.reportsUnderCurrentKey += 1 }
    return result
  }

  /// Contexts that are out of use, to be freed on another executor; freed here if never taken.
  package mutating func takeRetired() -> RetiredSRTP? { self.retired.take() }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  package mutating func adopt() { self.current?.adopt() }

  private mutating func count(_ result: SRTPResult) -> SRTPResult {
    switch result {
    case .ok: self.packetsUnderCurrentKey += 1
    case .noKey: self.counters.withoutKey += 1
    case .keyExpired: self.counters.keyExpired += 1
    case .malformed: self.counters.malformed += 1
    case .noRoom: self.counters.noRoom += 1
    case .replayed: self.counters.repeatedIndices += 1
    case .authenticationFailed, .supersededKey, .unknownKeyIdentifier, .notEncrypted, .failed:
      self.counters.failures += 1
    }
    return result
  }
}

/// Packets that `OutboundKeys` did not let out.
package struct OutboundCounters: Equatable, Sendable {
  package var withoutKey = 0
  package var keyExpired = 0
  package var malformed = 0
  package var noRoom = 0
  /// The sequence number was used before, or is older than 128 packets.
  package var repeatedIndices = 0
  /// Failures of the library itself.
  package var failures = 0

  package init() {}
}
