package import ModuleKit
internal import Synchronization

/// What was not served, by reason.
package struct HTTPCounters: Equatable, Sendable {
  /// Connections above the limit.
  package var refused = 0
  /// Requests that were whole, whatever their answer.
  package var requests = 0
  /// Requests that were too long.
  package var oversize = 0
  /// Connections whose request did not arrive in time.
  package var slow = 0
  /// Connections with what is no HTTP, or no TLS.
  package var malformed = 0
  /// Requests of someone, or of a page, that may not ask.
  package var forbidden = 0
  /// Requests of hosts that sent too many in a second.
  package var rateLimited = 0

  package init() {}
}

/// The counters as connections and main add to them, each on its thread.
package final class HTTPTally: Sendable {
  let connections = Atomic<Int>(0)
  let refused = Atomic<Int>(0)
  let requests = Atomic<Int>(0)
  let oversize = Atomic<Int>(0)
  let slow = Atomic<Int>(0)
  let malformed = Atomic<Int>(0)
  private let forbidden = Atomic<Int>(0)
  let rateLimited = Atomic<Int>(0)

  package init() {}

  /// How many requests there were, and what was not served, in a line.
  package var text: String {
    let counted = self.counters
    return "connections refused \(counted.refused), malformed \(counted.malformed), slow \(counted.slow); "
      + "requests \(counted.requests), and too long \(counted.oversize); "
      + "of them forbidden \(counted.forbidden), too many \(counted.rateLimited)"
  }

  /// The command of a module that prints `text`.
  package func facet(command name: String) -> Facet {
    .command(
      ModuleCommand(CommandDescription(name, help: "what the module's HTTP server did not serve, and why")) {
        _ throws(CommandFailure) in self.text
      })
  }

  /// A request was answered with 401 or 403.
  package func addForbidden() { self.forbidden.add(1, ordering: .relaxed) }

  package var counters: HTTPCounters {
    var counters = HTTPCounters()
    counters.refused = self.refused.load(ordering: .relaxed)
    counters.requests = self.requests.load(ordering: .relaxed)
    counters.oversize = self.oversize.load(ordering: .relaxed)
    counters.slow = self.slow.load(ordering: .relaxed)
    counters.malformed = self.malformed.load(ordering: .relaxed)
    counters.forbidden = self.forbidden.load(ordering: .relaxed)
    counters.rateLimited = self.rateLimited.load(ordering: .relaxed)
    return counters
  }
}
