/// Why keys could not be made or installed; each reads as a sentence and none holds key bytes.
package enum SRTPError: Error, Equatable, Sendable, CustomStringConvertible {
  case wrongKeyLength(SRTPProfile, expected: Int, actual: Int)
  case badMasterKeyIdentifier(length: Int)
  case badLifetime(UInt64)
  case badReplayWindow(Int)
  /// libsrtp2 could not be initialised.
  case libraryUnavailable(status: UInt32)
  /// libsrtp2 refused the key.
  case contextRefused(SRTPProfile, status: UInt32)
  /// OpenSSL lacks a cipher, or memory.
  case keyRefused(SRTPProfile)

  package var description: String {
    switch self {
    case .wrongKeyLength(let profile, let expected, let actual):
      "\(profile.rawValue) takes \(expected) bytes of master key and salt, and \(actual) were given."
    case .badMasterKeyIdentifier(let length):
      "A master key identifier of \(length) bytes is not 1 to 128 bytes long, or is too short for its value."
    case .badLifetime(let packets):
      "A key lifetime of \(packets) packets is outside 1 to 2^48."
    case .badReplayWindow(let packets):
      "A replay window of \(packets) packets is outside 64 to 1024."
    case .libraryUnavailable(let status):
      "libsrtp2 could not be initialised (status \(status))."
    case .contextRefused(let profile, let status):
      "libsrtp2 refused a key for \(profile.rawValue) (status \(status))."
    case .keyRefused(let profile):
      "OpenSSL refused a key for \(profile.rawValue)."
    }
  }
}
