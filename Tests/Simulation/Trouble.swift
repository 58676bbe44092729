import Glibc
import ModuleKit
import Runtime
import TestSupport

/// What befalls a machine, a process or the network while a call runs; times are in milliseconds.
enum Trouble {
  typealias Party = Scenario.Party

  /// Nothing gets through either way, SIP neither.
  case partition(Int64)
  /// The executor of the party's transports stands still.
  case stalledExecutor(Party, Int64)
  case stalledMain(Party, Int64)
  /// All of the party's threads get the processor once in each period only.
  case starved(Party, period: Int64, Int64)
  /// While its executor stands still, more is asked of the party's transport than its lane holds; a hold may be among it.
  case crowded(Party, holds: Bool, Int64)
  /// While the party's main loop stands still, a stranger with the peer's address floods it with reports.
  case forgedReports(Party, Int64)
  /// The party's process dies and is started again.
  case restart(Party)
  /// The kernel does not take the party's media.
  case mediaRefused(Party, Refusal, Int64)
  /// The kernel does not take the party's SIP messages.
  case signallingRefused(Party, Int64)

  enum Refusal: CaseIterable {
    case messageTooLong, noBuffers, connectionRefused, unreachable

    var result: SendResult {
      switch self {
      case .messageTooLong: .failed(EMSGSIZE)
      case .noBuffers: .wouldBlock
      case .connectionRefused: .failed(ECONNREFUSED)
      case .unreachable: .failed(ENETUNREACH)
      }
    }
  }

  /// What is asked for at once: more than a lane of commands holds.
  static let crowd = 100
  /// What a stranger sends at once: more than a lane of events and its waiting room hold.
  static let forgeries = 500

  init(_ party: Party, _ generator: inout TestGenerator) {
    func number(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &generator) }
    switch number(0...9) {
    case 0: self = .partition(number(0...7) == 0 ? 40_000 : number(20...6000))
    case 1, 2: self = .stalledExecutor(party, number(20...3000))
    case 3: self = .stalledMain(party, number(20...3000))
    case 4: self = .starved(party, period: number(30...700), number(300...4000))
    case 5: self = .crowded(party, holds: number(0...1) == 0, number(1...1500))
    case 6: self = .forgedReports(party, number(20...1000))
    case 7: self = .restart(party)
    case 8:
      let refusals = Refusal.allCases
      self = .mediaRefused(party, refusals[Int(number(0...Int64(refusals.count) - 1))], number(20...3000))
    default: self = .signallingRefused(party, number(20...3000))
    }
  }

  /// Whether datagrams of the call may be lost by it, or others come.
  var isOfNetwork: Bool {
    switch self {
    case .partition, .forgedReports, .restart, .mediaRefused: true
    case .stalledExecutor, .stalledMain, .starved, .crowded, .signallingRefused: false
    }
  }

  /// Whether something may be done later than it is due, or not at all.
  var isOfMachine: Bool {
    switch self {
    case .stalledExecutor, .stalledMain, .starved, .crowded, .forgedReports, .restart, .signallingRefused: true
    case .partition, .mediaRefused: false
    }
  }

  /// Whether one side's hang-up may not reach the other.
  var partsSignalling: Bool {
    switch self {
    case .partition(let length): length > 6000
    case .restart, .signallingRefused: true
    case .stalledExecutor, .stalledMain, .starved, .crowded, .forgedReports, .mediaRefused: false
    }
  }
}
