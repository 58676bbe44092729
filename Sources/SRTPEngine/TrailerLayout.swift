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
    let after = self.masterKeyIdentifier.count + self.lengthAfterIdentifier(isRTCP: true)
    return bytes.uint32(at: bytes.byteCount - after - 4)
  }

  /// Whether the packet carries this key's identifier, or this key has none.
  func matchesIdentifier(of bytes: RawSpan, isRTCP: Bool) -> Bool {
    guard !self.masterKeyIdentifier.isEmpty else { return true }
    let start = bytes.byteCount - self.masterKeyIdentifier.count - self.lengthAfterIdentifier(isRTCP: isRTCP)
    guard start >= 0 else { return false }
    for offset in self.masterKeyIdentifier.indices
    where bytes.uint8(at: start + offset) != self.masterKeyIdentifier[offset] { return false }
    return true
  }

  // libsrtp2 looks for the MKI of an SRTCP packet before a tag of SRTP's length, which with AES_CM_128_HMAC_SHA1_32 is
  // the wrong place. No tag covers the MKI, so it is taken out before the library sees the packet, and put in after.

  /// Takes the identifier out of a packet that is long enough to have one.
  func removeIdentifier(from packet: inout Packet, isRTCP: Bool) {
    let length = self.masterKeyIdentifier.count
    guard length > 0 else { return }
    let after = self.lengthAfterIdentifier(isRTCP: isRTCP)
    Self.move(after, of: &packet, from: packet.count - after, by: -length)
    packet.count -= length
  }

  /// Puts the identifier into a packet that has room for it.
  func insertIdentifier(into packet: inout Packet, isRTCP: Bool) {
    let length = self.masterKeyIdentifier.count
    guard length > 0 else { return }
    let after = self.lengthAfterIdentifier(isRTCP: isRTCP)
    let start = packet.count - after
    Self.move(after, of: &packet, from: start, by: length)
    for offset in 0..<length { packet.storage.set(uint8: self.masterKeyIdentifier[offset], at: start + offset) }
    packet.count += length
  }

  private func lengthAfterIdentifier(isRTCP: Bool) -> Int {
    guard !self.profile.isAEAD else { return 0 }
    return isRTCP ? self.profile.rtcpTagLength : self.profile.rtpTagLength
  }

  private static func move(_ count: Int, of packet: inout Packet, from start: Int, by distance: Int) {
    precondition(start >= 0 && start + distance >= 0, "an identifier before the packet")
    precondition(start + count + max(distance, 0) <= packet.capacity, "an identifier behind the packet")
    unsafe packet.storage.withUnsafeMutableBytes { bytes in
      guard let first = bytes.baseAddress else { return }
      unsafe (first + start + distance).copyMemory(from: first + start, byteCount: count)
    }
  }
}
