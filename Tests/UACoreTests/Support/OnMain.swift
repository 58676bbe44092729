import Runtime
import TestSupport

@testable import UACore

extension SimulatedAgent {
  /// Has `body` done by main: at once when that is where the caller is, else when main comes to it.
  static func onMain(
    of agent: SimulatedAgent, _ body: @escaping @Sendable (AgentCore) -> Void
  ) -> @Sendable () -> Void {
    let (main, reference) = (agent.main, agent.act { $0.reference })
    return {
      if main.isCurrent {
        _ = reference.withValue { $0.core.map(body) }
      } else {
        main.execute { _ in _ = reference.withValue { $0.core.map(body) } }
      }
    }
  }
}
