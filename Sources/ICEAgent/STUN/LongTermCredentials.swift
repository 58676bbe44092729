internal import NetBase

/// A user and password at one server, and what the server wants to see of them (RFC 8489 §9.2).
///
/// Both are taken as they are: nothing is prepared by OpaqueString (RFC 8265), so what is not ASCII has to be in the form
/// that the server has.
struct LongTermCredentials {
  /// What the server's last challenge said.
  private struct Challenge {
    var realm: [UInt8]
    var nonce: [UInt8]
    /// PASSWORD-ALGORITHMS as it came, for it is sent back; nil for a server of RFC 5389's time.
    var algorithms: [UInt8]?
    var hash: STUNCrypto.Hash
    /// Whether the name is to be sent as a hash (username anonymity).
    var hidesName: Bool
  }

  private let username: [UInt8]
  private let password: STUNSecret
  private let crypto: STUNCrypto
  private var challenge: Challenge?
  private var key: STUNSecret?

  /// RFC 8489 §14.9, §14.10.
  private static let longestValue = 763

  init(username: String, password: STUNSecret, crypto: STUNCrypto) {
    (self.username, self.password, self.crypto) = (Array(username.utf8), password, crypto)
  }

  /// Takes a 401 or 438; false when asking again can't help: the password is wrong, or the challenge makes no sense.
  mutating func take(_ response: STUNMessage) -> Bool {
    guard response.errorCode == 438 || self.challenge == nil,
      let realm = response.value(STUNType.realm), let nonce = response.value(STUNType.nonce),
      realm.count <= Self.longestValue, nonce.count <= Self.longestValue
    else { return false }
    var challenge = Challenge(realm: Array(realm), nonce: Array(nonce), hash: .md5, hidesName: false)
    if let algorithms = response.value(STUNType.passwordAlgorithms).map(Array.init) {
      guard let best = Self.best(of: algorithms) else { return false }
      (challenge.algorithms, challenge.hash) = (algorithms, best)
    }
    let features = Self.features(challenge.nonce)
    challenge.hidesName = features.contains(.userhash)
    // Someone on the path has taken them out, that the password be shown to something weaker (RFC 8489 §9.2.5).
    let hadAlgorithms = self.challenge?.algorithms != nil
    if challenge.algorithms == nil, hadAlgorithms || features.contains(.passwordAlgorithms) { return false }
    let key = self.key(challenge)
    self.challenge = challenge
    let isThere = key.count > 0
    self.key = STUNSecret(key)
    return isThere
  }

  /// The hash of `user:realm:password` (RFC 8489 §18.5.1), which stands in memory that is wiped.
  private func key(_ challenge: Challenge) -> SecretBytes {
    let start = self.username + [0x3A] + challenge.realm + [0x3A]
    var text = SecretBytes(count: start.count + self.password.count)
    unsafe text.withUnsafeMutableBytes { room in
      unsafe room.copyBytes(from: start)
      self.password.withBytes { password in
        for offset in 0..<password.byteCount { unsafe room[start.count + offset] = password.uint8(at: offset) }
      }
    }
    return self.crypto.digest(challenge.hash, text.bytes)
  }

  /// Adds who we are, and the integrity that shows it: the last attribute but FINGERPRINT.
  ///
  /// - Returns: what the response is to be authenticated with; nil while the server has asked for nothing.
  func sign(_ message: inout STUNWriter) -> STUNKey? {
    guard let challenge, let key else { return nil }
    if challenge.hidesName {
      let text = self.username + [0x3A] + challenge.realm
      message.add(STUNType.userhash, text.withRawSpan { self.crypto.digest(.sha256, $0).bytes.copied() })
    } else {
      message.add(STUNType.username, self.username)
    }
    message.add(STUNType.nonce, challenge.nonce)
    message.add(STUNType.realm, challenge.realm)
    if let algorithms = challenge.algorithms {
      message.add(STUNType.passwordAlgorithms, algorithms)
      message.add(STUNType.passwordAlgorithm, [0, challenge.hash == .sha256 ? 2 : 1, 0, 0])
    }
    let needsSHA256 = challenge.algorithms != nil
    key.withBytes { message.addIntegrity(needsSHA256 ? .sha256 : .sha1, key: $0, crypto: self.crypto) }
    return STUNKey(secret: key, needsSHA256: needsSHA256)
  }

  /// PASSWORD-ALGORITHMS (RFC 8489 §14.11): pairs of an algorithm and the length of its parameters.
  private static func best(of list: [UInt8]) -> STUNCrypto.Hash? {
    var best: STUNCrypto.Hash?
    var offset = 0
    while offset + 4 <= list.count {
      switch (list[offset], list[offset + 1]) {
      case (0, 2): return .sha256
      case (0, 1): best = .md5
      default: break
      }
      offset += 4 + (Int(list[offset + 2]) << 8 | Int(list[offset + 3]) + 3) / 4 * 4
    }
    return best
  }

  /// The security features behind a nonce's cookie (RFC 8489 §9.2).
  private static func features(_ nonce: [UInt8]) -> SecurityFeatures {
    let cookie = Array("obMatJos2".utf8)
    guard nonce.count >= cookie.count + 4, nonce.starts(with: cookie) else { return [] }
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var bits: UInt32 = 0
    for character in nonce[cookie.count..<(cookie.count + 4)] {
      guard let value = alphabet.firstIndex(of: character) else { return [] }
      bits = bits << 6 | UInt32(value)
    }
    var features: SecurityFeatures = []
    if bits & 0x80_0001 != 0 { features.insert(.passwordAlgorithms) }
    if bits & 0x40_0002 != 0 { features.insert(.userhash) }
    return features
  }
}

/// What a server says in its nonce that it knows. The text numbers the bits from the left, its erratum 6290 and its example
/// from the right: servers of both kinds are there.
private struct SecurityFeatures: OptionSet {
  let rawValue: Int
  static let passwordAlgorithms = SecurityFeatures(rawValue: 1)
  static let userhash = SecurityFeatures(rawValue: 2)
}

/// What a response is authenticated with.
struct STUNKey {
  let secret: STUNSecret
  /// Whether SHA-1 is not enough, for the server has offered better (RFC 8489 §9.2.5).
  let needsSHA256: Bool

  init(secret: STUNSecret, needsSHA256: Bool) { (self.secret, self.needsSHA256) = (secret, needsSHA256) }

  /// What a peer answers our checks with.
  init(of peer: ICECredentials) {
    self.init(secret: STUNSecret(peer.key.withRawSpan { SecretBytes($0) }), needsSHA256: false)
  }

  func opens(_ response: STUNMessage, crypto: STUNCrypto) -> Bool {
    (!self.needsSHA256 || response.hasIntegritySHA256)
      && self.secret.withBytes { response.isAuthentic(key: $0, crypto: crypto) }
  }
}
