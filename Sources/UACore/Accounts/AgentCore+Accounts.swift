internal import ModuleKit
internal import NetBase
internal import SIPStack

extension AgentCore {
  /// Who answers calls that come in; the set value takes the place of all accounts that there were.
  package var accounts: [CallSettings] {
    get { self.localAccounts.map(\.settings) }
    set {
      for account in self.localAccounts { self.forgetWatches(of: account) }
      for account in self.localAccounts { self.retire(account) }
      self.localAccounts = []
      for settings in newValue { self.add(account: settings) }
    }
  }

  @discardableResult
  package func add(account settings: CallSettings) -> LocalAccount {
    let account = LocalAccount(number: self.nextAccount, settings: settings)
    self.nextAccount += 1
    self.localAccounts.append(account)
    self.notice(.create, account: account, parameter: settings.identity)
    self.enroll(account)
    self.updatePresence()
    return account
  }

  /// Takes an account away; its calls go on.
  package func remove(account: LocalAccount) {
    self.forgetWatches(of: account)
    self.retire(account)
    self.localAccounts.removeAll { $0 === account }
    self.updatePresence()
    self.notice(.shutdown, account: account, parameter: account.aor)
  }

  /// The account with this address of record, or at this place in the list that `reginfo` shows, from 0.
  package func account(_ name: some StringProtocol) -> LocalAccount? {
    if let place = Int(name) { return self.localAccounts.indices.contains(place) ? self.localAccounts[place] : nil }
    let wanted = name.lowercased()
    return self.localAccounts.first { $0.aor.lowercased() == wanted || "sip:\(wanted)" == $0.aor.lowercased() }
  }

  /// The account that a request to `target` is for: its user's, else one that catches all (RFC 3261 §8.2.2.1). Of
  /// several, the one that is registered where the request comes from: by its connection, else its host. Then the one
  /// of the domain that To names, then the first.
  func account(
    for target: SIPURI, to: SIPURI, from source: SocketAddress? = nil, flow: SIPFlow? = nil
  ) -> LocalAccount? {
    var candidates = self.localAccounts.filter { $0.user != nil && target.hasUser($0.user) }
    if candidates.isEmpty { candidates = self.localAccounts.filter { $0.settings.catchesAll } }
    let preferences: [(LocalAccount) -> Bool] = [
      { account in flow != nil && account.route?.route.flow == flow },
      { account in source.map { account.route?.route.peer.isSameHost(as: $0) == true } ?? false },
      { account in (try? SIPURI(account.aor))?.hasHost(to.host) == true },
    ]
    for isPreferred in preferences where candidates.count > 1 {
      let preferred = candidates.filter(isPreferred)
      if !preferred.isEmpty { candidates = preferred }
    }
    return candidates.first
  }

  /// The account that is called.
  func account(of invite: IncomingInvite) -> LocalAccount? {
    self.account(for: invite.requestURI, to: invite.to.uri, from: invite.source, flow: invite.flow)
  }

  /// The account whose domain is that of `target`, else the first.
  func account(towards target: SIPURI) -> LocalAccount? {
    self.localAccounts.first { (try? SIPURI($0.aor))?.hasHost(target.host) == true } ?? self.localAccounts.first
  }
}
