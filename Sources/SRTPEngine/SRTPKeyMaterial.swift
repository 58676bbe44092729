package import NetBase

/// A master key with its salt, and what goes with them; one owner, wiped when that owner lets go, never printed.
///
/// `Sendable` because it is a uniquely owned secret: the keying side makes it, the transport's executor installs it.
package struct SRTPKeyMaterial: ~Copyable, Sendable {
  package let profile: SRTPProfile
  /// Master key, then master salt (RFC 4568 §6.1).
  package let keyAndSalt: SecretBytes
  /// Carried in every packet when present (RFC 3711 §3.1).
  package let masterKeyIdentifier: MasterKeyIdentifier?
  /// Packets, SRTP or SRTCP, that may be sent under the key (RFC 4568 §6.1); nil for the suite's own limit. It binds
  /// the sender: `OutboundSRTP` keeps to it.
  package let lifetime: UInt64?

  /// Refuses a key and salt whose length is not the profile's: they never count as a success.
  package init(
    profile: SRTPProfile, keyAndSalt: consuming SecretBytes, masterKeyIdentifier: MasterKeyIdentifier? = nil,
    lifetime: UInt64? = nil
  ) throws(SRTPError) {
    let length = keyAndSalt.count
    guard length == profile.keyAndSaltLength else {
      throw .wrongKeyLength(profile, expected: profile.keyAndSaltLength, actual: length)
    }
    if let lifetime, lifetime == 0 || lifetime > 1 << 48 { throw .badLifetime(lifetime) }
    self.profile = profile
    self.keyAndSalt = keyAndSalt
    self.masterKeyIdentifier = masterKeyIdentifier
    self.lifetime = lifetime
  }

  /// A second owner of the same key; each wipes its own copy.
  package func duplicate() -> SRTPKeyMaterial { SRTPKeyMaterial(copying: self) }

  /// Whether both are the same key; takes the same time wherever they differ.
  package func isSameKey(as other: borrowing SRTPKeyMaterial) -> Bool {
    guard self.profile.keyAndSaltLength == other.profile.keyAndSaltLength else { return false }
    let (left, right) = (self.keyAndSalt.bytes, other.keyAndSalt.bytes)
    var difference: UInt8 = 0
    for offset in 0..<left.byteCount { difference |= left.uint8(at: offset) ^ right.uint8(at: offset) }
    return difference == 0 && self.profile.rawValue == other.profile.rawValue
      && self.masterKeyIdentifier == other.masterKeyIdentifier
  }

  private init(copying other: borrowing SRTPKeyMaterial) {
    self.profile = other.profile
    self.keyAndSalt = other.keyAndSalt.duplicate()
    self.masterKeyIdentifier = other.masterKeyIdentifier
    self.lifetime = other.lifetime
  }
}

/// The master key identifier that packets carry (RFC 3711 §3.1): 1 to 128 bytes, the same in every packet of a key.
package struct MasterKeyIdentifier: Hashable, Sendable {
  package let bytes: [UInt8]

  package init(bytes: [UInt8]) throws(SRTPError) {
    guard (1...128).contains(bytes.count) else { throw .badMasterKeyIdentifier(length: bytes.count) }
    self.bytes = bytes
  }

  /// The SDES form `value:length` (RFC 4568 §6.1): a number, sent big-endian in `length` bytes.
  package init(value: UInt64, length: Int) throws(SRTPError) {
    guard (1...128).contains(length), length >= 8 || value >> (8 * UInt64(length)) == 0 else {
      throw .badMasterKeyIdentifier(length: length)
    }
    self.bytes = (0..<length).map { position in
      let shift = 8 * (length - 1 - position)
      return shift < 64 ? UInt8(truncatingIfNeeded: value >> UInt64(shift)) : 0
    }
  }
}
