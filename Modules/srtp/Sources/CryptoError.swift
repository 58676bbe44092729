package import SRTPEngine

/// Why a crypto line can't be used; no case holds anything of a key.
package enum CryptoError: Error, Equatable, Sendable, CustomStringConvertible {
  case malformed
  case badTag
  /// The name, where it looks like one.
  case unknownSuite(String?)
  case unknownKeyMethod
  case badBase64
  case wrongKeyLength(SRTPProfile, expected: Int, actual: Int)
  case badLifetime
  case badMasterKeyIdentifier
  /// Several keys need an identifier each, all different and of one length (RFC 4568 §6.1).
  case ambiguousKeys
  /// A session parameter that is known and that we do not do.
  case unsupportedParameter(String)
  case unknownParameter
  /// Known, but not among the configured suites.
  case suiteNotConfigured(SRTPProfile)

  package var description: String {
    switch self {
    case .malformed: "not a crypto attribute"
    case .badTag: "the tag is not a number of at most nine digits"
    case .unknownSuite(let name): "unknown suite\(name.map { " \($0)" } ?? "")"
    case .unknownKeyMethod: "the key method is not inline"
    case .badBase64: "the key is not base64"
    case .wrongKeyLength(let profile, let expected, let actual):
      "\(profile.rawValue) needs \(expected) bytes of key and salt, not \(actual)"
    case .badLifetime: "the lifetime is outside 1 to 2^48 packets"
    case .badMasterKeyIdentifier: "the master key identifier does not fit its length of 1 to 128 bytes"
    case .ambiguousKeys: "several keys without distinct master key identifiers of one length"
    case .unsupportedParameter(let name): "session parameter \(name) is not supported"
    case .unknownParameter: "an unknown session parameter"
    case .suiteNotConfigured(let profile): "\(profile.rawValue) is not in srtp_suites"
    }
  }
}
