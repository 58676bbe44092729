internal import NetBase

/// The server's half of digest: challenges with nonces that prove themselves, and the check of what comes back
/// (RFC 3261 §22.2, RFC 7616 §3.3).
///
/// A nonce is the time at which it was made and a keyed hash of it, so that none has to be kept until it is used.
final class DigestServer {
  /// What the credentials of a request are worth.
  enum Verdict: Hashable {
    case granted
    /// There are none for our realm, or the nonce is not ours: challenge.
    case absent
    /// The right password with a nonce that has expired or was used: challenge with `stale`.
    case stale
    case wrong
  }

  let user: String
  let realm: String
  private let password: SecretBytes
  private let digest: DigestFunction
  private let key: String
  private let lifetime: Duration
  /// The highest nonce count that was seen, for each nonce that is in use.
  private var counts: [String: (count: UInt32, expiry: Instant)] = [:]

  /// The algorithms that are offered, in this order.
  static let offered: [DigestAlgorithm] = [.sha256, .md5]
  /// Nonces in use that are remembered.
  static let maximumNonces = 1_024

  /// - Parameter key: secret, random, of this process.
  init(
    user: String, realm: String, password: consuming SecretBytes, key: String, lifetime: Duration,
    digest: @escaping DigestFunction
  ) {
    (self.user, self.realm, self.key) = (user, realm, key)
    (self.lifetime, self.digest) = (lifetime, digest)
    self.password = password
  }

  /// One WWW-Authenticate for each algorithm, the strongest first (RFC 8760 §2.3).
  func challenges(isStale: Bool, now: Instant) -> [(String, String)] {
    let nonce = self.nonce(now)
    return Self.offered.map { algorithm in
      let stale = isStale ? ", stale=true" : ""
      return (
        "WWW-Authenticate",
        "Digest realm=\(quotedString(self.realm)), nonce=\"\(nonce)\", algorithm=\(algorithm.rawValue), "
          + "qop=\"auth,auth-int\"\(stale)"
      )
    }
  }

  /// - Parameter isUse: whether the count of the nonce is used up by this; false only asks.
  func verdict(on request: SIPMessage, isUse: Bool = true, now: Instant) -> Verdict {
    guard case .request(let method, _) = request.startLine else { return .absent }
    let candidates = request.headers.all("Authorization").prefix(8).compactMap { AuthenticationParameters($0) }
    guard
      let given = candidates.first(where: {
        $0.scheme.isSame(ignoringCaseOf: "Digest") && $0["realm"] == self.realm
      }), let nonce = given["nonce"]
    else { return .absent }
    guard let expiry = self.expiry(of: nonce) else { return .absent }
    var name = (given["algorithm"] ?? "MD5").uppercased()
    let isSession = name.hasSuffix("-SESS")
    if isSession { name.removeLast(5) }
    guard let algorithm = DigestAlgorithm(rawValue: name), Self.offered.contains(algorithm),
      given["username"] == self.user,
      // A proxy may have put another in the request line on its way to us (RFC 3261 §22.4).
      let written = given["uri"], (try? SIPURI(written)) != nil,
      let response = given["response"]?.lowercased(),
      let qop = given["qop"].flatMap({ QualityOfProtection(rawValue: $0) }),
      let count = given["nc"].flatMap({ UInt32($0, radix: 16) }), let clientNonce = given["cnonce"]
    else { return .wrong }
    let computation = DigestComputation(digest: self.digest, algorithm: algorithm, isSession: isSession)
    let expected = computation.response(
      secret: computation.secret(user: self.user, realm: self.realm, password: self.password),
      DigestComputation.Request(
        method: method, uri: written, nonce: nonce, nonceCount: given["nc"], clientNonce: clientNonce, qop: qop,
        body: request.bytes))
    guard !expected.isEmpty, Self.isSame(expected, response) else { return .wrong }
    // A count that does not rise is a replay, or a request that another overtook: a fresh nonce tells which.
    guard now < expiry, self.isNew(count, nonce, expiry, isUse: isUse, now) else { return .stale }
    return .granted
  }

  private func isNew(_ count: UInt32, _ nonce: String, _ expiry: Instant, isUse: Bool, _ now: Instant) -> Bool {
    if let last = self.counts[nonce], count <= last.count { return false }
    guard isUse else { return true }
    if self.counts[nonce] == nil, self.counts.count >= Self.maximumNonces {
      self.counts = self.counts.filter { $0.value.expiry > now }
      guard self.counts.count < Self.maximumNonces else { return false }
    }
    self.counts[nonce] = (count, expiry)
    return true
  }

  private func nonce(_ now: Instant) -> String {
    let time = Self.digits(now.nanoseconds)
    return time + self.proof(time)
  }

  /// When a nonce of ours expires; nil when it is not ours.
  private func expiry(of nonce: String) -> Instant? {
    let time = String(nonce.prefix(16))
    let proof = self.proof(time)
    guard time.utf8.count == 16, let made = UInt64(time, radix: 16), !proof.isEmpty,
      Self.isSame(proof, String(nonce.dropFirst(16)))
    else { return nil }
    return Instant(nanoseconds: Int64(bitPattern: made)).advanced(by: self.lifetime)
  }

  /// Nested, so that the hash of a longer text can't be continued from it.
  private func proof(_ time: String) -> String {
    let computation = DigestComputation(digest: self.digest, algorithm: .sha256, isSession: false)
    return computation.hash(self.key + computation.hash("\(self.key):\(time):\(self.realm)"))
  }

  private static func digits(_ number: Int64) -> String {
    let bits = UInt64(bitPattern: number)
    return hexadecimal(UInt32(truncatingIfNeeded: bits >> 32)) + hexadecimal(UInt32(truncatingIfNeeded: bits))
  }

  /// In a time that does not tell where they differ.
  private static func isSame(_ left: String, _ right: String) -> Bool {
    guard left.utf8.count == right.utf8.count else { return false }
    return zip(left.utf8, right.utf8).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
