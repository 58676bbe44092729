internal import NetBase
package import SRTPEngine

/// One `a=crypto` line (RFC 4568 §4, §9): a tag, a suite, and one or more master keys.
package struct CryptoAttribute: Sendable, CustomStringConvertible {
  package let tag: Int
  /// All of one suite; never empty. The peer starts with the first.
  package let keys: [MasterKey]

  package var profile: SRTPProfile { self.keys[0].profile }

  package init(tag: Int, key: MasterKey) {
    self.tag = tag
    self.keys = [key]
  }

  /// Parses an attribute's value.
  package init(_ value: String) throws(CryptoError) {
    let words = value.utf8.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }.map(Substring.init)
    guard words.count >= 3 else { throw .malformed }
    guard (1...9).contains(words[0].utf8.count), let tag = decimal(words[0]) else { throw .badTag }
    guard let profile = SRTPProfile(rawValue: String(words[1])) else { throw .unknownSuite(suiteName(words[1])) }
    self.tag = Int(tag)
    for parameter in words[3...] { try checkSessionParameter(parameter) }
    var keys: [MasterKey] = []
    for parameter in parts(words[2], at: ";") {
      keys.append(try parseKey(parameter, profile))
    }
    if keys.count > 1 {
      let identifiers = keys.compactMap { $0.material.masterKeyIdentifier }
      guard Set(identifiers).count == keys.count, Set(identifiers.map(\.bytes.count)).count == 1 else {
        throw .ambiguousKeys
      }
    }
    self.keys = keys
  }

  /// The attribute's value, with the key in it: for SDP only.
  package func serialized() -> String {
    var text = "\(self.tag) \(self.profile.rawValue) "
    for (index, key) in self.keys.enumerated() {
      let secret = key.material.keyAndSalt.duplicate()
      text += (index == 0 ? "inline:" : ";inline:") + Base64.encode(secret.bytes)
      if let lifetime = key.material.lifetime { text += "|\(lifetimeText(lifetime))" }
      if let identifier = key.material.masterKeyIdentifier {
        text += "|\(decimalText(identifier.bytes)):\(identifier.bytes.count)"
      }
    }
    return text
  }

  /// Without the key.
  package var description: String { "\(self.tag) \(self.profile.rawValue)" }
}

// MARK: The grammar of RFC 4568 §9.2

/// Cut by bytes, not by characters: a combining mark behind a separator must not hide it.
private func parts(_ text: Substring, at separator: Unicode.Scalar) -> [Substring] {
  text.utf8.split(separator: UInt8(ascii: separator), omittingEmptySubsequences: false).map(Substring.init)
}

/// `inline:` key||salt ["|" lifetime] ["|" MKI ":" length].
private func parseKey(_ text: Substring, _ profile: SRTPProfile) throws(CryptoError) -> MasterKey {
  let fields = parts(text, at: "|")
  let method = "inline:"
  guard let first = fields.first?.utf8, Substring(first.prefix(method.utf8.count)).lowercased() == method else {
    throw .unknownKeyMethod
  }
  guard fields.count <= 3 else { throw .malformed }
  guard let bytes = Base64.decode(first.dropFirst(method.utf8.count)) else { throw .badBase64 }
  var lifetime: UInt64?
  var identifier: MasterKeyIdentifier?
  for (position, field) in fields.dropFirst().enumerated() {
    if field.utf8.contains(UInt8(ascii: ":")) {
      guard position == fields.count - 2 else { throw .malformed }
      identifier = try parseIdentifier(field)
    } else {
      guard position == 0 else { throw .badMasterKeyIdentifier }
      lifetime = try parseLifetime(field)
    }
  }
  do throws(SRTPError) {
    return MasterKey(
      try SRTPKeyMaterial(
        profile: profile, keyAndSalt: bytes, masterKeyIdentifier: identifier, lifetime: lifetime))
  } catch {
    switch error {
    case .wrongKeyLength(let profile, let expected, let actual):
      throw .wrongKeyLength(profile, expected: expected, actual: actual)
    case .badLifetime: throw .badLifetime
    case .badMasterKeyIdentifier: throw .badMasterKeyIdentifier
    case .badReplayWindow, .libraryUnavailable, .contextRefused, .keyRefused: throw .malformed
    }
  }
}

