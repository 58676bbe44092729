internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Who watches this agent's accounts, and what they are told: presence as the user sets it, and the state of calls.
/// Lives on main.
final class Watchers {
  struct Counters {
    /// Subscriptions of others that were granted.
    var watchersAccepted = 0
    /// Those of people who may not watch.
    var watchersForbidden = 0
    /// Those for which there was no room.
    var watchersTooMany = 0
  }

  /// One subscription of somebody else's.
  private struct Watcher {
    let id: SubscriptionID
    let account: LocalAccount
    let package: WatchedPackage
    /// Of the next dialog document.
    var version = 0
    /// What it was told of each call.
    var told: [CallID: DialogInfo.State] = [:]
  }

  /// Seconds.
  private static let longest = 3_600
  private static let shortest = 60

  unowned let core: AgentCore
  private(set) var counters = Counters()
  /// Presence of all accounts.
  private(set) var state = PresenceState.online
  private var watchers: [Watcher] = []

  init(core: AgentCore) { self.core = core }

  var count: Int { self.watchers.count }

  // MARK: Who may watch

  /// A SUBSCRIBE came.
  func requested(_ id: SubscriptionID, _ request: IncomingSubscription) {
    let now = self.core.context.now
    let package = request.event.prefix { $0 != ";" }.lowercased()
    guard let package = WatchedPackage(rawValue: package), let served = self.core.registry.events else {
      return self.core.endpoint.rejectSubscription(id, status: 489, now: now)
    }
    guard let account = self.core.account(for: request.requestURI, to: request.to.uri, from: request.source) else {
      return self.core.endpoint.rejectSubscription(id, status: 404, now: now)
    }
    guard self.isAllowed(request, at: account) else {
      self.counters.watchersForbidden += 1
      return self.core.endpoint.rejectSubscription(id, status: 403, now: now)
    }
    if self.core.isClosing || self.watchers.count >= served.maximumWatchers {
      self.counters.watchersTooMany += 1
      return self.core.endpoint.rejectSubscription(id, status: 503, headers: [("Retry-After", "300")], now: now)
    }
    if request.expires > 0, request.expires < Self.shortest {
      return self.core.endpoint.rejectSubscription(
        id, status: 423, headers: [("Min-Expires", "\(Self.shortest)")], now: now)
    }
    self.counters.watchersAccepted += 1
    self.watchers.append(Watcher(id: id, account: account, package: package))
    self.core.endpoint.acceptSubscription(
      id, expires: min(request.expires, Self.longest), body: self.body(at: self.watchers.count - 1), now: now)
  }

  /// As calls are let in, but not from strangers.
  private func isAllowed(_ request: IncomingSubscription, at account: LocalAccount) -> Bool {
    if !account.settings.acceptsRequests { return false }
    if let route = account.route, account.settings.account?.checksOrigin == true,
      !route.route.peer.isSameHost(as: request.source)
    {
      return false
    }
    return self.core.control.contacts.mayWatch(request.from.uri)
  }

  /// A subscription is over; false when it was none of these.
  func ended(_ id: SubscriptionID) -> Bool {
    let before = self.watchers.count
    self.watchers.removeAll { $0.id == id }
    return self.watchers.count < before
  }

  /// Lets watchers go: all, or those that `isMeant`.
  ///
  /// - Parameter reason: RFC 6665 §4.1.3; `deactivated` has them ask again.
  func end(reason: String = "deactivated", where isMeant: (LocalAccount) -> Bool = { _ in true }) {
    for watcher in self.watchers where isMeant(watcher.account) {
      let body = watcher.package == .presence ? PIDF(entity: watcher.account.aor, state: .offline).body : nil
      self.core.endpoint.terminateSubscription(watcher.id, reason: reason, body: body, now: self.core.context.now)
    }
    self.core.drain()
  }

  // MARK: What they are told

  /// Sets our presence, and tells it; false where it is that already.
  func set(_ state: PresenceState) -> Bool {
    guard state != self.state else { return false }
    self.state = state
    self.notify { $0.package == .presence }
    return true
  }

  /// Told of every event: some are a step of a call's.
  func take(_ event: AgentEvent) {
    switch event {
    case .incoming(let id, _, _), .outgoing(let id, _), .ringing(let id), .progress(let id, _), .established(let id):
      if let call = self.core.calls[id] { self.changed(call) }
    default: break
    }
  }

  /// A call is at another step: those who watch calls of its account are told, unless they know it.
  func changed(_ call: Call) {
    self.notify { watcher in
      watcher.package == .dialog && watcher.account.aor == call.settings.identity
        && watcher.told[call.id] ?? .terminated != call.dialogState
    }
  }

  private func notify(_ isConcerned: (Watcher) -> Bool) {
    let concerned = self.watchers.indices.filter { isConcerned(self.watchers[$0]) }
    for index in concerned {
      let (id, body) = (self.watchers[index].id, self.body(at: index))
      self.core.endpoint.notify(id, body: body, now: self.core.context.now)
    }
    if !concerned.isEmpty { self.core.drain() }
  }

  /// What a watcher is to know now; it counts as told.
  private func body(at index: Int) -> SIPBody {
    let account = self.watchers[index].account
    switch self.watchers[index].package {
    case .presence: return PIDF(entity: account.aor, state: self.state).body
    case .dialog:
      let known = self.watchers[index].told
      let calls = self.core.calls.values.filter { $0.settings.identity == account.aor }
        .filter { $0.state != .ended || known[$0.id] != nil }.sorted { $0.id.number < $1.id.number }
      let version = self.watchers[index].version
      self.watchers[index].version += 1
      self.watchers[index].told = Dictionary(
        uniqueKeysWithValues: calls.filter { $0.state != .ended }.map { ($0.id, $0.dialogState) })
      let dialogs = calls.map {
        DialogInfo.Dialog(id: "call\($0.id)", isInitiator: $0.isOutgoing, state: $0.dialogState)
      }
      return DialogInfo(entity: account.aor, version: version, dialogs: dialogs).body
    }
  }
}

extension Call {
  /// Its state in the words of RFC 4235 §3.7.1; a call that came in rings as soon as it is told of.
  fileprivate var dialogState: DialogInfo.State {
    switch self.state {
    case .calling: .trying
    case .incoming, .ringing, .early: .early
    case .established: .confirmed
    case .ended: .terminated
    }
  }
}
