package import NetBase

/// One receive context: one key, every SSRC of the peer's. Neither copyable nor `Sendable`: one owner on one executor.
package struct InboundSRTP: ~Copyable {
  let layout: TrailerLayout
  private var session: SRTPSession

  /// `replayWindow` is 64 to 1024 packets.
  package init(
    _ material: borrowing SRTPKeyMaterial, replayWindow: Int = 128, transform: SRTPTransform = .standard
  ) throws(SRTPError) {
    self.session = try SRTPSession(material, direction: .inbound, replayWindow: replayWindow, transform: transform)
    self.layout = TrailerLayout(material)
  }

  /// Authenticates and decrypts in place. Unless the result is `.ok`, the packet is undefined and to be dropped.
  package mutating func unprotect(rtp packet: inout Packet) -> SRTPResult {
    guard let header = SecureHeader(packet.bytes, isRTCP: false) else { return .malformed }
    return self.unprotect(&packet, header: header, isRTCP: false)
  }

  /// Authenticates and decrypts in place. Unless the result is `.ok`, the packet is undefined and to be dropped.
  package mutating func unprotect(rtcp packet: inout Packet) -> SRTPResult {
    guard let header = SecureHeader(packet.bytes, isRTCP: true) else { return .malformed }
    return self.unprotect(&packet, header: header, isRTCP: true)
  }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  package mutating func adopt() { self.session.adopt() }

  /// Takes the context out of use, to be freed where its cost does no harm.
  package consuming func retire() -> RetiredSRTP {
    var retired = RetiredSRTP()
    retired.add(self.session)
    return retired
  }

  mutating func unprotect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if let refusal = self.refusal(of: packet.bytes, header: header, isRTCP: isRTCP) { return refusal }
    self.layout.removeIdentifier(from: &packet, isRTCP: isRTCP)
    return self.session.unprotect(&packet, header: header, isRTCP: isRTCP)
  }

  /// What can be told without the cipher; the packet is not touched.
  func refusal(of bytes: RawSpan, header: SecureHeader, isRTCP: Bool) -> SRTPResult? {
    // libsrtp2 counts in unsigned numbers: a packet shorter than its trailer must not reach it.
    let trailer = isRTCP ? self.layout.rtcpLength : self.layout.rtpLength
    guard bytes.byteCount >= header.length + trailer else { return .malformed }
    guard self.layout.matchesIdentifier(of: bytes, isRTCP: isRTCP) else { return .unknownKeyIdentifier }
    // libsrtp 2.5 passes authenticated SRTCP in the clear with AEAD; all our profiles encrypt.
    if isRTCP, let word = self.layout.controlWord(of: bytes), word >> 31 == 0 { return .notEncrypted }
    return nil
  }

  /// Makes the next packet of `ssrc` be read at `rolloverCounter`; false when there is no memory for it.
  mutating func expect(
    rolloverCounter: UInt32, of ssrc: UInt32, _ material: borrowing SRTPKeyMaterial
  ) -> Bool {
    if self.session.set(rolloverCounter: rolloverCounter, of: ssrc) || rolloverCounter == 0 { return true }
    return self.session.add(ssrc: ssrc, material) && self.session.set(rolloverCounter: rolloverCounter, of: ssrc)
  }

  mutating func forget(ssrc: UInt32) { self.session.remove(ssrc: ssrc) }

  consuming func releaseSession() -> SRTPSession { self.session }
}
