internal import CAllocations
internal import Glibc
internal import Runtime

/// CPU time and allocations of a loop's thread, read from any other thread while that one lives.
@safe struct ThreadMeter: Sendable {
  private let clock: clockid_t
  /// Where the thread's counters are, as a number: whoever holds it only reads.
  private let counters: UInt

  /// The meter of the thread that calls.
  private init() {
    self.clock = callocations_cpu_clock()
    self.counters = unsafe UInt(bitPattern: callocations_here())
  }

  /// The meter of a loop's thread; nil when the loop has ended.
  init?(of loop: EventLoop) {
    guard let meter = loop.sync({ _ in ThreadMeter() }) else { return nil }
    self = meter
  }

  /// Nanoseconds of CPU time so far.
  var cpu: Int {
    var time = timespec()
    unsafe clock_gettime(self.clock, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }

  /// Allocations so far: ours, and those within libsrtp2.
  var allocations: Allocations {
    guard let counters = unsafe UnsafePointer<callocations>(bitPattern: self.counters) else { return Allocations() }
    let read = unsafe callocations_read(counters)
    return Allocations(own: Int(read.own), srtp: Int(read.srtp))
  }
}

/// Calls of malloc and its relatives.
struct Allocations {
  var own = 0
  /// Within calls of libsrtp2.
  var srtp = 0

  static func + (left: Allocations, right: Allocations) -> Allocations {
    Allocations(own: left.own + right.own, srtp: left.srtp + right.srtp)
  }

  static func - (left: Allocations, right: Allocations) -> Allocations {
    Allocations(own: left.own - right.own, srtp: left.srtp - right.srtp)
  }
}

/// Nanoseconds of CPU time that all threads of the process have used so far.
func processNanoseconds() -> Int {
  var time = timespec()
  unsafe clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Proves that the counter counts, on another thread too, before anything is believed of it.
func verifyCounting() throws {
  let loop = EventLoop.start(name: "planted")
  defer { loop.stop() }
  guard let meter = ThreadMeter(of: loop) else { throw BenchFailure("a loop ended before it was used") }
  let before = meter.allocations
  let planted = loop.sync { _ in Int(callocations_plant()) } ?? 0
  let seen = (meter.allocations - before).own
  // Taking part in `sync` costs the loop's thread nothing, so the count is exact.
  guard planted > 0, seen == planted else {
    throw BenchFailure("\(planted) allocations were planted on a loop's thread and \(seen) were counted")
  }
}

/// Why a benchmark could not be run, or can't be believed.
struct BenchFailure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
