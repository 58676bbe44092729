internal import NetBase

/// Where a profile and a master key identifier put what comes after the payload (RFC 3711 §3.1, §3.4; RFC 7714 §8, §9).
///
/// With AES-CM the tag comes last and the MKI before it; with AEAD the tag belongs to the ciphertext and the MKI comes
/// last.
struct TrailerLayout {
  let profile: SRTPProfile
  /// Empty when the key has none.
  let masterKeyIdentifier: [UInt8]

  init(_ material: borrowing SRTPKeyMaterial) {
    self.profile = material.profile
    self.masterKeyIdentifier = material.masterKeyIdentifier?.bytes ?? []
  }

  /// Bytes that protection adds to an RTP packet.
  var rtpLength: Int { self.profile.rtpTagLength + self.masterKeyIdentifier.count }

  /// Bytes that protection adds to an RTCP packet.
  var rtcpLength: Int { 4 + self.profile.rtcpTagLength + self.masterKeyIdentifier.count }

  /// The word with the E bit and the SRTCP index; nil when the packet is too short to have one.
  func controlWord(of bytes: RawSpan) -> UInt32? {
    guard bytes.byteCount >= SecureHeader.controlLength + self.rtcpLength else { return nil }
    let after = self.masterKeyIdentifier.count + (self.profile.isAEAD ? 0 : self.profile.rtcpTagLength)
    return bytes.uint32(at: bytes.byteCount - after - 4)
  }

  /// Whether the packet carries this key's identifier, or this key has none.
  func matchesIdentifier(of bytes: RawSpan, isRTCP: Bool) -> Bool {
    guard !self.masterKeyIdentifier.isEmpty else { return true }
    let tagLength = isRTCP ? self.profile.rtcpTagLength : self.profile.rtpTagLength
    let start = bytes.byteCount - self.masterKeyIdentifier.count - (self.profile.isAEAD ? 0 : tagLength)
    guard start >= 0 else { return false }
    for offset in self.masterKeyIdentifier.indices
    where bytes.uint8(at: start + offset) != self.masterKeyIdentifier[offset] { return false }
    return true
  }
}
