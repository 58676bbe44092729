internal import SRTPEngine

/// The profiles of the use_srtp extension (RFC 5764 §4.1.2, RFC 7714 §14.2) that can be negotiated.
package enum ProtectionProfile: UInt16, CaseIterable, Sendable {
  case aes128CM80 = 0x0001
  case aes128CM32 = 0x0002
  case aeadAES128GCM = 0x0007
  case aeadAES256GCM = 0x0008

  /// The order of preference when the configuration has none.
  package static let preferred: [ProtectionProfile] = [.aeadAES128GCM, .aes128CM80, .aeadAES256GCM, .aes128CM32]

  /// As in the IANA registry and in `dtls_srtp_profiles`, without `SRTP_`.
  package var name: String {
    switch self {
    case .aes128CM80: "AES128_CM_SHA1_80"
    case .aes128CM32: "AES128_CM_SHA1_32"
    case .aeadAES128GCM: "AEAD_AES_128_GCM"
    case .aeadAES256GCM: "AEAD_AES_256_GCM"
    }
  }

  /// Bytes of a master key.
  var keyLength: Int { self == .aeadAES256GCM ? 32 : 16 }

  /// Bytes of a master salt.
  var saltLength: Int {
    switch self {
    case .aes128CM80, .aes128CM32: 14
    case .aeadAES128GCM, .aeadAES256GCM: 12
    }
  }

  /// Parses a list with commas or colons, with or without `SRTP_` before each name; nil for an unknown name.
  package static func parse(_ list: String) -> [ProtectionProfile]? {
    var profiles: [ProtectionProfile] = []
    for word in list.split(whereSeparator: { $0 == "," || $0 == ":" || $0 == " " }) {
      let name = word.hasPrefix("SRTP_") ? word.dropFirst(5) : word
      guard let profile = Self.allCases.first(where: { $0.name == name }) else { return nil }
      if !profiles.contains(profile) { profiles.append(profile) }
    }
    return profiles.isEmpty ? nil : profiles
  }
}
