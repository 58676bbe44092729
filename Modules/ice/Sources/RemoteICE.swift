internal import ICEAgent
internal import ModuleKit
internal import NetBase

/// What the peer's description says to ICE (RFC 8839 §4).
enum RemoteICE {
  /// The peer has no part in it.
  case absent
  /// Someone on the way has put another address into the description (RFC 8839 §5.4.5).
  case mismatched
  case present(ICERemote, CandidateLines)

  init(_ description: RemoteConnectivity) {
    guard let fragment = description.values(of: "ice-ufrag").first,
      let password = description.values(of: "ice-pwd").first,
      let credentials = ICECredentials(fragment: fragment, password: password)
    else {
      self = .absent
      return
    }
    let lines = CandidateLines(description.values(of: "candidate"))
    let candidates = lines.candidates
    // Nothing to compare with: more are to come, or a name may stand for the address.
    if let address = description.address, !candidates.isEmpty, !lines.hasNames, !address.isUnspecified,
      address.port != 9,
      !candidates.contains(where: { $0.component == 1 && $0.address.unscoped == address.unscoped })
    {
      self = .mismatched
      return
    }
    let hasRTCP = candidates.isEmpty || candidates.contains { $0.component == 2 }
    self = .present(
      ICERemote(
        credentials: credentials, isLite: description.has("ice-lite"), candidates: candidates,
        components: description.sharesSocket || !hasRTCP ? 1 : 2), lines)
  }
}
