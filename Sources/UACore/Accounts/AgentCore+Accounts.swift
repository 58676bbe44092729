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

  /// The account with this address of record, or this number.
  package func account(_ name: some StringProtocol) -> LocalAccount? {
    if let number = Int(name) { return self.localAccounts.first { $0.number == number } }
    let wanted = name.lowercased()
    return self.localAccounts.first { $0.aor.lowercased() == wanted || "sip:\(wanted)" == $0.aor.lowercased() }
  }

  /// The account that a request to `target` is for: its user's, else one that catches all (RFC 3261 §8.2.2.1).
  func account(for target: SIPURI) -> LocalAccount? {
    self.localAccounts.first { $0.user == target.user && $0.user != nil }
      ?? self.localAccounts.first { $0.settings.catchesAll }
  }

  /// The account whose domain is that of `target`, else the first.
  func account(towards target: SIPURI) -> LocalAccount? {
    self.localAccounts.first { (try? SIPURI($0.aor))?.host == target.host } ?? self.localAccounts.first
  }
}
