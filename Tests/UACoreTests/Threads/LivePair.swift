import AllModules
import Glibc
import ModuleKit
import NetBase
import TestSupport

@testable import UACore

/// Two agents on threads of their own, over the kernel's loopback.
struct LivePair: Sendable {
  let alice: UserAgent
  let bob: UserAgent
  let violations = Violations()
  let port: UInt16
  private let nat: String?

  /// - Parameters:
  ///   - loss: percent of the media datagrams that neither side sends, so that handshakes retransmit.
  ///   - nat: both sides' `medianat`; then RTCP shares the RTP socket, as in a call of a browser's.
  ///   - modules: more that are active.
  ///   - adjust: changes both agents' settings.
  init(
    mode: RxMode, encryption: String?, player: AudioDevice, bobPlayer: AudioDevice? = nil, loss: Double = 0,
    nat: String? = nil, modules: [String] = [], drainTimeout: Int? = nil,
    rekeyMethod: RekeyMethod = .invite, adjust: (inout AgentSettings) -> Void = { _ in }
  ) async throws {
    self.nat = nat
    var configuration = Configuration()
    configuration.activeModules = ["sip_udp", "g711", "srtp", "dtls_srtp", "ice", "probe", "slow"] + modules
    configuration.rxMode = mode
    configuration.rxWorkers = 2
    configuration.rtpPorts = 20_000...32_000
    configuration.drainTimeout = drainTimeout
    configuration.rekeyMethod = rekeyMethod
    var settings = AgentSettings(
      available: allModules + [ProbeAudio.self, SlowAudio.self], configuration: configuration,
      listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
    settings.datagrams = WatchedTransport(violations: self.violations)
    settings.loss = loss
    adjust(&settings)
    self.alice = UserAgent(settings, name: "alice")
    self.bob = UserAgent(settings, name: "bob")
    try await self.alice.start()
    try await self.bob.start()
    self.port = await self.bob.listenAddress?.port ?? 0
    try await self.bob.setAccounts([Self.account("bob", encryption, bobPlayer ?? player, nat)])
  }

  static func account(
    _ name: String, _ encryption: String?, _ player: AudioDevice, _ nat: String? = nil
  ) -> CallSettings {
    var account = CallSettings(
      identity: "sip:\(name)@127.0.0.1", source: AudioDevice(driver: "probe", device: ""), player: player)
    account.mediaEncryption = encryption
    account.mediaNAT = nat
    account.usesRTCPMux = nat != nil
    account.answersAtOnce = true
    return account
  }

  func call(_ encryption: String?, _ player: AudioDevice) async throws -> CallID {
    try await self.alice.call(
      "sip:bob@127.0.0.1:\(self.port)", settings: Self.account("alice", encryption, player, self.nat))
  }

  /// Every report of the agent's, once it has shut down.
  static func reports(of agent: UserAgent) -> Task<[CallReport], Never> {
    Task {
      var reports: [CallReport] = []
      for await event in agent.events { if case .ended(let report) = event { reports.append(report) } }
      return reports
    }
  }

  func shutDown() async {
    await self.alice.shutDown()
    await self.bob.shutDown()
  }
}
