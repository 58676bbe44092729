internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Our presence at the compositors of those accounts that publish it (`pubint`): where requests for the account itself go
/// (RFC 3903 §4.1). Lives on main.
final class Publications {
  /// One account's, until the compositor knows nothing of it any more.
  private final class Entry {
    let account: LocalAccount
    var publication: Publication
    /// Whatever waits for an older one has come too late.
    var step = 0
    /// Why the last one was refused; nil where it was taken.
    var failure: String?

    init(_ account: LocalAccount, expires: Int) {
      self.account = account
      self.publication = Publication(event: WatchedPackage.presence.rawValue, expires: expires)
    }
  }

  unowned let core: AgentCore
  private var entries: [Entry] = []
  /// Those that are being taken back.
  private var leaving: [Entry] = []

  init(core: AgentCore) { self.core = core }

  /// Whether nothing of ours is being taken back.
  var isSettled: Bool { self.leaving.isEmpty }

  /// Publishes for the accounts that are to, and for no others.
  ///
  /// - Parameter retries: whether those that were refused are tried now: something has changed.
  func update(retries: Bool = false) {
    let wanted =
      self.core.isClosing || self.core.registry.events == nil ? [] : self.core.localAccounts.filter(\.publishes)
    for entry in self.entries where !wanted.contains(where: { $0 === entry.account }) { self.end(entry) }
    for account in wanted where account.mayAsk && !self.entries.contains(where: { $0.account === account }) {
      let entry = Entry(account, expires: account.settings.account?.publicationInterval ?? 0)
      self.entries.append(entry)
      self.perform(entry.publication.publish(), entry)
    }
    if retries { for entry in self.entries { self.perform(entry.publication.retry(), entry) } }
    self.core.drain()
  }

  /// Our presence has changed.
  func publish() {
    for entry in self.entries { self.perform(entry.publication.publish(), entry) }
    self.core.drain()
  }

  /// An account goes.
  func forget(_ account: LocalAccount) {
    for entry in self.entries where entry.account === account { self.end(entry) }
  }

  private func end(_ entry: Entry) {
    self.entries.removeAll { $0 === entry }
    self.leaving.append(entry)
    self.perform(entry.publication.remove(), entry)
  }

  private func perform(_ action: Publication.Action, _ entry: Entry) {
    switch action {
    case .none: break
    case .send(let headers, let hasBody): self.send(headers.map { ($0.name, $0.value) }, hasBody, entry)
    case .refresh(let seconds):
      entry.failure = nil
      self.wait(seconds, entry) { $0.refresh() }
    case .retry(let seconds, let reason):
      if entry.failure != reason {
        self.core.warn(
          "\(entry.account.aor): its presence is not published: \(reason); it is tried again in \(seconds) s")
      }
      entry.failure = reason
      self.wait(seconds, entry) { $0.retry() }
    case .over:
      entry.step += 1
      self.leaving.removeAll { $0 === entry }
      self.core.onProgress?()
    }
  }

  private func wait(_ seconds: Int, _ entry: Entry, _ then: @escaping (inout Publication) -> Publication.Action) {
    entry.step += 1
    let (step, core) = (entry.step, self.core)
    core.context.schedule(at: core.context.now.advanced(by: .seconds(seconds))) { [weak self, weak entry] in
      guard let self, let entry, entry.step == step else { return }
      self.perform(then(&entry.publication), entry)
    }
  }

  private func send(_ headers: [(String, String)], _ hasBody: Bool, _ entry: Entry) {
    entry.step += 1
    let (step, account) = (entry.step, entry.account)
    guard let identity = try? SIPURI(account.aor) else { return }
    self.core.locate(identity, for: account) { [weak self] result in
      guard let self, entry.step == step else { return }
      let way: RequestWay
      do throws(ModuleError) { way = try result.get() } catch {
        return self.take(nil, error.message, SIPHeaders(), entry)
      }
      guard let local = way.targets.first?.local else {
        return self.take(nil, "no way leads there", SIPHeaders(), entry)
      }
      let own = NameAddress(displayName: account.settings.displayName, uri: identity)
      let request = self.core.endpoint.request(
        OutgoingRequest(
          .publish, to: NameAddress(uri: identity), from: own, targets: way.targets, local: local,
          routeSet: way.routeSet, headers: headers,
          body: hasBody ? PIDF(entity: account.aor, state: self.core.watchers.state).body : nil,
          account: account.signalling),
        now: self.core.context.now)
      self.core.await(request) { [weak self] outcome in
        switch outcome {
        case .answered(let status, let reason, let headers): self?.take(status, reason, headers, entry)
        case .failed: self?.take(nil, outcome.text, SIPHeaders(), entry)
        }
      }
    }
  }

  private func take(_ status: Int?, _ reason: String, _ headers: SIPHeaders, _ entry: Entry) {
    self.perform(entry.publication.take(status: status, reason: reason, headers: headers), entry)
    self.core.drain()
  }
}

extension LocalAccount {
  fileprivate var publishes: Bool { self.settings.account?.publicationInterval ?? 0 > 0 }
}
