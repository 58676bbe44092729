import AllModules
import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// One user agent of a cell, on threads of its own, with what it told.
final class Side: Sendable {
  let agent: UserAgent
  let wire = Wire()
  let ear = Ear()
  private let cell: Cell
  private let name: String
  private let log: Locked<[AgentEvent]>
  private let reader: Task<Void, Never>

  /// - Parameter configure: changes what the agent is made with.
  init(_ name: String, _ cell: Cell, _ configure: (inout AgentSettings) -> Void = { _ in }) {
    var configuration = Configuration()
    configuration.activeModules = usualModuleNames.filter { !Registry.filters.contains($0) }
    configuration.rxMode = cell.mode
    configuration.rxWorkers = 2
    configuration.rtpPorts = 20_000...32_000
    var settings = AgentSettings(
      available: allModules, configuration: configuration, listen: cell.address)
    settings.datagrams = self.wire
    settings.programFacets = self.ear.facets + Self.probes
    configure(&settings)
    self.cell = cell
    self.name = name
    let agent = UserAgent(settings, name: name)
    let log = Locked<[AgentEvent]>([])
    self.agent = agent
    self.log = log
    self.reader = Task { for await event in agent.events { log.withLock { $0.append(event) } } }
  }

  private static let probes: [(module: String, facet: Facet)] =
    (try? ProbeVideo(settings: ModuleSettings(keys: [], values: [:])).facets.map { (ProbeVideo.name, $0) }) ?? []

  /// How this side makes and takes calls.
  func account(codecs: [String] = ["pcmu"], device: Int = 0) -> CallSettings {
    let device = AudioDevice(driver: Ear.name, device: "\(device)")
    var account = CallSettings(identity: "sip:\(self.name)@\(self.cell.address.host)", source: device, player: device)
    account.mediaEncryption = self.cell.encryption
    account.usesRTCPMux = self.cell.usesRTCPMux
    account.codecs = codecs.compactMap { CodecPreference($0) }
    account.answersAtOnce = true
    return account
  }

  var events: [AgentEvent] { self.log.withLock { $0 } }

  /// Reports of the calls that are over.
  var ended: [CallReport] { self.events.compactMap { if case .ended(let report) = $0 { report } else { nil } } }

  /// The calls that are, with fresh figures a moment after this was asked before.
  func reports() async -> [CallReport] {
    await self.agent.refreshStatistics()
    return await self.agent.reports
  }

  /// Packets heard in the call, or in the only one.
  func received(_ call: CallID? = nil) async -> Int {
    let reports = await self.reports()
    return (call.map { id in reports.first { $0.id == id } } ?? reports.first)?.media.receivedPackets ?? 0
  }

  func waitUntilEnded(_ count: Int = 1) async throws {
    try await wait(until: "\(self.name)'s call is over") { self.ended.count >= count }
  }

  func shutDown() async {
    await self.agent.shutDown()
    await self.reader.value
  }
}

/// Alice, who calls, and Bob, who answers.
struct Pair: Sendable {
  let alice: Side
  let bob: Side
  private let target: String

  init(_ cell: Cell, bobAnswersWith account: ((Side) -> CallSettings)? = nil) async throws {
    self.alice = Side("alice", cell)
    self.bob = Side("bob", cell)
    do {
      try await self.alice.agent.start()
      try await self.bob.agent.start()
      try await self.bob.agent.setAccounts([account?(self.bob) ?? self.bob.account()])
      self.target = "sip:bob@\(await self.bob.agent.listenAddress?.description ?? "")"
    } catch {
      await self.alice.shutDown()
      await self.bob.shutDown()
      throw error
    }
  }

  var sides: [Side] { [self.alice, self.bob] }

  func call(_ settings: CallSettings? = nil) async throws -> CallID {
    try await self.alice.agent.call(self.target, settings: settings ?? self.alice.account())
  }

  /// Waits until each side has heard that many more packets than it had.
  func waitForMedia(_ packets: Int, after start: (alice: Int, bob: Int) = (0, 0)) async throws {
    try await wait(until: "each side has heard \(packets) packets more") {
      let (alice, bob) = (await self.alice.received(), await self.bob.received())
      return alice - start.alice >= packets && bob - start.bob >= packets
    }
  }

  func received() async -> (alice: Int, bob: Int) { (await self.alice.received(), await self.bob.received()) }

  func waitUntilEnded(_ count: Int = 1) async throws {
    for side in self.sides { try await side.waitUntilEnded(count) }
  }

  /// Hangs up every call of a side.
  func hangUp(_ side: Side) async {
    for report in await side.agent.reports { await side.agent.hangUp(report.id) }
  }

  func shutDown() async { for side in self.sides { await side.shutDown() } }
}
