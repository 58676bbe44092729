/// Who calls, beyond From: privacy and asserted identity (RFC 3323, RFC 3325), diversion (RFC 5806), reasons (RFC 3326).
extension SIPHeaders {
  /// P-Asserted-Identity, at most one sip and one tel URI. Worth no more than the proxy that it came from.
  package var assertedIdentities: [NameAddress] { self.addresses("P-Asserted-Identity") }

  /// P-Preferred-Identity.
  package var preferredIdentities: [NameAddress] { self.addresses("P-Preferred-Identity") }

  /// Diversion, the last who diverted first.
  package var diversions: [NameAddress] { self.addresses("Diversion") }

  /// The values of Privacy, in lower case: `id`, `header`, `session`, `user`, `none`, `critical`.
  package var privacy: [String] {
    self.all("Privacy").flatMap { $0.split { $0 == ";" || $0 == "," } }.map { $0.trimmed.lowercased() }
  }

  /// The cause of the protocol in Reason: `reason("SIP")` or `reason("Q.850")`.
  package func reason(_ protocolName: String) -> (cause: Int, text: String)? {
    for value in self.list("Reason") {
      var scanner = TextScanner(value)
      let name = scanner.take(while: \.isToken)
      guard name.isSame(ignoringCaseOf: protocolName),
        let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter }),
        let cause = parameters["cause"]?.decimal(upTo: 999)
      else { continue }
      let text = parameters["text"] ?? ""
      return (cause, text.hasPrefix("\"") ? NameAddress.unquote(text) : text)
    }
    return nil
  }

  private func addresses(_ name: String) -> [NameAddress] { self.list(name).compactMap { try? NameAddress($0) } }
}

extension OutgoingInvite {
  /// Hides who calls: From and Contact name nobody (RFC 3323 §4.1).
  ///
  /// - Parameter tellsProxy: whether the INVITE goes to a proxy of ours, which learns the identity by
  ///   P-Preferred-Identity and keeps it to itself (RFC 3325 §9.2). A peer would read it.
  package mutating func makeAnonymous(tellsProxy: Bool) {
    var identity = self.from
    identity.parameters = SIPParameters()
    self.from = NameAddress(
      displayName: "Anonymous", uri: SIPURI(user: "anonymous", host: "anonymous.invalid", port: nil))
    self.contact.user = "anonymous"
    self.headers.append(("Privacy", "id"))
    if tellsProxy { self.headers.append(("P-Preferred-Identity", identity.description)) }
  }
}
