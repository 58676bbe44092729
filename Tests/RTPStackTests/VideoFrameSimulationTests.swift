import RTPStack
import Testing

@Suite("Video over a lossy path") struct VideoFrameSimulationTests {
  #if DEBUG
    private static let frames = 400
  #else
    private static let frames = 1500
  #endif

  private func run(_ conditions: VideoLink.Conditions, seed: UInt64, _ body: (VideoLink) -> Void) {
    let link = VideoLink(conditions, frames: Self.frames, seed: seed)
    link.run()
    #expect(link.faults.isEmpty, "\(link.faults.prefix(5))")
    let statistics = link.statistics
    #expect(statistics.frames == UInt64(link.delivered.count))
    #expect(statistics.keyFrames <= UInt64(link.keyFramesSent))
    #expect(statistics.restarts == 0 && statistics.refused == 0)
    body(link)
  }

  @Test("every frame that is delivered is whole, in order, and can be decoded", arguments: Array(UInt64(1)...12))
  func withoutRequests(seed: UInt64) {
    var conditions = VideoLink.Conditions()
    conditions.loss = Double(seed % 4) * 0.01
    conditions.jitter = Double(seed % 3) * 25
    conditions.duplicates = 0.03
    conditions.padding = 0.1
    conditions.tellsStart = seed % 2 == 0 || seed % 4 == 1
    conditions.marksEnd = seed % 5 != 0
    self.run(conditions, seed: seed) { link in
      // Jitter stays below the time for reordering, so nothing but loss costs frames.
      if conditions.loss == 0, conditions.tellsStart {
        #expect(link.delivered == Array(link.delivered[0]..<Self.frames) && link.delivered[0] < 40)
        #expect(link.statistics.lostPackets == 0)
      }
      #expect(link.delivered.count > Self.frames / 4, "\(link.delivered.count)")
      #expect((link.delivered.last ?? 0) >= Self.frames - 20)
      #expect(link.keyFrameRequests > 0 || conditions.loss == 0)
    }
  }

  @Test(
    "with lost packets asked for, everything is delivered", arguments: Array(UInt64(1)...12))
  func withRequests(seed: UInt64) {
    var conditions = VideoLink.Conditions()
    conditions.asksForLost = true
    conditions.loss = [0.01, 0.05, 0.1][Int(seed % 3)]
    conditions.jitter = Double(seed % 4) * 10
    conditions.roundTrip = [5, 40, 80][Int(seed / 3 % 3)]
    conditions.duplicates = 0.02
    conditions.padding = 0.2
    conditions.marksEnd = seed % 4 != 0
    self.run(conditions, seed: seed) { link in
      let first = link.delivered.first ?? Self.frames
      // The very first packets may be lost without anything to tell so, and then a key frame is asked for.
      #expect(first < 60)
      // Without a marker, the last frame has no end.
      #expect(link.delivered == Array(first..<Self.frames - (conditions.marksEnd ? 0 : 1)))
      let statistics = link.statistics
      #expect(statistics.lostPackets == 0 && statistics.recovered > 0)
      // A packet that is merely slow may be asked for, and come by itself.
      #expect(link.resends.resent >= statistics.recovered || conditions.jitter > 0)
      #expect(link.resends.unknown == 0)
    }
  }
}
