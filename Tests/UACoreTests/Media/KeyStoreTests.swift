import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import UACore

/// When a transport counts a re-key, and what it takes under its keys.
@Suite struct KeyStoreTests {
  private let now = Instant(nanoseconds: 1_000_000_000)

  private func send(_ number: UInt8, from: inout KeyStore, to: inout KeyStore) {
    var bytes = [0x80, 0, 0, number, 0, 0, 0, 1, 0, 0, 0, 7] + [UInt8](repeating: number, count: 212)
    let results = bytes.withPacket(count: 172) { packet in
      (
        from.protect(&packet, isRTCP: false, on: .rtp), to.unprotect(&packet, isRTCP: false, on: .rtp, now: self.now)
      )
    }
    #expect(results == (.ok, .ok))
  }

  @Test("a re-key counts when both directions are in use, at the latest when the next key comes, and not before")
  func counts() throws {
    var ours = KeyStore()
    var theirs = KeyStore()
    try ours.installInbound(SRTPKeyMaterial.numbered(1), .fresh, for: .rtp, now: self.now)
    try ours.installOutbound(SRTPKeyMaterial.numbered(2), .fresh, for: .rtp, switchNow: true)
    try theirs.installInbound(SRTPKeyMaterial.numbered(2), .fresh, for: .rtp, now: self.now)
    try theirs.installOutbound(SRTPKeyMaterial.numbered(1), .fresh, for: .rtp, switchNow: true)
    self.send(1, from: &ours, to: &theirs)
    self.send(1, from: &theirs, to: &ours)

    try ours.installInbound(SRTPKeyMaterial.numbered(3), .carried, for: .rtp, now: self.now)
    try ours.installOutbound(SRTPKeyMaterial.numbered(4), .carried, for: .rtp, switchNow: false)
    try theirs.installInbound(SRTPKeyMaterial.numbered(4), .carried, for: .rtp, now: self.now)
    try theirs.installOutbound(SRTPKeyMaterial.numbered(3), .carried, for: .rtp, switchNow: true)
    self.send(2, from: &theirs, to: &ours)
    #expect(ours.rekeys == 0, "we have not sent under ours yet")
    self.send(2, from: &ours, to: &theirs)
    // Nothing comes before the next key.
    try ours.installInbound(SRTPKeyMaterial.numbered(5), .carried, for: .rtp, now: self.now)
    #expect(ours.rekeys == 1)

    // One that is overtaken before it was in use does not count.
    try ours.installInbound(SRTPKeyMaterial.numbered(6), .carried, for: .rtp, now: self.now)
    #expect(ours.rekeys == 1)
  }

  @Test("where RTCP has keys of its own, a peer that only listens completes a re-key by them, and not by the old ones")
  func listener() throws {
    var ours = KeyStore()
    var theirs = KeyStore()
    (ours.isPerComponent, theirs.isPerComponent) = (true, true)
    func report() -> SRTPResult {
      var bytes = [0x80, 201, 0, 1, 0, 0, 0, 9] + [UInt8](repeating: 0, count: 100)
      return bytes.withPacket(count: 8) { packet in
        #expect(theirs.protect(&packet, isRTCP: true, on: .rtcp) == .ok)
        return ours.unprotect(&packet, isRTCP: true, on: .rtcp, now: self.now)
      }
    }
    for component in [Component.rtp, .rtcp] {
      let number: UInt8 = component == .rtp ? 1 : 2
      try ours.installInbound(SRTPKeyMaterial.numbered(number), .fresh, for: component, now: self.now)
      try ours.installOutbound(SRTPKeyMaterial.numbered(number + 10), .fresh, for: component, switchNow: true)
      try theirs.installOutbound(SRTPKeyMaterial.numbered(number), .fresh, for: component, switchNow: true)
      try theirs.installInbound(SRTPKeyMaterial.numbered(number + 10), .fresh, for: component, now: self.now)
    }
    self.send(1, from: &ours, to: &theirs)
    #expect(report() == .ok)
    // New keys for RTP; RTCP's are still the old ones.
    try ours.installInbound(SRTPKeyMaterial.numbered(21), .fresh, for: .rtp, now: self.now)
    try ours.installOutbound(SRTPKeyMaterial.numbered(31), .fresh, for: .rtp, switchNow: false)
    try theirs.installInbound(SRTPKeyMaterial.numbered(31), .fresh, for: .rtp, now: self.now)
    #expect(report() == .ok && ours.hasPending && ours.isRekeying)
    try ours.installInbound(SRTPKeyMaterial.numbered(22), .fresh, for: .rtcp, now: self.now)
    try theirs.installOutbound(SRTPKeyMaterial.numbered(22), .fresh, for: .rtcp, switchNow: true)
    #expect(report() == .ok && !ours.hasPending)
    self.send(2, from: &ours, to: &theirs)
    #expect(report() == .ok && !ours.isRekeying && ours.rekeys == 1)
  }

  @Test("video that is sent again is taken as far as 500 packets behind the newest, and once")
  func sentAgain() throws {
    var ours = KeyStore()
    var theirs = KeyStore()
    try ours.installOutbound(SRTPKeyMaterial.numbered(1), .fresh, for: .rtp, switchNow: true)
    try theirs.installInbound(SRTPKeyMaterial.numbered(1), .fresh, for: .rtp, now: self.now)
    var sent: [[UInt8]] = []
    for number in [UInt16(1), 501] {
      let head: [UInt8] = [0x80, 0, UInt8(number >> 8), UInt8(truncatingIfNeeded: number), 0, 0, 0, 1, 0, 0, 0, 7]
      var bytes = head + [UInt8](repeating: 9, count: 212)
      let (result, length) = bytes.withPacket(count: 172) { packet in
        (ours.protect(&packet, isRTCP: false, on: .rtp), packet.count)
      }
      #expect(result == .ok)
      sent.append(Array(bytes.prefix(length)))
    }
    let (late, newest) = (sent[0], sent[1])
    for (bytes, expected) in [(newest, SRTPResult.ok), (late, .ok), (late, .replayed)] {
      var copy = bytes
      let result = copy.withPacket { theirs.unprotect(&$0, isRTCP: false, on: .rtp, now: self.now) }
      #expect(result == expected)
    }
  }
}
