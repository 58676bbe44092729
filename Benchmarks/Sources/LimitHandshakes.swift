internal import CLimit
internal import Runtime

/// The C program's DTLS handshakes: both ends in memory, a thread for each processor.
enum LimitHandshakes {
  /// Of each thread.
  private static let count = 500

  /// Handshakes in a second of CPU time.
  static func perCore() throws -> Double {
    let threads = processorCount()
    let nanoseconds = climit_handshakes(UInt32(threads), UInt32(Self.count))
    guard nanoseconds > 0 else { throw BenchFailure("a handshake of the C program failed") }
    return Double(threads * Self.count) * 1e9 / Double(nanoseconds)
  }
}
