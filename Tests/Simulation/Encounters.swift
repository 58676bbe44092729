import NetBase
import TestSupport

/// Which faults were at work in which phases of a call.
struct Encounters {
  struct Cell: Hashable {
    let fault: Fault
    let phase: Phase
  }

  private(set) var cells: Set<Cell> = []
  /// After so many milliseconds of sound the disk is full; nil for never.
  var diskFillsAfter: Int64?
  private let scenario: Scenario
  /// What lasts, and until when.
  private var lasting: [(fault: Fault, end: Instant?)] = []
  private var counters = NetworkCounters()
  private var refused = (media: 0, signalling: 0)
  private var next = Instant(nanoseconds: 0)
  private var isEnding = false

  init(_ scenario: Scenario) { self.scenario = scenario }

  /// The call is being ended, and nothing that happens is before that any more.
  mutating func end() { self.isEnding = true }

  /// A fault that begins in this phase, and lasts for so many milliseconds; nil for ever.
  mutating func begin(_ fault: Fault, in phase: Phase?, milliseconds: Int64?, _ agents: SimulatedAgents) {
    if let phase { self.cells.insert(Cell(fault: fault, phase: self.isEnding ? .ending : phase)) }
    self.lasting.append((fault, milliseconds.map { agents.simulation.now.advanced(byMilliseconds: $0) }))
  }

  /// Looks every 5 ms, and at what the network has counted since.
  mutating func look(at agents: SimulatedAgents) {
    let now = agents.simulation.now
    guard now >= self.next, let known = agents.phase else { return }
    self.next = now.advanced(byMilliseconds: 5)
    let phase = self.isEnding ? .ending : known
    self.lasting.removeAll { $0.end.map { $0 < now } ?? false }
    var faults = self.lasting.map(\.fault) + self.weather(agents.simulation.network)
    let hosts = [agents.alice.address, agents.bob.address]
    let refused = [false, true].map { isSignalling in
      hosts.reduce(0) { $0 + agents.simulation.network.failedSends(from: $1, signalling: isSignalling) }
    }
    if refused[0] > self.refused.media { faults.append(.mediaRefused) }
    if refused[1] > self.refused.signalling { faults.append(.signallingRefused) }
    self.refused = (refused[0], refused[1])
    if let diskFillsAfter, agents.haveHeard(milliseconds: diskFillsAfter) { faults.append(.diskFull) }
    for fault in faults { self.cells.insert(Cell(fault: fault, phase: phase)) }
  }

  /// What the network did to datagrams since the last look.
  private mutating func weather(_ network: SimulatedNetwork) -> [Fault] {
    let (before, counters) = (self.counters, network.counters)
    self.counters = counters
    let conditions = [self.scenario.media, self.scenario.signalling]
    let isCut = self.lasting.contains { [.outage, .partition, .vanish].contains($0.fault) }
    var faults: [Fault] = []
    if counters.lost > before.lost, !isCut, conditions.contains(where: { $0.loss > 0 }) { faults.append(.loss) }
    if counters.duplicated > before.duplicated { faults.append(.copies) }
    if counters.corrupted > before.corrupted { faults.append(.turnedBits) }
    // These are not counted for each datagram.
    guard counters.sent > before.sent else { return faults }
    if conditions.contains(where: { $0.reordering > 0 }) { faults.append(.reordering) }
    let media = self.scenario.media.delay
    if media.upperBound > media.lowerBound { faults.append(.delay) }
    return faults
  }
}
