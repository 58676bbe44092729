import NetBase
import SRTPEngine

extension SRTPKeyMaterial {
  /// A key for AES-CM that consists of one byte: as many different ones as a test wants.
  static func numbered(_ number: UInt8) throws -> SRTPKeyMaterial {
    let profile = SRTPProfile.aesCM128HMACSHA1Tag80
    let bytes = [UInt8](repeating: number, count: profile.keyAndSaltLength)
    return try SRTPKeyMaterial(profile: profile, keyAndSalt: bytes.withRawSpan { SecretBytes($0) })
  }
}
