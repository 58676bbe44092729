internal import Glibc
internal import Testing

@testable internal import CLI

// Signals go to the process: those that are raised in a thread of libdispatch stay pending there. The alarm ends a
// process in which nothing happens.
@Suite("signals")
struct SignalsTests {
  @Test("the first asks for a clean end", arguments: [SIGINT, SIGTERM])
  func first(number: Int32) async {
    await #expect(processExitsWith: .exitCode(42)) { [number] in
      alarm(10)
      let signals = Signals.first()
      kill(getpid(), number)
      var received: [Int32] = []
      for await signal in signals { received.append(signal) }
      _exit(received == [number] ? 42 : 1)
    }
  }

  @Test("the same from two at one moment is one wish; a later one ends the process at once")
  func twice() async {
    await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
      alarm(10)
      let signals = Signals.first()
      kill(getpid(), SIGTERM)
      kill(getpid(), SIGTERM)
      var received: [Int32] = []
      for await signal in signals { received.append(signal) }
      guard received == [SIGTERM] else { _exit(1) }
      usleep(250_000)
      kill(getpid(), SIGTERM)
      while true { pause() }
    }
  }

  @Test("the second ends the process at once, whatever it is doing")
  func second() async {
    await #expect(processExitsWith: .exitCode(128 + SIGTERM)) {
      alarm(10)
      let signals = Signals.first()
      kill(getpid(), SIGINT)
      for await _ in signals {}
      kill(getpid(), SIGTERM)
      while true { pause() }
    }
  }
}
