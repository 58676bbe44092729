internal import AllModules
package import ModuleKit
internal import NetBase
package import UACore

/// Calls between two agents, many at a time: each is established, heard and hung up, and then the next one begins.
package enum ManyCalls {
  package struct Kind: Hashable, Sendable, CustomStringConvertible {
    package let mode: RxMode
    package let encryption: String?
    package var description: String { "\(self.mode.rawValue) \(self.encryption ?? "none")" }

    package init(mode: RxMode, encryption: String?) { (self.mode, self.encryption) = (mode, encryption) }

    /// Every mode, in the clear, with keys from SIP, and with keys from a handshake.
    package static let all = RxMode.allCases.flatMap { mode in
      [nil, "srtp-mand", "dtls_srtp"].map { Kind(mode: mode, encryption: $0) }
    }
  }

  private static let atOnce = 40

  /// Two new agents, `count` calls, and the end of both; returns how many calls ended as they should.
  package static func round(_ kind: Kind, _ count: Int) async throws -> Int {
    let (alice, bob) = (self.agent("alice", kind), self.agent("bob", kind))
    try await alice.start()
    try await bob.start()
    let target = "sip:bob@127.0.0.1:\(await bob.listenAddress?.port ?? 0)"
    try await bob.setAccounts([self.account("bob", kind)])
    let listener = Task { for await _ in bob.events {} }
    let account = self.account("alice", kind)
    var (begun, good, ended) = (0, 0, 0)
    while begun < min(self.atOnce, count) {
      _ = try await alice.call(target, settings: account)
      begun += 1
    }
    for await event in alice.events {
      switch event {
      case .mediaEstablished(let call): await alice.hangUp(call)
      case .ended(let report):
        ended += 1
        if report.reason == "hangup", report.failure == nil, report.firstMedia != nil { good += 1 }
        if begun < count {
          _ = try await alice.call(target, settings: account)
          begun += 1
        }
      default: break
      }
      if ended == count { break }
    }
    await bob.waitUntilIdle()
    await alice.shutDown()
    await bob.shutDown()
    await listener.value
    return good
  }

  /// - Parameter host: a loopback address, 127.0.0.1 as a rule.
  package static func agent(_ name: String, _ kind: Kind, host: UInt32 = 0x7F00_0001) -> UserAgent {
    UserAgent(self.settings(kind, host: host), name: name)
  }

  package static func settings(_ kind: Kind, host: UInt32 = 0x7F00_0001) -> AgentSettings {
    var configuration = Configuration()
    configuration.activeModules = ["udp", "sip_udp", "g711", "srtp", "dtls_srtp", "ausine"]
    configuration.rxMode = kind.mode
    configuration.rxWorkers = 2
    configuration.callMaxCalls = nil
    configuration.rtpPorts = 20_000...32_000
    return AgentSettings(
      available: allModules, configuration: configuration, listen: SocketAddress(ipv4: host, port: 0))
  }

  package static func account(_ name: String, _ kind: Kind) -> CallSettings {
    var account = CallSettings(
      identity: "sip:\(name)@127.0.0.1", source: AudioDevice(driver: "ausine", device: ""), player: nil)
    account.mediaEncryption = kind.encryption
    account.usesRTCPMux = true
    account.codecs = CodecPreference("pcmu").map { [$0] } ?? []
    account.answersAtOnce = true
    return account
  }
}
