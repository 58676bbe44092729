package import NetBase

/// One account of an endpoint; its requests name it, so that they are authenticated and routed as it wants.
package struct SIPAccountID: Hashable, Sendable, CustomStringConvertible {
  package let value: UInt64
  package var description: String { "account \(self.value)" }
}

/// What an account needs to know for the requests that are made and served in its name.
package struct SIPAccountSettings: ~Copyable {
  /// The name and password that answer a 401 or 407; nil leaves those to the user.
  package var credentials: SIPCredentials?
  /// What a caller must know to reach this account; nil asks nobody (RFC 3261 §22.2).
  package var required: SIPCredentials?
  /// The realm of our own challenges.
  package var realm: String
  /// Whether 3xx are followed by themselves, INVITE and any other request.
  package var followsRedirects: Bool

  package init(
    credentials: consuming SIPCredentials? = nil, required: consuming SIPCredentials? = nil, realm: String = "apus",
    followsRedirects: Bool = false
  ) {
    (self.realm, self.followsRedirects) = (realm, followsRedirects)
    self.credentials = credentials
    self.required = required
  }
}

/// A name and its password, which is wiped with its owner and never printed.
package struct SIPCredentials: ~Copyable {
  package let user: String
  package let password: SecretBytes

  package init(user: String, password: consuming SecretBytes) {
    self.user = user
    self.password = password
  }
}

/// An account in the endpoint's table.
final class SIPAccount {
  let id: SIPAccountID
  let client: DigestClient?
  let server: DigestServer?
  let followsRedirects: Bool

  init(id: SIPAccountID, client: DigestClient?, server: DigestServer?, followsRedirects: Bool) {
    (self.id, self.client, self.server, self.followsRedirects) = (id, client, server, followsRedirects)
  }
}
