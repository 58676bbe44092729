import Soaking
import Testing

/// What calls leave behind: nothing. In a process of its own, since descriptors, threads and memory are the process's.
@Suite(.timeLimit(.minutes(10))) struct TenThousandCallsTests {
  #if DEBUG
    private static let calls = 540
    /// Bytes a call: a lost call is far more, and what malloc keeps at hand for its threads weighs on few calls.
    private static let heapLimit = 4096.0
    /// Threads a call: one that the runtime keeps or lets go weighs on few calls.
    private static let threadLimit = 0.2
  #else
    private static let calls = 10_000
    private static let heapLimit = 64.0
    private static let threadLimit = 0.02
  #endif
  /// Rounds of each kind, one more than are measured: the first makes what is made once.
  private static let rounds = 6

  @Test("after 10,000 calls (540 in debug builds) there are as many descriptors, threads and bytes as before")
  func flat() async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
    ) {
      await TenThousandCallsTests.run()
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    print(output)
    #expect(
      output.contains("calls, all flat"), "\(String(decoding: result?.standardErrorContent ?? [], as: UTF8.self))")
  }

  /// Prints the slopes, and `all flat` when nothing grew; a test learns nothing of a process that exits with another code.
  private static func run() async {
    var total = 0
    var isFlat = true
    let count = Self.calls / (ManyCalls.Kind.all.count * Self.rounds) + 1
    // The Swift runtime and malloc make caches for the threads that they keep.
    for kind in ManyCalls.Kind.all { _ = try? await ManyCalls.round(kind, count) }
    for kind in ManyCalls.Kind.all {
      var footprints: [Footprint] = []
      for round in 0..<Self.rounds {
        guard let good = try? await ManyCalls.round(kind, count), good == count else {
          return print("\(kind): a call failed")
        }
        total += count
        if round > 0 { footprints.append(Footprint.now()) }
      }
      let slopes = Slopes(of: footprints, every: count)
      print("\(kind): \(count * Self.rounds) calls; \(slopes)")
      // One thing that a call leaves is a slope of 1.
      let isKindFlat =
        abs(slopes.descriptors) < 0.02 && abs(slopes.threads) < Self.threadLimit && slopes.heap < Self.heapLimit
      if !isKindFlat { for footprint in footprints { print("  \(footprint)") } }
      isFlat = isFlat && isKindFlat
    }
    print(isFlat ? "\(total) calls, all flat" : "\(total) calls, not flat")
  }
}
