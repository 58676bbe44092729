import AllModules
import Handoff
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Counts those of its kind that live.
private final class Token: Sendable {
  static let living = Locked(0)
  init() { Self.living.withLock { $0 += 1 } }
  deinit { Self.living.withLock { $0 -= 1 } }
}

/// Where modules fail: the number of one, and how many of its two things it has by then; nil for nowhere.
private let failure = Locked<(module: Int, acquired: Int)?>(nil)

private protocol Place { static var number: Int { get } }
private enum First: Place { static let number = 0 }
private enum Middle: Place { static let number = 1 }
private enum Last: Place { static let number = 2 }

/// A module that acquires two things, and may fail before, between or after them.
private struct Part<Where: Place>: Module {
  static var name: String { "part\(Where.number)" }
  static var summary: String { "a part of the tests" }
  private let things: [Token]

  init(settings: ModuleSettings) throws(ModuleError) {
    var things: [Token] = []
    for acquired in 0...2 {
      if let failure = failure.withLock({ $0 }), failure == (Where.number, acquired) {
        throw ModuleError(.unavailable, "module \(Self.name): it failed after \(acquired)")
      }
      if acquired < 2 { things.append(Token()) }
    }
    self.things = things
  }

  var facets: [Facet] {
    let things = self.things
    return [
      .source(
        .confined { request throws(ModuleError) in
          _ = things
          throw ModuleError(.unavailable, "no source")
        })
    ]
  }
}

/// Modules that fail while they are made.
@Suite(.serialized) struct ModuleInitTests {
  private static let parts: [any Module.Type] = [Part<First>.self, Part<Middle>.self, Part<Last>.self]

  private static func agents(_ simulation: Simulation, _ mode: RxMode) throws -> SimulatedAgent {
    var configuration = Configuration()
    configuration.rxMode = mode
    // Every real module lies between two that may fail.
    let real = allModules.map { $0.name }.filter { !["udp", "sip_udp"].contains($0) }
    configuration.activeModules = ["part0"] + real + ["part1", "probe", "part2"]
    configuration.rxPolicy = .marshal
    configuration.moduleValues = ["whip_listen": "127.0.0.1:0", "http_listen": "127.0.0.1:0"]
    return try SimulatedAgent(
      "alice", in: simulation, host: 0x0A00_0001, configuration: configuration, seed: 1, loss: 0,
      adjust: { $0.available += Self.parts })
  }

  @Test(
    "whichever module fails, and however far it came, everything is released and its sentence is told",
    arguments: RxMode.allCases)
  func halfWay(mode: RxMode) throws {
    for module in 0..<3 {
      for acquired in 0...2 {
        failure.withLock { $0 = (module, acquired) }
        let simulation = Simulation()
        do {
          _ = try Self.agents(simulation, mode)
          Issue.record("the agent was made")
        } catch { #expect("\(error)" == "module part\(module): it failed after \(acquired)") }
        #expect(Token.living.withLock { $0 } == 0, "part\(module) failed after \(acquired)")
        #expect(simulation.network.counters.sent == 0 && simulation.network.mediaSocketCount == 0)
      }
    }
    failure.withLock { $0 = nil }
    let simulation = Simulation()
    var agent: SimulatedAgent? = try Self.agents(simulation, mode)
    #expect(Token.living.withLock { $0 } == 6 && agent != nil)
    agent = nil
    #expect(Token.living.withLock { $0 } == 0, "an agent that ends releases its modules")
  }
}
