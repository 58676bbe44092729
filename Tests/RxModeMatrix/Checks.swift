import NetBase
import Runtime

/// What a cell asserts: counted, so that a cell that asserts nothing is seen.
struct Checks {
  private(set) var count = 0
  private(set) var failures: [String] = []
  /// RTP packets that the calls looked at have heard, the least of them; nil while there was none.
  private(set) var packets: Int?

  mutating func expect(_ condition: Bool, _ sentence: @autoclosure () -> String) {
    self.count += 1
    if !condition { self.failures.append(sentence()) }
  }

  mutating func note(packets: Int) { self.packets = min(packets, self.packets ?? packets) }

  /// The cell could not go on.
  mutating func fail(_ error: any Error) { self.failures.append("\(error)") }
}

/// What never came.
struct WaitedInVain: Error, CustomStringConvertible {
  let what: String
  var description: String { "waited in vain until \(self.what)" }
}

/// Waits for a condition; the limit is there for what never comes, so it may be long.
func wait(
  until what: String, seconds: Int64 = 60, every milliseconds: Int = 50, _ condition: @Sendable () async -> Bool
) async throws {
  let end = Instant.now.advanced(byMilliseconds: seconds * 1000)
  while await !condition() {
    guard Instant.now < end else { throw WaitedInVain(what: what) }
    try await Task.sleep(for: .milliseconds(milliseconds))
  }
}
