package import NetBase

/// Send-side keys of one transport: the current one, and one installed but not yet in use. Owned by the executor.
package struct OutboundKeys: ~Copyable {
  package init() {}

  /// Prepares `material`; with `switchNow` everything sent from now on is under it. The first key is always in use at once.
  package mutating func install(
    _ material: consuming SRTPKeyMaterial, continuity: SRTPContinuity = .carryRollover, switchNow: Bool
  ) throws(SRTPError) {}

  /// Sends under the pending key from now on; without one, nothing changes.
  package mutating func switchToPending() throws(SRTPError) {}

  package var isReady: Bool { false }
  package var hasPending: Bool { false }
  /// Packets sent under the current key.
  package var packetsUnderCurrentKey: UInt64 { 0 }

  package mutating func protect(rtp packet: inout Packet) -> SRTPResult { .noKey }
  package mutating func protect(rtcp packet: inout Packet) -> SRTPResult { .noKey }

  package mutating func takeRetired() -> RetiredSRTP? { nil }
  package mutating func adopt() {}
}
