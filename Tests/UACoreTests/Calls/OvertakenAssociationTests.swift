import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// A DTLS association for RTCP whose last flight is late: the next one on the same ports has its keys before it.
@Suite struct OvertakenAssociationTests {
  /// What Alice sends from her port for RTCP and Bob does not get: his first re-key's last flight, and her reports.
  private final class Late: Sendable {
    private struct State {
      var mark: [UInt8]?
      var flight: Datagram?
      var reports: [Datagram] = []
      var holdsReports = true
    }

    private let state = Locked(State())

    init(_ network: SimulatedNetwork) {
      network.tap { [state = self.state] datagram in
        guard !datagram.isSignalling, datagram.source.host == "10.0.0.1", datagram.source.port % 2 == 1 else {
          return true
        }
        return state.withLock { state in
          guard (20..<64).contains(datagram.bytes[0]) else {
            if state.holdsReports { state.reports.append(datagram) }
            return !state.holdsReports
          }
          let mark = Array(datagram.bytes[5..<9])
          state.mark = state.mark ?? mark
          // The server's last flight begins with ChangeCipherSpec.
          guard mark == state.mark, datagram.bytes[0] == 20 else { return true }
          state.flight = state.flight ?? datagram
          return false
        }
      }
    }

    var reportCount: Int { self.state.withLock { $0.reports.count } }
    var flight: Datagram? { self.state.withLock { $0.flight } }
    var reports: (first: Datagram?, last: Datagram?) { self.state.withLock { ($0.reports.first, $0.reports.last) } }
    func letReportsPass() { self.state.withLock { $0.holdsReports = false } }
  }

  /// A call whose first new association is overtaken by its second, with four reports under keys that Bob does not have.
  private func overtaken(_ mode: RxMode) throws -> (SimulatedAgents, CallID, Late) {
    let agents = try SimulatedAgents(mode: mode, encryption: "dtls_srtp", seed: 81)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    let late = Late(agents.simulation.network)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 200)
    #expect(late.flight != nil && late.reportCount == 0)
    // A report leaves every five seconds or so.
    #expect(agents.simulation.run(milliseconds: 25_000) { late.reportCount == 4 })
    late.letReportsPass()
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 100)
    return (agents, call, late)
  }

  private func release(_ datagram: Datagram?, _ agents: SimulatedAgents) throws {
    let datagram = try #require(datagram)
    agents.simulation.network.inject(datagram.bytes, from: datagram.source, to: datagram.destination)
    agents.run(milliseconds: 10)
  }

  /// What Bob counted, and Alice lost nothing.
  private func end(_ agents: SimulatedAgents, _ call: CallID) throws -> TransportStatistics {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.failure == nil && report.media.rekeys == 2 && report.media.lost == 0, "\(report)")
    }
    #expect(agents.alice.ended.first?.media.drops == DropCounters())
    return try #require(agents.bob.ended.first?.media)
  }

  @Test(
    "its keys, when they come, open what was sent under them, for as long as old keys do", arguments: RxMode.allCases)
  func lateKeys(mode: RxMode) throws {
    let (agents, call, late) = try self.overtaken(mode)
    try self.release(late.flight, agents)
    try self.release(late.reports.first, agents)
    // Half a second after the first report under newer ones. The last report's index was not seen under these.
    agents.run(milliseconds: 10_000)
    try self.release(late.reports.last, agents)
    var wanted = DropCounters()
    wanted.auth = 1
    let media = try self.end(agents, call)
    #expect(media.drops == wanted, "\(media.drops)")
  }

  @Test("without them its packets have no key, and none is awaited once it is let go", arguments: RxMode.allCases)
  func noKeys(mode: RxMode) throws {
    let (agents, call, late) = try self.overtaken(mode)
    // Kept for its key, which does not come.
    try self.release(late.reports.first, agents)
    agents.run(milliseconds: 5000)
    try self.release(late.reports.last, agents)
    agents.run(milliseconds: 1000)
    var wanted = DropCounters()
    (wanted.noKey, wanted.auth) = (1, 1)
    let media = try self.end(agents, call)
    #expect(media.drops == wanted, "\(media.drops)")
  }
}
