internal import NetBase
internal import SIPStack

/// Who calls, where the account's own proxy knows it better than From says (RFC 3325).
extension AgentCore {
  /// Whether `host` is the account's registrar, or its outbound proxy where that is an address: our trust domain.
  func isProxy(_ host: SocketAddress, of account: LocalAccount?) -> Bool {
    guard let account else { return false }
    if let route = account.route, route.route.peer.isSameHost(as: host) { return true }
    return account.settings.account?.outbound.contains { proxy in
      (try? SIPURI(proxy)).flatMap { SocketAddress(host: $0.host, port: 0) }?.isSameHost(as: host) == true
    } ?? false
  }

  /// The caller as our own proxy vouches for him, unless he asked not to be shown; else as From has him.
  func caller(of invite: IncomingInvite, for account: LocalAccount) -> NameAddress {
    let isHidden = !Set(invite.headers.privacy).isDisjoint(with: ["id", "user", "header"])
    guard !isHidden, self.isProxy(invite.source, of: account) else { return invite.from }
    let identities = invite.headers.assertedIdentities
    return identities.first { $0.uri.scheme == .sip || $0.uri.scheme == .sips } ?? identities.first ?? invite.from
  }
}
