internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import SIPStack

/// The negotiation of one media section (RFC 8839): credentials, candidates and restarts. Lives on main.
///
/// Sockets have an agent of their own, with credentials of their own. A restart on the same sockets takes effect when both
/// descriptions are there, so a refused one leaves no trace; until then the peer's early checks are answered and kept.
final class ICENegotiation: MediaNATSession {
  /// What our description says.
  private struct Local {
    let sockets: MediaSockets
    var credentials: ICECredentials
    /// Whether the transport has its agent.
    var isBegun = false
  }

  private struct State {
    var local: Local?
    var remote: ICERemote?
    /// The peer does without.
    var isAbsent = false
    var report: ConnectivityReport?
  }

  private var random: SeededGenerator
  private var state = State()
  /// What holds if the offer under way comes to nothing.
  private var before: State?
  private var wantsRestart = false
  /// What our offer says, where it asks for a restart.
  private var offered: ICECredentials?
  private var commands = Queue<ConnectivityCommand>()

  init() throws(ModuleError) { self.random = try .random() }

  func use(_ sockets: MediaSockets, isForNextAssociation: Bool) {
    if isForNextAssociation { self.before = self.before ?? self.state }
    self.wantsRestart = false
    self.offered = nil
    self.state = State(
      local: Local(sockets: sockets, credentials: self.draw()), isAbsent: self.state.isAbsent)
  }

  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] {
    guard !self.state.isAbsent, self.state.local != nil else { return [] }
    self.before = self.before ?? self.state
    if self.wantsRestart, self.state.remote != nil {
      let credentials = self.draw()
      self.offered = credentials
      self.commands.append(.expect(credentials))
    }
    self.wantsRestart = false
    try self.begin(.controlling)
    var attributes = self.attributes(self.offered)
    if self.offered == nil, let report = self.state.report, report.isControlling, let rtp = report.rtp {
      attributes.append(DescriptionAttribute("remote-candidates", Self.remoteCandidates(rtp, report.rtcp)))
    }
    return attributes
  }

  func requestRestart() -> Bool {
    guard self.state.remote != nil, !self.state.isAbsent else { return false }
    self.wantsRestart = true
    return true
  }

  func answer(to offer: RemoteConnectivity) throws(ModuleError) -> [DescriptionAttribute] {
    self.before = self.before ?? self.state
    switch RemoteICE(offer) {
    case .absent: self.withdraw()
    case .mismatched:
      guard self.isRunning else {
        self.withdraw()
        return [DescriptionAttribute("ice-mismatch")]
      }
      return self.attributes(nil)
    case .present(let remote):
      if self.state.isAbsent {
        self.state.isAbsent = false
        self.renew()
      }
      try self.begin(.controlled)
      if let former = self.state.remote, former.credentials != remote.credentials {
        let credentials = self.draw()
        self.state.local?.credentials = credentials
        self.state.report = nil
        self.commands.append(.restart(credentials, remote))
      } else {
        self.commands.append(.remote(remote))
      }
      self.state.remote = remote
      return self.attributes(nil, components: remote.components)
    }
    return []
  }

  func receive(answer: RemoteConnectivity) {
    let offered = self.offered.take()
    self.settle()
    guard !self.state.isAbsent, self.state.local != nil else { return }
    switch RemoteICE(answer) {
    case .absent: self.withdraw()
    case .mismatched: if !self.isRunning { self.withdraw() }
    case .present(let remote):
      // Both change (RFC 8839 §4.4). A peer that keeps its own begins nothing anew, and what is in use goes on.
      if let offered, remote.credentials != self.state.remote?.credentials {
        self.state.local?.credentials = offered
        self.state.report = nil
        self.commands.append(.restart(offered, remote))
      } else {
        self.commands.append(.remote(remote))
      }
      self.state.remote = remote
    }
  }

  func rollback() {
    self.wantsRestart = false
    self.offered = nil
    self.commands.removeAll()
    if let before = self.before.take() { self.state = before }
  }

  func settle() { self.before = nil }

  func connected(_ report: ConnectivityReport) { self.state.report = report }

  func nextCommand() -> ConnectivityCommand? { self.commands.removeFirst() }

  /// Whether the checks have begun with this peer: what comes later is compared with nothing.
  private var isRunning: Bool { self.state.remote != nil && !self.state.isAbsent }

  private func withdraw() {
    guard !self.state.isAbsent else { return }
    if self.state.local?.isBegun == true { self.commands.append(.withdraw) }
    self.state.isAbsent = true
    self.state.remote = nil
    self.state.report = nil
  }

  /// The peer is back: as if the sockets were others.
  private func renew() {
    guard let sockets = self.state.local?.sockets else { return }
    self.state.local = Local(sockets: sockets, credentials: self.draw())
  }

  private func begin(_ role: ICERole) throws(ModuleError) {
    guard let local = self.state.local, !local.isBegun else { return }
    let random = try SeededGenerator.random()
    self.state.local?.isBegun = true
    self.commands.append(
      .begin { now in ICEPathAgent(local.sockets, local.credentials, role: role, random: random, now: now) })
  }

  private func draw() -> ICECredentials { ICECredentials(using: &self.random) }

  private func attributes(_ credentials: ICECredentials?, components: Int = 2) -> [DescriptionAttribute] {
    guard let local = self.state.local else { return [] }
    let credentials = credentials ?? local.credentials
    return [
      DescriptionAttribute("ice-ufrag", credentials.fragment), DescriptionAttribute("ice-pwd", credentials.password),
      DescriptionAttribute("ice-options", "ice2"),
    ]
      + local.sockets.bases.prefix(components).map {
        DescriptionAttribute("candidate", ICESession.host($0).attributeValue)
      }
  }

  /// RFC 8839 §5.2.
  private static func remoteCandidates(_ rtp: SocketAddress, _ rtcp: SocketAddress?) -> String {
    let pairs = [(1, rtp)] + (rtcp.map { [(2, $0)] } ?? [])
    return pairs.map { "\($0) \($1.unscoped.host) \($1.port)" }.joined(separator: " ")
  }
}
