internal import Glibc
internal import Testing

@testable internal import CLI

@Suite("signals")
struct SignalsTests {
  @Test("the first asks for a clean end", arguments: [SIGINT, SIGTERM])
  func first(number: Int32) async {
    await #expect(processExitsWith: .exitCode(42)) { [number] in
      let signals = Signals.first()
      raise(number)
      var received: [Int32] = []
      for await signal in signals { received.append(signal) }
      exit(received == [number] ? 42 : 1)
    }
  }

  @Test("the second ends the process at once, whatever it is doing")
  func second() async {
    await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
      let signals = Signals.first()
      raise(SIGINT)
      raise(SIGTERM)
      withExtendedLifetime(signals) { exit(1) }
    }
  }
}
