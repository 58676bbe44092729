import NetBase
import TestSupport

@testable import UACore

/// How far a call is when something befalls it.
enum Phase: String, CaseIterable {
  /// Until it stands at both ends.
  case ringing
  /// It stands, and has no keys yet where it is to have some.
  case keying
  case established
  /// New keys are offered, or not yet in use both ways.
  case rekeying = "re-keying"
  case onHold = "on hold"
  /// From the first hang-up on, until nothing is left.
  case ending
}

extension SimulatedAgents {
  /// The earlier one of the ends that have a call; nil where none has any.
  var phase: Phase? {
    let phases = [self.alice, self.bob].compactMap(\.phase)
    if phases.contains(.ending) { return .ending }
    return Phase.allCases.first { $0 != .established && phases.contains($0) } ?? phases.first
  }

  /// Whether one end's first packet came that long ago.
  func haveHeard(milliseconds: Int64) -> Bool {
    let now = self.simulation.now
    return [self.alice, self.bob].contains { agent in
      agent.act { $0.calls.values.first?.firstMedia.map { now.milliseconds(since: $0) >= milliseconds } ?? false }
    }
  }
}

extension SimulatedAgent {
  /// How far the agent's only call is as it knows itself.
  fileprivate var phase: Phase? {
    self.act { core in
      guard let call = core.calls.values.first, let media = call.media else { return nil }
      switch call.state {
      case .ended: return .ending
      case .established: break
      default: return .ringing
      }
      if media.isEncrypted, call.security == nil { return .keying }
      if media.isRekeying || media.awaitsAnswer && call.changes.hold == nil { return .rekeying }
      return media.isOnHold || media.isHeldByPeer ? .onHold : .established
    }
  }
}
