package import NetBase

/// Receive-side keys of one transport: a ring of at most four generations. Owned by the transport's executor.
package struct InboundKeys: ~Copyable {
  /// The peer's round-trip time as RTCP measures it; a superseded key lives three of it, within 0.5 to 3 s.
  package var roundTripTime: Duration = .milliseconds(200)
  /// Set while a new key is expected: a packet that no key opens is then left as it came, fit to be parked.
  package var preservesFailures = false

  package init(replayWindow: Int = 128) {}

  /// Makes `material` the newest generation; the same key again changes nothing. On an error nothing has changed.
  package mutating func install(
    _ material: consuming SRTPKeyMaterial, continuity: SRTPContinuity = .carryRollover, now: Instant
  ) throws(SRTPError) {}

  /// Authenticates and decrypts in place.
  package mutating func unprotect(_ packet: inout Packet, isRTCP: Bool, now: Instant) -> SRTPResult { .noKey }

  /// Retires what is due.
  package mutating func timeout(now: Instant) {}

  /// When `timeout` wants to be called.
  package var nextDeadline: Instant? { nil }

  /// Whether a packet was authenticated under the newest generation.
  package var heard: Bool { false }
  /// Generations alive, 0 to 4.
  package var generationCount: Int { 0 }
  package var counters: InboundSRTPCounters { InboundSRTPCounters() }

  /// Contexts that are out of use, to be freed on another executor (about 0.5 ms each).
  package mutating func takeRetired() -> RetiredSRTP? { nil }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  package mutating func adopt() {}
}

package struct InboundSRTPCounters: Equatable, Sendable {
  package var authenticationFailures = 0
  package var replays = 0
  package var malformed = 0
  package init() {}
}

/// libsrtp2 contexts that no one uses any more; freed with this value, on whichever thread that is.
package struct RetiredSRTP: ~Copyable, Sendable {}
