internal import NetBase

/// Whose demand it is, and for what.
struct ProtectionSpace: Hashable, Sendable {
  /// 407 and Proxy-Authorization, not 401 and Authorization.
  var isProxy: Bool
  var realm: String
}

/// The client's half of digest for one account: what it was asked for, and the answers (RFC 3261 §22, RFC 7616, 8760).
///
/// What a realm has accepted once goes along with the next requests by itself, its nonce counted.
final class DigestClient {
  private struct Known {
    var challenge: DigestChallenge
    /// How often the nonce was used.
    var count: UInt32 = 0
  }

  /// What became of a challenge.
  enum Outcome: Hashable {
    /// The request goes again, with credentials.
    case again
    /// No: the user is told, with this reason.
    case refused(String)
  }

  /// What one request has been through.
  struct Attempts: Hashable {
    private struct Answer: Hashable {
      var count = 0
      var nonce = ""
    }

    private var answered: [ProtectionSpace: Answer] = [:]

    /// A nonce may expire on the way, but not each time.
    static let maximumPerRealm = 4

    /// Whether a challenge may be answered. It says that the password is wrong where the request had answered the challenge
    /// before it; where its nonce was of another server in the same realm, it says only that.
    ///
    /// - Parameter sent: the nonce that the request bore; nil for none.
    mutating func allows(_ space: ProtectionSpace, _ challenge: DigestChallenge, sent: String?) -> Bool {
      var answer = self.answered[space] ?? Answer()
      let mayTry = challenge.isStale || answer.nonce != sent
      guard answer.count == 0 || mayTry && answer.count < Self.maximumPerRealm else { return false }
      answer.count += 1
      answer.nonce = challenge.nonce
      self.answered[space] = answer
      return true
    }
  }

  let user: String
  private let password: SecretBytes
  private let digest: DigestFunction
  private var known: [ProtectionSpace: Known] = [:]
  /// The strongest algorithm that a realm ever asked for: nothing weaker is answered (RFC 8760 §4).
  private var strongest: [ProtectionSpace: DigestAlgorithm] = [:]

  /// Realms that are remembered; a peer that invents more gets no answer.
  static let maximumRealms = 16

  init(user: String, password: consuming SecretBytes, digest: @escaping DigestFunction) {
    (self.user, self.digest) = (user, digest)
    self.password = password
  }

  /// Takes the challenges of a 401 or 407; `again` says that `authorize` will answer them.
  ///
  /// - Parameters:
  ///   - request: the headers of what was challenged.
  ///   - attempts: the request's, which ends a password that is wrong.
  func receive(challenges headers: SIPHeaders, to request: SIPHeaders, _ attempts: inout Attempts) -> Outcome {
    let offered = Self.challenges(in: headers)
    guard !offered.isEmpty else { return .refused("No digest that is known was asked for") }
    var isAnswered = false
    var reason = "No digest that is known was asked for"
    for space in Set(offered.map(\.space)) {
      let ours = offered.filter { $0.space == space }.map(\.challenge)
      // The first of the strongest: servers list them in their order of preference (RFC 8760 §2.4).
      guard let strongest = ours.map(\.algorithm).max(),
        let challenge = ours.first(where: { $0.algorithm == strongest })
      else { continue }
      if let before = self.strongest[space], strongest < before {
        return .refused("Realm \"\(space.realm)\" asks for a weaker digest than before")
      }
      guard attempts.allows(space, challenge, sent: Self.nonce(in: request, for: space)) else {
        self.known[space] = nil
        return .refused("Wrong user or password for realm \"\(space.realm)\"")
      }
      guard self.strongest[space] != nil || self.strongest.count < Self.maximumRealms else {
        reason = "Too many realms"
        continue
      }
      self.strongest[space] = strongest
      let isSameNonce = self.known[space]?.challenge.nonce == challenge.nonce
      self.known[space] = Known(challenge: challenge, count: isSameNonce ? self.known[space]?.count ?? 0 : 0)
      isAnswered = true
    }
    return isAnswered ? .again : .refused(reason)
  }

