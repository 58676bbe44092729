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
  init(exportedFrom ssl: OpaquePointer, _ profile: SRTPProfile, _ role: AssociationRole) throws(LibraryError) {
    var exported = SecretBytes(count: 2 * profile.keyAndSaltLength)
    let result = unsafe exported.withUnsafeMutableBytes { room in
      let label = "EXTRACTOR-dtls_srtp"
      let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
      return unsafe SSL_export_keying_material(ssl, start, room.count, label, label.utf8.count, nil, 0, 0)
    }
    guard result == 1 else { throw .drained("no keys") }
    let client = try Self.material(profile, of: exported, index: 0)
    let server = try Self.material(profile, of: exported, index: 1)
    switch role {
    case .client:
      self.inbound = server
      self.outbound = client
    case .server:
      self.inbound = client
      self.outbound = server
    }
  }

  /// The exporter gives the client's key, the server's key, the client's salt, the server's salt.
  private static func material(
    _ profile: SRTPProfile, of exported: borrowing SecretBytes, index: Int
  ) throws(LibraryError) -> SRTPKeyMaterial {
    let (keyLength, saltLength) = (profile.keyLength, profile.saltLength)
    var keyAndSalt = SecretBytes(count: keyLength + saltLength)
    unsafe keyAndSalt.withUnsafeMutableBytes { room in
      unsafe exported.withUnsafeBytes { bytes in
        let salt = 2 * keyLength + index * saltLength
        for offset in 0..<keyLength { unsafe room[offset] = bytes[index * keyLength + offset] }
        for offset in 0..<saltLength { unsafe room[keyLength + offset] = bytes[salt + offset] }
      }
    }
    do throws(SRTPError) {
      return try SRTPKeyMaterial(profile: profile, keyAndSalt: keyAndSalt)
    } catch {
      throw LibraryError(description: "\(error)", alert: nil)
    }
  }
}
