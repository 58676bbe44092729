import Testing

@testable import alsa

@Suite struct DriftMeterTests {
  /// A number between -1 and 1, another each time.
  private static func noise(_ state: inout UInt32) -> Double {
    state = state &* 1_664_525 &+ 1_013_904_223
    return Double(state >> 8) / Double(1 << 23) - 1
  }

  @Test(
    "the slope shows through noise of a millisecond, after half a minute within 60 ppm, after a minute within 15",
    arguments: [-400.0, 0, 90])
  func slope(_ drift: Double) {
    var meter = DriftMeter()
    var state = UInt32(7)
    for second in 0...64 {
      meter.observe(drift * Double(second) + 500 * Self.noise(&state), after: 1)
      if second >= 30 { #expect(abs(meter.drift - drift) < 60, "\(meter.drift) ppm after \(second) s") }
    }
    #expect(abs(meter.drift - drift) < 15, "\(meter.drift) ppm")
  }

  @Test("steps are left out, and so is what happened while nobody looked; a clock that changes is followed")
  func steps() {
    var meter = DriftMeter()
    var distance = 0.0
    for second in 0..<60 {
      distance += 50
      if second % 15 == 14 { distance += 120_000 }
      if second == 40 {
        meter.interrupt()
        distance -= 3000
      }
      meter.observe(distance, after: 1)
    }
    #expect(abs(meter.drift - 50) < 3, "\(meter.drift) ppm")
    for _ in 0..<64 {
      distance -= 200
      meter.observe(distance, after: 1)
    }
    #expect(abs(meter.drift + 200) < 5, "\(meter.drift) ppm")
  }
}
