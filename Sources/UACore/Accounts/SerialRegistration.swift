internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Registers accounts by their `prio`, where module `serreg` is on: those with the smallest number; those with the next when
/// all of them have failed; and back as soon as one of them can be registered again. Lives on main, with its agent.
final class SerialRegistration {
  private unowned let core: AgentCore
  /// The `prio` of the accounts that are registered, or about to be.
  private var current = 0
  /// Accounts whose registrars are asked every `fbregint` seconds whether they are there, by number, with the round of it.
  private var asked: [Int: Int] = [:]
  private var lastRound = 0

  init(core: AgentCore) { self.core = core }

  private var isOn: Bool { self.core.registry.registersSerially && !self.core.isClosing }

  /// Accounts that are to be registered at all, each with its line.
  private var accounts: [(account: LocalAccount, line: Account)] {
    self.core.localAccounts.compactMap { account in
      guard let line = account.settings.account, line.registrationInterval != 0 else { return nil }
      return (account, line)
    }
  }

  func registered(_ account: LocalAccount) {
    guard self.isOn, let line = account.settings.account else { return }
    self.asked[account.number] = nil
    account.isRegistrarThere = nil
    let registered = self.accounts.filter { $0.account.registration == .registered }
    if registered.contains(where: { $0.line.priority < line.priority }) {
      self.core.leaveRegistrar(account)
    } else {
      self.current = line.priority
      for other in registered where other.line.priority > line.priority { self.core.leaveRegistrar(other.account) }
    }
    self.askOthers()
  }

  func failed(_ account: LocalAccount) {
    guard self.isOn, let line = account.settings.account else { return }
    let all = self.accounts
    let hasFailed = all.allSatisfy { other in
      guard other.line.priority == self.current, case .failed = other.account.registration else {
        return other.line.priority != self.current
      }
      return true
    }
    if line.priority == self.current, hasFailed,
      let next = all.map(\.line.priority).filter({ $0 > self.current }).min()
    {
      self.current = next
      for other in all where other.line.priority == next {
        self.asked[other.account.number] = nil
        // Only with an interval comes back what is being taken back.
        let isLeaving = other.account.registrationID != nil
        self.core.register(other.account, interval: isLeaving ? other.line.registrationInterval ?? 3600 : nil)
      }
    }
    self.askOthers()
  }

  // MARK: Asking

  private func askOthers() {
    for other in self.accounts
    where other.line.priority != self.current && other.line.fallbackInterval > 0
      && self.asked[other.account.number] == nil && !other.account.isRegistering
    {
      if other.account.registrationID != nil { self.core.leaveRegistrar(other.account) }
      self.lastRound += 1
      self.asked[other.account.number] = self.lastRound
      self.ask(other.account, after: other.line.fallbackInterval, round: self.lastRound)
    }
  }

  private func ask(_ account: LocalAccount, after seconds: Int, round: Int) {
    self.core.context.schedule(at: self.core.context.now.advanced(by: .seconds(seconds))) { [weak self, weak account] in
      guard let self, let account, self.isAsked(account, round) else { return }
      self.core.probeRegistrar(of: account) { [weak self] outcome in
        guard let self, self.isAsked(account, round) else { return }
        self.take(outcome, of: account, round: round)
      }
    }
  }

  private func isAsked(_ account: LocalAccount, _ round: Int) -> Bool {
    self.isOn && self.asked[account.number] == round && self.core.localAccounts.contains { $0 === account }
  }

  private func take(_ outcome: RequestOutcome, of account: LocalAccount, round: Int) {
    guard let line = account.settings.account else { return }
    var status: Int?
    if case .answered(let number, _, _) = outcome { status = number }
    let isThere = status.map { (200..<300).contains($0) } ?? false
    account.isRegistrarThere = isThere
    self.core.notice(isThere ? .fallbackOK : .fallbackFail, account: account, parameter: outcome.text)
    // Who is refused, the password for example, is refused the next time too.
    if let status, [401, 403, 404, 407].contains(status) { return }
    // Its last binding may be on its way to be taken back yet.
    if isThere, line.priority < self.current, account.registrationID == nil {
      self.asked[account.number] = nil
      return self.core.register(account)
    }
    self.ask(account, after: line.fallbackInterval, round: round)
  }
}

extension LocalAccount {
  fileprivate var isRegistering: Bool { if case .registering = self.registration { true } else { false } }
}
