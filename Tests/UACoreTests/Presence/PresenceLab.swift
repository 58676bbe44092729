import Handoff
import ModuleKit
import NetBase
import SIPStack
import TestSupport

@testable import UACore

/// Alice watches Bob; both have the module `presence`.
struct PresenceLab {
  let agents: SimulatedAgents

  /// - Parameters:
  ///   - contact: Bob, as a line of Alice's contacts.
  ///   - knowsAlice: whether she is among Bob's.
  init(
    contact: String = #""Bob" <sip:bob@10.0.0.2>;presence=p2p;dialog=p2p"#, knowsAlice: Bool = true,
    _ configure: (inout Configuration) -> Void = { _ in }
  ) throws {
    self.agents = try CallControlTests.agents { configuration in
      configuration.activeModules.append("presence")
      configure(&configuration)
    }
    if knowsAlice { try self.bob("/addcontact <sip:alice@10.0.0.1>") }
    try self.alice("/addcontact \(contact)")
    self.agents.run(milliseconds: 1_000)
  }

  @discardableResult
  func alice(_ line: String) throws -> String { try CallControlTests.run(line, self.agents.alice) }

  @discardableResult
  func bob(_ line: String) throws -> String { try CallControlTests.run(line, self.agents.bob) }

  /// What Alice was told of a package, in order.
  func told(_ package: WatchedPackage) -> [String] {
    self.agents.alice.events.compactMap {
      if case .contact("sip:bob@10.0.0.2", package, _, let state) = $0 { state } else { nil }
    }
  }

  /// The SUBSCRIBEs that Alice sent for a package, in order; those for `seconds` only, where it is given.
  func subscribes(_ package: WatchedPackage, expires seconds: Int? = nil) -> Int {
    let sent = self.agents.alice.trace.withLock { $0 }.filter {
      $0.contains("SUBSCRIBE sip:bob@10.0.0.2") && $0.contains("Event: \(package.rawValue)\r\n")
    }
    guard let seconds else { return sent.count }
    return sent.count { $0.contains("Expires: \(seconds)\r\n") }
  }
}
