internal import COpenSSL
internal import NetBase
internal import SRTPEngine

/// The keys of both directions, from RFC 5764 §4.2's exporter.
struct AssociationKeys: ~Copyable {
  /// What the peer writes.
  let inbound: SRTPKeyMaterial
  /// What this side writes.
  let outbound: SRTPKeyMaterial

  /// - Parameter ssl: its handshake is complete and its peer verified.
  init(exportedFrom ssl: OpaquePointer, _ profile: ProtectionProfile, _ role: AssociationRole) throws(LibraryError) {
    let (keyLength, saltLength) = (profile.keyLength, profile.saltLength)
    var exported = SecretBytes(count: 2 * (keyLength + saltLength))
    let result = unsafe exported.withUnsafeMutableBytes { room in
      let label = "EXTRACTOR-dtls_srtp"
      let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe SSL_export_keying_material(ssl, start, room.count, label, label.utf8.count, nil, 0, 0)
    }
    guard result == 1 else { throw .drained("no keys") }
    // The client's key, the server's key, the client's salt, the server's salt.
    let salts = 2 * keyLength
    let bytes = exported.bytes
    let client = Self.material(
      profile, key: bytes.extracting(0..<keyLength), salt: bytes.extracting(salts..<salts + saltLength))
    let server = Self.material(
      profile, key: bytes.extracting(keyLength..<salts),
      salt: bytes.extracting(salts + saltLength..<salts + 2 * saltLength))
    switch role {
    case .client:
      self.inbound = server
      self.outbound = client
    case .server:
      self.inbound = client
      self.outbound = server
    }
  }

  private static func material(_ profile: ProtectionProfile, key: RawSpan, salt: RawSpan) -> SRTPKeyMaterial {
    SRTPKeyMaterial()
  }
}
