import AllModules
import Handoff
import MemorySearch
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// What is left in the process's memory of the keys of a call.
@Suite struct KeyWipingTests {
  /// In a process of its own: all of its memory is searched, and it has no more than this.
  @Test("keys that a call has replaced, and those of a call that has ended, are nowhere in memory")
  func wiped() async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
    ) {
      for mode in RxMode.allCases {
        for encryption in ["srtp", "srtp-mand", "dtls_srtp"] {
          print("\(mode.rawValue), \(encryption): \(try KeyWipingTests.whatIsLeft(mode, encryption))")
        }
      }
    }
    let said = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self).split(separator: "\n")
    let found = said.filter { $0.hasSuffix(": replaced 0, ended 0") }
    #expect(found.count == 9, "\(said) \(String(decoding: result?.standardErrorContent ?? [], as: UTF8.self))")
  }

  /// How many copies there are of keys that were replaced, and of those that were in use at the end.
  private static func whatIsLeft(_ mode: RxMode, _ encryption: String) throws -> String {
    NotedKeys.all.withLock { $0.removeAll() }
    let agents = try SimulatedAgents(
      mode: mode, encryption: encryption, seed: 97, adjust: { NotedKeys.note(of: &$0) })
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (true, true)
    let call = try agents.establishedCall()
    // One for each direction.
    let first = NotedKeys.all.withLock { $0 }
    guard first.count == 2, first.allSatisfy({ $0.isThere() }) else { return "\(first.count) keys, not found in use" }
    agents.alice.act { _ = $0.rekey(call) }
    // An old key opens what is under way for a while, then nothing.
    agents.run(milliseconds: 10_000)
    let second = NotedKeys.all.withLock { Array($0.dropFirst(2)) }
    guard second.count == 2, second.allSatisfy({ $0.isThere() }) else {
      return "\(second.count) new keys, not found in use"
    }
    let replaced = first.reduce(0) { $0 + $1.copies() }
    agents.alice.act { $0.hangUp(call) }
    guard agents.runUntilIdle(), agents.alice.ended.first?.media.rekeys == 1 else { return "the call did not end" }
    return "replaced \(replaced), ended \(second.reduce(0) { $0 + $1.copies() })"
  }
}
