internal import NetBase

/// A server's or proxy's demand for a digest (RFC 7616 §3.3).
struct DigestChallenge: Hashable, Sendable {
  var realm: String
  var nonce: String
  var opaque: String?
  var isStale: Bool
  var algorithm: DigestAlgorithm
  /// A `-sess` variant.
  var isSession: Bool
  /// nil without qop: the calculation of RFC 2069.
  var qop: QualityOfProtection?
  /// Whether the user's name may go hashed (RFC 7616 §3.4.4).
  var hashesUser: Bool

  /// Nil for another scheme, an algorithm or a qop that is not known, and for what is malformed.
  init?(_ text: String) {
    guard let parameters = AuthenticationParameters(text), parameters.scheme.isSame(ignoringCaseOf: "Digest"),
      let realm = parameters["realm"], let nonce = parameters["nonce"], !nonce.isEmpty
    else { return nil }
    var name = (parameters["algorithm"] ?? "MD5").uppercased()
    self.isSession = name.hasSuffix("-SESS")
    if self.isSession { name.removeLast(5) }
    guard let algorithm = DigestAlgorithm(rawValue: name) else { return nil }
    if let offered = parameters["qop"] {
      let known = TextScanner.list(offered).compactMap { QualityOfProtection(rawValue: $0.lowercased()) }
      guard let qop = known.contains(.authentication) ? .authentication : known.first else { return nil }
      self.qop = qop
    }
    (self.realm, self.nonce, self.algorithm) = (realm, nonce, algorithm)
    self.opaque = parameters["opaque"]
    self.isStale = parameters["stale"]?.isSame(ignoringCaseOf: "true") ?? false
    self.hashesUser = parameters["userhash"]?.isSame(ignoringCaseOf: "true") ?? false
  }

  /// `MD5`, `SHA-256-sess`, … as both sides write it.
  var algorithmName: String { self.algorithm.rawValue + (self.isSession ? "-sess" : "") }
}
