import Handoff
import ModuleKit
import NetBase
import Runtime

@testable import UACore
@testable import vumeter

/// Calls through a module that promises little, or the refusal of them.
enum Admissions {
  static func run(_ claim: Claim, _ policy: AdmissionPolicy, _ cell: Cell, _ checks: inout Checks) async throws {
    if claim.isFilter {
      try await self.filter(claim, policy, cell, &checks)
    } else {
      try await self.driver(claim, policy, cell, &checks)
    }
  }

  /// Alice's filter; a refusal is the agent's, before anything is opened.
  private static func filter(
    _ claim: Claim, _ policy: AdmissionPolicy, _ cell: Cell, _ checks: inout Checks
  ) async throws {
    let lines = LineLog()
    let alice = Side("alice", cell) { settings in
      settings.configuration.rxPolicy = policy
      if claim.module == VUMeter.name {
        let meter = VUMeter { line in lines.note(line) }
        settings.programFacets += meter.facets.map { (claim.module, $0) }
      } else {
        settings.configuration.activeModules.append(claim.module)
      }
    }
    lines.main = alice.agent.main
    do {
      try await alice.agent.start()
    } catch {
      checks.expect(!claim.isAdmitted(in: cell.mode, policy), "refused: \(error)")
      checks.expect("\(error)" == claim.refusal(in: cell.mode, policy), "says: \(error)")
      await alice.shutDown()
      checks.expect(lines.count == 0, "no stage ran")
      return
    }
    checks.expect(claim.isAdmitted(in: cell.mode, policy), "admitted")
    try await self.talk(alice, cell, [alice.account()], &checks)
    checks.expect(lines.count > 0, "the filter saw the call")
    checks.expect(lines.elsewhere == 0, "a stage for main only ran elsewhere \(lines.elsewhere) times")
  }

  /// Alice's source and player, for two calls at once; a refusal is the call's, before anything is sent.
  private static func driver(
    _ claim: Claim, _ policy: AdmissionPolicy, _ cell: Cell, _ checks: inout Checks
  ) async throws {
    let alice = Side("alice", cell) { $0.configuration.rxPolicy = policy }
    try await alice.agent.start()
    var account = alice.account()
    account.source = AudioDevice(driver: claim.module, device: "room")
    account.player = account.source
    guard claim.isAdmitted(in: cell.mode, policy) else {
      do {
        _ = try await alice.agent.call("sip:bob@\(cell.address.host):9", settings: account)
        checks.expect(false, "admitted")
      } catch {
        checks.expect("\(error)" == claim.refusal(in: cell.mode, policy), "says: \(error)")
      }
      checks.expect(await alice.agent.reports.isEmpty, "there is no call")
      await alice.shutDown()
      checks.expect(alice.wire.openSockets == 0, "no socket was left")
      return
    }
    try await self.talk(alice, cell, [account, account], &checks)
  }

  /// Calls Bob with each of the accounts, all at once.
  private static func talk(
    _ alice: Side, _ cell: Cell, _ accounts: [CallSettings], _ checks: inout Checks
  ) async throws {
    let bob = Side("bob", cell)
    do {
      try await bob.agent.start()
      try await bob.agent.setAccounts([bob.account()])
      let target = "sip:bob@\(await bob.agent.listenAddress?.description ?? "")"
      for account in accounts { _ = try await alice.agent.call(target, settings: account) }
      try await wait(until: "every call has media") {
        let reports = await alice.reports() + (await bob.reports())
        return reports.count == 2 * accounts.count && reports.allSatisfy { $0.media.receivedPackets >= cell.packets }
      }
      try await wait(until: "Bob hears sound") { bob.ear.heard() >= 10 * accounts.count }
      for report in await alice.agent.reports {
        checks.expectSecurity(of: report, cell)
        await alice.agent.hangUp(report.id)
      }
      for side in [alice, bob] {
        try await side.waitUntilEnded(accounts.count)
        checks.expectEnd(of: side, cell, calls: accounts.count)
      }
    } catch {
      for side in [alice, bob] { await side.shutDown() }
      throw error
    }
    for side in [alice, bob] { await side.shutDown() }
  }
}

/// What a meter showed, and whether it was on main.
private final class LineLog: Sendable {
  private let state = Locked<(main: EventLoop?, count: Int, elsewhere: Int)>((nil, 0, 0))

  var main: EventLoop? {
    get { self.state.withLock { $0.main } }
    set { self.state.withLock { $0.main = newValue } }
  }

  var count: Int { self.state.withLock { $0.count } }
  var elsewhere: Int { self.state.withLock { $0.elsewhere } }

  func note(_ line: String) {
    self.state.withLock { state in
      state.count += 1
      if state.main?.isCurrent != true { state.elsewhere += 1 }
    }
  }
}
