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

  @Test("the same from two at one moment is one wish")
  func twice() async {
    await #expect(processExitsWith: .exitCode(42)) {
      alarm(10)
      let signals = Signals.first()
      kill(getpid(), SIGTERM)
      var received: [Int32] = []
      for await signal in signals { received.append(signal) }
      // Only now, for two that wait to be delivered are one.
      kill(getpid(), SIGTERM)
      usleep(50_000)
      _exit(received == [SIGTERM] ? 42 : 1)
    }
  }

  @Test(
    "the second ends the process at once, whatever it is doing: another one, or the same a moment later",
    arguments: [(SIGINT, 0), (SIGTERM, 250_000)] as [(Int32, UInt32)])
  func second(first: Int32, pause microseconds: UInt32) async {
    await #expect(processExitsWith: .exitCode(128 + SIGTERM)) { [first, microseconds] in
      alarm(10)
      let signals = Signals.first()
      kill(getpid(), first)
      for await _ in signals {}
      usleep(microseconds)
      kill(getpid(), SIGTERM)
      while true { pause() }
    }
  }
}
