internal import ModuleKit

/// What the peer's description says about its end of the association.
struct RemoteIdentity: Hashable {
  /// Those with an accepted hash function; never empty.
  let fingerprints: Set<Fingerprint>
  /// Nil where the description leaves it to RFC 4145's default.
  let setup: SetupRole?
  /// RFC 8842 §4.
  let associationID: String?
  /// Nil where the peer knows no marks, or wants none.
  let mark: AssociationMark?

  init(_ description: RemoteSecurity) throws(ModuleError) {
    var known: Set<Fingerprint> = []
    var refused: [String] = []
    for value in description.values(of: "fingerprint") {
      switch Fingerprint.parse(value) {
      case .known(let fingerprint): known.insert(fingerprint)
      case .unsupported(let function): refused.append(function)
      case .malformed: throw ModuleError(.peer, "the peer's a=fingerprint is malformed")
      }
    }
    guard !known.isEmpty else {
      let reason =
        refused.isEmpty
        ? "no a=fingerprint" : "fingerprints with \(refused.joined(separator: ", ")) only, which is too weak or unknown"
      throw ModuleError(.peer, "the peer's description has \(reason): dtls_srtp needs sha-256, sha-384 or sha-512")
    }
    self.fingerprints = known
    let setup = description.values(of: "setup").first
    if let setup {
      guard let role = SetupRole(rawValue: setup.lowercased()) else {
        throw ModuleError(.peer, "the peer's a=setup is none of active, passive, actpass")
      }
      self.setup = role
    } else {
      self.setup = nil
    }
    self.associationID = description.values(of: "tls-id").first
    self.mark = description.values(of: AssociationMark.attribute).first.flatMap { AssociationMark($0) }
  }

  /// For the key exchange, in an order that does not depend on the hashing of sets.
  var values: [KeyExchangeRemote.Fingerprint] {
    HashFunction.allCases.flatMap { function in
      self.fingerprints.filter { $0.function == function }
        .map { KeyExchangeRemote.Fingerprint(function: function.rawValue, digest: $0.digest) }
    }
  }
}
