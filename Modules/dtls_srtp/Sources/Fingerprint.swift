internal import COpenSSL
internal import ModuleKit

/// The hash functions of RFC 8122 that are accepted; sha-1 and older ones are not.
package enum HashFunction: String, CaseIterable, Sendable {
  case sha256 = "sha-256"
  case sha384 = "sha-384"
  case sha512 = "sha-512"

  /// Bytes of a digest.
  var length: Int {
    switch self {
    case .sha256: 32
    case .sha384: 48
    case .sha512: 64
    }
  }

  /// The digest of the certificate's DER form.
  func digest(of certificate: OpaquePointer) -> [UInt8]? {
    let function =
      switch self {
      case .sha256: unsafe EVP_sha256()
      case .sha384: unsafe EVP_sha384()
      case .sha512: unsafe EVP_sha512()
      }
    var digest = [UInt8](repeating: 0, count: self.length)
    var count = UInt32(self.length)
    guard unsafe X509_digest(certificate, function, &digest, &count) == 1, count == self.length else { return nil }
    return digest
  }
}

/// A certificate's hash, `a=fingerprint` (RFC 8122 §5).
package struct Fingerprint: Hashable, Sendable, CustomStringConvertible {
  package let function: HashFunction
  package let digest: [UInt8]

  /// What an attribute's value was.
  package enum Parsed: Hashable, Sendable {
    case known(Fingerprint)
    /// A hash function that is not, or no longer, accepted.
    case unsupported(String)
    case malformed
  }

  package init(function: HashFunction, digest: [UInt8]) {
    self.function = function
    self.digest = digest
  }

  /// As the attribute has it: the function, a space, and hexadecimal bytes in upper case with colons.
  package var description: String {
    "\(self.function.rawValue) " + self.digest.map { hex($0) }.joined(separator: ":")
  }

  /// Parses an attribute's value; the function's name and the digits may be in either case.
  package static func parse(_ value: String) -> Parsed {
    let words = value.split(separator: " ", omittingEmptySubsequences: true)
    guard words.count == 2 else { return .malformed }
    let name = words[0].lowercased()
    guard let function = HashFunction(rawValue: name) else { return .unsupported(name) }
    var digest: [UInt8] = []
    for pair in words[1].split(separator: ":", omittingEmptySubsequences: false) {
      guard pair.utf8.count == 2, pair.allSatisfy({ $0.isASCII && $0.isHexDigit }), let byte = UInt8(pair, radix: 16)
      else { return .malformed }
      digest.append(byte)
    }
    guard digest.count == function.length else { return .malformed }
    return .known(Fingerprint(function: function, digest: digest))
  }
}

extension KeyExchangeRemote.Fingerprint {
  /// Whether `certificate` has this hash; the time that it takes does not depend on where they differ.
  func matches(_ certificate: OpaquePointer) -> Bool {
    guard let function = HashFunction(rawValue: self.function), self.digest.count == function.length,
      let actual = unsafe function.digest(of: certificate)
    else { return false }
    return unsafe CRYPTO_memcmp(actual, self.digest, actual.count) == 0
  }
}

private func hex(_ byte: UInt8) -> String {
  let text = String(byte, radix: 16, uppercase: true)
  return byte < 16 ? "0" + text : text
}