  /// The server's next nonce comes with its success (RFC 7616 §3.5).
  func receive(success headers: SIPHeaders) {
    for (name, isProxy) in [("Authentication-Info", false), ("Proxy-Authentication-Info", true)] {
      guard let text = headers[name], let information = AuthenticationParameters(text, hasScheme: false),
        let next = information["nextnonce"], !next.isEmpty
      else { continue }
      let spaces = self.known.keys.filter { $0.isProxy == isProxy }
      guard spaces.count == 1, let space = spaces.first else { continue }
      self.known[space]?.challenge.nonce = next
      self.known[space]?.count = 0
    }
  }

  /// Puts the credentials of every known realm into `request`, in place of those that it had.
  func authorize(_ request: inout SIPMessage, clientNonce: () -> String) {
    guard case .request(let method, let uri) = request.startLine else { return }
    request.headers.remove("Authorization")
    request.headers.remove("Proxy-Authorization")
    for space in self.known.keys.sorted(by: { ($0.isProxy ? 1 : 0, $0.realm) < ($1.isProxy ? 1 : 0, $1.realm) }) {
      guard var known = self.known[space] else { continue }
      known.count &+= 1
      self.known[space] = known
      let value = self.credentials(known.challenge, known.count, method, uri, request.bytes, clientNonce)
      request.headers.append(space.isProxy ? "Proxy-Authorization" : "Authorization", value)
    }
  }

  private func credentials(
    _ challenge: DigestChallenge, _ count: UInt32, _ method: SIPMethod, _ uri: SIPURI, _ body: [UInt8],
    _ clientNonce: () -> String
  ) -> String {
    let computation = DigestComputation(
      digest: self.digest, algorithm: challenge.algorithm, isSession: challenge.isSession)
    let nonce = challenge.qop != nil || challenge.isSession ? clientNonce() : nil
    let response = computation.response(
      secret: computation.secret(user: self.user, realm: challenge.realm, password: self.password),
      DigestComputation.Request(
        method: method, uri: uri.description, nonce: challenge.nonce,
        nonceCount: challenge.qop == nil ? nil : hexadecimal(count), clientNonce: nonce, qop: challenge.qop,
        body: body))
    let name = challenge.hashesUser ? computation.hash("\(self.user):\(challenge.realm)") : self.user
    var text = "Digest username=\(quotedString(name)), realm=\(quotedString(challenge.realm))"
    text += ", nonce=\(quotedString(challenge.nonce)), uri=\(quotedString(uri.description))"
    text += ", response=\"\(response)\", algorithm=\(challenge.algorithmName)"
    if let nonce { text += ", cnonce=\"\(nonce)\"" }
    if let qop = challenge.qop { text += ", qop=\(qop.rawValue), nc=\(hexadecimal(count))" }
    if let opaque = challenge.opaque { text += ", opaque=\(quotedString(opaque))" }
    if challenge.hashesUser { text += ", userhash=true" }
    return text
  }

  private static func nonce(in request: SIPHeaders, for space: ProtectionSpace) -> String? {
    request.all(space.isProxy ? "Proxy-Authorization" : "Authorization").lazy
      .compactMap { AuthenticationParameters($0) }.first { $0["realm"] == space.realm }?["nonce"]
  }

  /// What a response demands, for whoever has no password; nil where it is no digest that is known.
  static func demand(in headers: SIPHeaders) -> String? {
    self.challenges(in: headers).first.map { "the realm \"\($0.space.realm)\" wants a password" }
  }

  private static func challenges(in headers: SIPHeaders) -> [(space: ProtectionSpace, challenge: DigestChallenge)] {
    self.challenges(headers.all("WWW-Authenticate"), isProxy: false)
      + self.challenges(headers.all("Proxy-Authenticate"), isProxy: true)
  }

  private static func challenges(
    _ values: [String], isProxy: Bool
  ) -> [(space: ProtectionSpace, challenge: DigestChallenge)] {
    values.prefix(Self.maximumRealms).compactMap { value in
      DigestChallenge(value).map { (ProtectionSpace(isProxy: isProxy, realm: $0.realm), $0) }
    }
  }
}
