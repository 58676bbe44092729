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
    /// At other addresses of this host, the best first; none where the transport has closed them.
    var further: [MediaSockets] = []
    var credentials: ICECredentials
    /// Whether the transport has its agent.
    var isBegun = false
    /// Whether what was there before stays in use if nothing comes of them.
    var isNext = false
    /// What servers were asked for; nil while they are, and for good where there are none to ask.
    var gathered: [ICECandidate]?
    /// What our last description said, where it did not say that this is all.
    var unfinished: Description?

    /// The pair of sockets that receives RTP at `address`.
    func pair(at address: SocketAddress?) -> MediaSockets? {
      ([self.sockets] + self.further).first { $0.rtp == address }
    }
  }

  private struct Description {
    let credentials: ICECredentials
    let components: Int
    let candidates: [String]
  }

  private struct State {
    var local: Local?
    var remote: ICERemote?
    /// The peer does without.
    var isAbsent = false
    var report: ConnectivityReport?
  }

  private let isRelayOnly: Bool
  private let isLite: Bool
  private let tls: RelayTLS
  private let trust: SIPSecurity
  private var random: SeededGenerator
  private var servers: [ICEServer] = []
  private var state = State()
  /// What holds if the offer under way comes to nothing.
  private var before: State?
  private var wantsRestart = false
  /// What our offer says, where it asks for a restart.
  private var offered: ICECredentials?
  private var commands = Queue<ConnectivityCommand>()
  private var unusable = UnusableLines()

  init(
    isRelayOnly: Bool = false, isLite: Bool = false, tls: RelayTLS = RelayTLS(), trust: SIPSecurity = SIPSecurity()
  ) throws(ModuleError) {
    (self.isRelayOnly, self.isLite, self.tls, self.trust) = (isRelayOnly, isLite, tls, trust)
    self.random = try .random()
  }

  var furtherAddresses: FurtherAddresses? {
    guard !self.state.isAbsent else { return nil }
    // Who is lite names one address of a family (RFC 8445 §5.2), and a relay is asked for from one.
    return self.isLite || self.isRelayOnly ? .otherFamily : .all
  }

  func use(_ sockets: MediaSockets, further: [MediaSockets] = [], isForNextAssociation: Bool) {
    if isForNextAssociation { self.before = self.before ?? self.state }
    self.wantsRestart = false
    self.offered = nil
    self.state = State(
      local: Local(sockets: sockets, further: further, credentials: self.draw(), isNext: isForNextAssociation),
      isAbsent: self.state.isAbsent)
  }

  // MARK: Gathering

  func gather(from servers: [ICEServer], for description: GatheringPurpose) throws(ModuleError) -> Bool {
    // Who only answers names what it has.
    self.servers = self.isLite ? [] : servers
    guard !self.servers.isEmpty, !self.state.isAbsent, let local = self.state.local else { return false }
    switch description {
    case .offer: try self.begin(.controlling)
    case .answer(let offer):
      guard case .present(let remote, _) = RemoteICE(offer) else { return false }
      try self.begin(.controlled, components: remote.components)
    }
    return local.gathered == nil
  }

  var asksServers: Bool { !self.servers.isEmpty && !self.state.isAbsent }

  func gathered(_ report: GatheringReport) {
    guard self.state.local?.sockets == report.sockets else { return }
    self.state.local?.gathered = report.candidates
    // They stand, whatever becomes of the offer.
    if self.before?.local?.sockets == report.sockets { self.before?.local?.gathered = report.candidates }
  }

  /// What a peer without ICE is to use: what it sees of us, if that is known (RFC 8445 §5.1.4); and what checks have
  /// chosen, once they have (RFC 8839 §4.4.1.2.2). An offer that begins them anew has chosen nothing.
  var described: MediaSockets? {
    guard !self.state.isAbsent, let local = self.state.local else { return nil }
    let chosen = self.isRelayOnly || self.offered != nil ? nil : local.pair(at: self.state.report?.local)
    let own = chosen ?? local.sockets
    // The first of them needs no naming.
    let named = own == local.sockets ? nil : own
    guard let gathered = local.gathered else { return self.isRelayOnly ? .unknown(local.sockets) : named }
    let kind: ICECandidate.Kind = self.isRelayOnly ? .relayed : .serverReflexive
    func address(_ component: Int, _ own: SocketAddress) -> SocketAddress? {
      gathered.first { candidate in
        guard candidate.kind == kind, candidate.component == component, candidate.address.family == own.family else {
          return false
        }
        // What a server sees of another socket of ours leads to that one.
        return kind == .relayed || (candidate.related ?? own) == own
      }?.address
    }
    guard let rtp = address(1, own.rtp) else { return named }
    return MediaSockets(rtp: rtp, rtcp: address(2, own.rtcp) ?? rtp)
  }

  // MARK: Offers and answers

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
    var attributes = try self.attributes(self.offered)
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
    case .absent: try self.withdraw()
    case .mismatched:
      guard self.isRunning else {
        try self.withdraw()
        return [DescriptionAttribute("ice-mismatch")]
      }
      return try self.attributes(nil)
    case .present(let remote, let lines):
      self.unusable.note(lines, of: remote.credentials.fragment)
      if self.state.isAbsent {
        self.state.isAbsent = false
        self.renew()
      }
      if self.isRelayOnly, let local = self.state.local, local.isNext, local.gathered == nil {
        throw ModuleError(
          .unavailable,
          "module ice: the offer asks for other ports, and an answer in a call doesn't wait for a relay to them")
      }
      try self.begin(.controlled, components: remote.components)
      if let former = self.state.remote, former.credentials != remote.credentials {
        let credentials = self.draw()
        self.state.local?.credentials = credentials
        self.state.report = nil
        self.commands.append(.restart(credentials, remote))
      } else {
        self.commands.append(.remote(remote))
      }
      self.state.remote = remote
      return try self.attributes(nil, components: remote.components)
    }
    return []
  }

  func receive(answer: RemoteConnectivity) throws(ModuleError) {
    let offered = self.offered.take()
    self.settle()
    guard !self.state.isAbsent, self.state.local != nil else { return }
    switch RemoteICE(answer) {
    case .absent: try self.withdraw()
    case .mismatched: if !self.isRunning { try self.withdraw() }
    case .present(let remote, let lines):
      self.unusable.note(lines, of: remote.credentials.fragment)
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

  func add(candidates: [String], of fragment: String?) -> Bool {
    guard var remote = self.state.remote else { return false }
    guard fragment == nil || fragment == remote.credentials.fragment else { return false }
    // The same credentials again: what is new among the candidates is added.
    let lines = CandidateLines(candidates)
    self.unusable.note(lines, of: remote.credentials.fragment)
    remote.candidates = lines.candidates
    self.commands.append(.remote(remote))
    return true
  }

  // MARK: Candidates that can't be used as they are

  var unusedCandidates: UnusedCandidates { self.unusable.counts }

  func takeNamedCandidates() -> [NamedCandidate] { self.unusable.takeNamed() }

  func resolved(_ candidate: NamedCandidate, to addresses: [SocketAddress]) {
    guard addresses.count == 1, let found = candidate.candidate(at: addresses[0]) else {
      return self.unusable.failed()
    }
    guard var remote = self.state.remote, remote.credentials.fragment == candidate.fragment else { return }
    remote.candidates = [found]
    self.commands.append(.remote(remote))
  }

  func takeLateCandidates() -> LateCandidates? {
    guard !self.state.isAbsent, let gathered = self.state.local?.gathered,
      let description = self.state.local?.unfinished.take()
    else { return nil }
    let values = gathered.filter { $0.component <= description.components }.map(\.attributeValue)
    return LateCandidates(
      fragment: description.credentials.fragment, password: description.credentials.password,
      candidates: values.filter { !description.candidates.contains($0) })
  }

  func rollback() {
    self.wantsRestart = false
    self.offered = nil
    self.commands.removeAll()
    if let before = self.before.take() { self.state = before }
  }

  func settle() { self.before = nil }

  func connected(_ report: ConnectivityReport) {
    // One that is late is of sockets that are given up. What holds stands, whatever becomes of the offer.
    if self.state.local?.pair(at: report.local) != nil { self.state.report = report }
    if self.before?.local?.pair(at: report.local) != nil { self.before?.report = report }
  }

  var localAddresses: [SocketAddress] {
    [self.state.report?.local, self.state.report?.localRTCP].compactMap { $0 }
  }

  func nextCommand() -> ConnectivityCommand? { self.commands.removeFirst() }

  /// Whether the checks have begun with this peer: what comes later is compared with nothing.
  private var isRunning: Bool { self.state.remote != nil && !self.state.isAbsent }

  private func withdraw() throws(ModuleError) {
    guard !self.state.isAbsent else { return }
    if self.isRelayOnly {
      throw ModuleError(.peer, "module ice: the peer has no ICE, and ice_policy relay allows nothing else")
    }
    // Sockets that are there for the checks go with them, or without any.
    if let local = self.state.local, local.isBegun || !local.further.isEmpty { self.commands.append(.withdraw) }
    self.state.local?.further = []
    self.state.isAbsent = true
    self.state.remote = nil
    self.state.report = nil
  }

  /// The peer is back: as if the sockets were others.
  private func renew() {
    guard let sockets = self.state.local?.sockets else { return }
    self.state.local = Local(sockets: sockets, credentials: self.draw())
  }

  private func begin(_ role: ICERole, components: Int = 2) throws(ModuleError) {
    guard let local = self.state.local, !local.isBegun else { return }
    let random = try SeededGenerator.random()
    self.state.local?.isBegun = true
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.servers = self.servers
    configuration.isRelayOnly = self.isRelayOnly
    configuration.isLite = self.isLite
    let tls = self.servers.contains { $0.transport == .tls } ? self.tls.context(self.trust) : nil
    self.commands.append(
      .begin { [configuration] now in
        ICEPathAgent(
          local.sockets, further: local.further, local.credentials, configuration, components: components, role: role,
          tls: tls, random: random, now: now)
      })
  }

  private func draw() -> ICECredentials { ICECredentials(using: &self.random) }

  private func attributes(
    _ credentials: ICECredentials?, components: Int = 2
  ) throws(ModuleError) -> [DescriptionAttribute] {
    guard let local = self.state.local else { return [] }
    // While servers are asked, the peer learns of a relay by the checks that leave it.
    let hosts = self.isRelayOnly ? [] : ([local.sockets] + local.further).bases().map { ICESession.host($0) }
    let candidates = (local.gathered ?? hosts).filter { $0.component <= components }
    let isComplete = self.servers.isEmpty || local.gathered != nil
    if self.isRelayOnly, candidates.isEmpty, isComplete {
      throw ModuleError(.unavailable, "module ice: no server gives a relay, and ice_policy relay allows nothing else")
    }
    let credentials = credentials ?? local.credentials
    let values = candidates.map(\.attributeValue)
    self.state.local?.unfinished =
      isComplete ? nil : Description(credentials: credentials, components: components, candidates: values)
    return [
      DescriptionAttribute("ice-ufrag", credentials.fragment), DescriptionAttribute("ice-pwd", credentials.password),
      DescriptionAttribute("ice-options", "trickle ice2"),
    ]
      + values.map { DescriptionAttribute("candidate", $0) }
      + (isComplete ? [DescriptionAttribute("end-of-candidates")] : [])
  }

  /// RFC 8839 §5.2.
  private static func remoteCandidates(_ rtp: SocketAddress, _ rtcp: SocketAddress?) -> String {
    let pairs = [(1, rtp)] + (rtcp.map { [(2, $0)] } ?? [])
    return pairs.map { "\($0) \($1.unscoped.host) \($1.port)" }.joined(separator: " ")
  }
}

extension MediaSockets {
  /// What stands for addresses that are not known yet (RFC 8840 §4.1.1).
  fileprivate static func unknown(_ sockets: MediaSockets) -> MediaSockets {
    let address =
      sockets.rtp.family == .ipv4 ? SocketAddress(ipv4: 0, port: 9) : SocketAddress(ipv6: 0, 0, port: 9)
    return MediaSockets(rtp: address, rtcp: address)
  }
}