/// A number, or `2^` and an exponent.
private func parseLifetime(_ text: Substring) throws(CryptoError) -> UInt64 {
  let lifetime: UInt64
  if text.hasPrefix("2^") {
    guard let exponent = decimal(text.dropFirst(2)), exponent <= 48 else { throw .badLifetime }
    lifetime = 1 << exponent
  } else {
    guard let number = decimal(text) else { throw .badLifetime }
    lifetime = number
  }
  guard (1...1 << 48).contains(lifetime) else { throw .badLifetime }
  return lifetime
}

/// A decimal number of up to 128 bytes, and how many bytes a packet has of it.
private func parseIdentifier(_ text: Substring) throws(CryptoError) -> MasterKeyIdentifier {
  let fields = parts(text, at: ":")
  guard fields.count == 2, let length = decimal(fields[1]), (1...128).contains(length),
    (1...310).contains(fields[0].utf8.count), fields[0].utf8.allSatisfy(isDigit)
  else { throw .badMasterKeyIdentifier }
  var bytes = [UInt8](repeating: 0, count: Int(length))
  for digit in fields[0].utf8 {
    var carry = UInt16(digit - UInt8(ascii: "0"))
    for index in bytes.indices.reversed() {
      carry += UInt16(bytes[index]) * 10
      bytes[index] = UInt8(truncatingIfNeeded: carry)
      carry >>= 8
    }
    guard carry == 0 else { throw .badMasterKeyIdentifier }
  }
  do throws(SRTPError) {
    return try MasterKeyIdentifier(bytes: bytes)
  } catch {
    throw .badMasterKeyIdentifier
  }
}

/// RFC 4568 §6.3: what would change the protection is refused, a hint is not, and an unknown parameter only counts when
/// it has no hyphen before it.
private func checkSessionParameter(_ text: Substring) throws(CryptoError) {
  let name = text.prefix { $0 != "=" }
  let value = text.dropFirst(name.count + 1)
  switch name {
  case "KDR":
    // 0 is what we do: no further derivation.
    guard let rate = decimal(value), rate <= 24 else { throw .malformed }
    guard rate == 0 else { throw .unsupportedParameter("KDR") }
  case "WSH":
    guard let window = decimal(value), window >= 64 else { throw .malformed }
  case "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "FEC_ORDER", "FEC_KEY":
    throw .unsupportedParameter(String(name))
  default:
    guard name.hasPrefix("-"), name.count > 1 else { throw .unknownParameter }
  }
}

/// A suite's name for an error message: only what can't be a key, since base64 has no underscore.
private func suiteName(_ word: Substring) -> String? {
  let isName = word.utf8.allSatisfy { isDigit($0) || (65...90).contains($0) || $0 == UInt8(ascii: "_") }
  return isName && word.contains("_") && word.utf8.count <= 40 ? String(word) : nil
}

private func isDigit(_ byte: UInt8) -> Bool { (48...57).contains(byte) }

/// Digits only: `UInt64` by itself takes a sign.
private func decimal(_ text: Substring) -> UInt64? {
  text.utf8.allSatisfy(isDigit) ? UInt64(text) : nil
}

private func lifetimeText(_ lifetime: UInt64) -> String {
  lifetime.nonzeroBitCount == 1 ? "2^\(lifetime.trailingZeroBitCount)" : "\(lifetime)"
}

/// A big-endian number in decimal.
private func decimalText(_ bytes: [UInt8]) -> String {
  var digits: [UInt8] = [0]
  for byte in bytes {
    var carry = UInt16(byte)
    for index in digits.indices {
      carry += UInt16(digits[index]) << 8
      digits[index] = UInt8(carry % 10)
      carry /= 10
    }
    while carry > 0 {
      digits.append(UInt8(carry % 10))
      carry /= 10
    }
  }
  return String(digits.reversed().map { Character(Unicode.Scalar(48 + $0)) })
}
