internal import COpenSSL
package import ModuleKit
internal import NetBase
package import SRTPEngine

/// A master key that several lines and the session refer to; wiped with the last reference, never printed.
package final class MasterKey: Sendable, CustomStringConvertible, CustomReflectable {
  package let material: SRTPKeyMaterial

  init(_ material: consuming SRTPKeyMaterial) { self.material = material }

  /// A fresh key from OpenSSL's generator.
  package static func random(for profile: SRTPProfile) throws(ModuleError) -> MasterKey {
    // Of a last block of 16 bytes that is not asked for as a whole, the generator keeps a copy until it is asked again.
    var bytes = SecretBytes(count: (profile.keyAndSaltLength + 15) / 16 * 16)
    let result = unsafe bytes.withUnsafeMutableBytes { room in
      unsafe RAND_priv_bytes(room.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(room.count))
    }
    guard result == 1 else { throw ModuleError(.unavailable, "module srtp: OpenSSL has no random bytes") }
    do throws(SRTPError) {
      let keyAndSalt = SecretBytes(bytes.bytes.extracting(0..<profile.keyAndSaltLength))
      return MasterKey(try SRTPKeyMaterial(profile: profile, keyAndSalt: keyAndSalt))
    } catch {
      throw ModuleError(.unavailable, "module srtp: \(error)")
    }
  }

  package var profile: SRTPProfile { self.material.profile }

  /// Whether both have the same suite, key, salt and identifier.
  package func isSame(as other: MasterKey) -> Bool { self.material.isSameKey(as: other.material) }

  /// Whether key and salt are the same, whatever the identifiers; takes the same time wherever they differ.
  func sharesSecret(with other: MasterKey) -> Bool {
    let left = self.material.keyAndSalt.duplicate()
    let right = other.material.keyAndSalt.duplicate()
    return Self.areSame(left.bytes, right.bytes)
  }

  private static func areSame(_ left: RawSpan, _ right: RawSpan) -> Bool {
    guard left.byteCount == right.byteCount else { return false }
    var difference: UInt8 = 0
    for offset in 0..<left.byteCount { difference |= left.uint8(at: offset) ^ right.uint8(at: offset) }
    return difference == 0
  }

  /// The suite's name only.
  package var description: String { "key for \(self.profile.rawValue)" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
