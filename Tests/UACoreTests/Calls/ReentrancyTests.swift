import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Those who are told of something and do something about it at once: an event's handler, and whoever reads the trace.
@Suite struct ReentrancyTests {
  @Test("an event's handler that causes further events ends with all of them told, in order", arguments: Cell.all)
  func events(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 101)
    let (alice, bob) = (agents.alice, agents.bob)
    var (told, toldBob): ([String], [String]) = ([], [])
    alice.onEvent { [unowned alice] event in
      switch event {
      case .established(let call):
        told.append("established")
        alice.core.setHold(call, true)
        // An offer is under way: this one waits for it.
        alice.core.setHold(call, false)
        alice.core.send(digits: "1", on: call)
        alice.core.refreshStatistics(call)
        told.append("asked")
      case .ended(let report):
        told.append("ended")
        alice.core.hangUp(report.id)
        alice.core.hangUpAll()
      default: break
      }
    }
    bob.onEvent { [unowned bob] event in
      switch event {
      case .held(let call, true):
        toldBob.append("held")
        // The other's offer is not done with before its ACK: this one waits for it.
        bob.core.setHold(call, true)
        toldBob.append("asked")
      case .held(let call, false):
        toldBob.append("resumed")
        bob.core.hangUp(call)
        bob.core.hangUp(call)
      case .ended: toldBob.append("ended")
      default: break
      }
    }
    try agents.call()
    #expect(agents.runUntilIdle())
    #expect(told == ["established", "asked", "ended"], "\(told)")
    #expect(toldBob == ["held", "asked", "resumed", "ended"], "\(toldBob)")
    #expect(alice.ended.count == 1 && bob.ended.count == 1)
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test(
    "a trace that causes messages shows each message once, in the order in which they leave", arguments: RxMode.allCases
  )
  func trace(mode: RxMode) throws {
    let shown = Locked<[String]>([])
    let action = Locked<(@Sendable () -> Void)?>(nil)
    let agents = try SimulatedAgents(
      mode: mode, seed: 102,
      adjust: { settings in
        settings.traceSIP = { text in
          // The start line tells which message it is; what it says of the other side is of no interest.
          shown.withLock { $0.append(text) }
          action.withLock { $0 }?()
        }
      })
    let left = Locked<[String]>([])
    agents.simulation.network.tap { datagram in
      if datagram.isSignalling { left.withLock { $0.append(String(decoding: datagram.bytes, as: UTF8.self)) } }
      return true
    }
    let (first, second) = (try agents.establishedCall(), try agents.call())
    agents.run(milliseconds: 500)
    let count = Locked(0)
    let meddle = SimulatedAgent.onMain(of: agents.alice) { core in
      // Every message that is shown is answered with a request of another call's, six times.
      let number = count.withLock { count in
        count += 1
        return count
      }
      if number <= 6 { core.setHold(number % 2 == 0 ? first : second, number % 4 < 2) }
      if number == 20 { core.hangUp(second) }
    }
    action.withLock { $0 = meddle }
    agents.alice.act { $0.setHold(first, true) }
    agents.run(milliseconds: 30_000)
    agents.alice.act { $0.hangUp(first) }
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    // Both agents trace; a message is shown by its sender, and then by its receiver.
    let sent = shown.withLock { all in all.filter { $0.prefix { !$0.isNewline }.contains(" --> ") } }
    let lines = left.withLock { $0 }
    #expect(sent.count == lines.count, "\(sent.count) shown, \(lines.count) left")
    #expect(lines.count >= 20 && count.withLock { $0 } >= 20)
    for (text, line) in zip(sent, lines) {
      let message = text.drop { $0 != "\n" }.dropFirst()
      #expect(message.prefix(200) == line.prefix(200), "shown and sent in another order")
    }
    #expect(agents.alice.ended.count == 2 && agents.bob.ended.count == 2)
  }
}
