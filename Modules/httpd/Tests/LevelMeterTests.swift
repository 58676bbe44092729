internal import ModuleKit
internal import TestSupport
internal import Testing

@testable internal import httpd

/// Levels, from the frames to what the page asks for.
@Suite struct LevelMeterTests {
  @Test("a meter tells what passed in the last tenth of a second, and its level goes with it")
  func meter() throws {
    let board = LevelBoard()
    var meter: LevelMeter? = LevelMeter(request(3, .receive), board: board)
    for _ in 0..<5 {
      #expect(board.levels(of: StreamID(number: 3)).receive == nil)
      hear(half, milliseconds: 20, by: try #require(meter))
    }
    let level = try #require(board.levels(of: StreamID(number: 3)).receive)
    #expect(abs(level + 6.02) < 0.02)
    meter?.finish(StreamID(number: 3))
    meter = nil
    #expect(board.levels(of: StreamID(number: 3)).receive == nil && board.count == 0)
  }

  @Test("each call has a level of its own in each direction")
  func own() throws {
    let board = LevelBoard()
    let requests = [request(1, .receive), request(1, .transmit), request(2, .receive)]
    let meters = requests.map { LevelMeter($0, board: board) }
    hear(half, by: meters[0])
    hear(half / 2, by: meters[2])
    // Optimised code lets go of what is not used any more.
    let (first, second) = withExtendedLifetime(meters) {
      #expect(board.count == 3)
      return (board.levels(of: StreamID(number: 1)), board.levels(of: StreamID(number: 2)))
    }
    #expect(first.transmit == nil && second.transmit == nil)
    let levels = [try #require(first.receive), try #require(second.receive)]
    #expect(abs(levels[0] + 6.02) < 0.02 && abs(levels[1] + 12.04) < 0.02)
  }

  @Test("the end of a meter that was replaced leaves its successor's level")
  func replaced() throws {
    let board = LevelBoard()
    var old: LevelMeter? = LevelMeter(request(1, .receive), board: board)
    let other = LevelMeter(request(1, .transmit), board: board)
    let new = LevelMeter(request(1, .receive), board: board)
    old?.finish(StreamID(number: 1))
    old = nil
    hear(half, by: new)
    hear(half, by: other)
    let levels = withExtendedLifetime((new, other)) { board.levels(of: StreamID(number: 1)) }
    #expect(levels.receive != nil && levels.transmit != nil)
  }

  @Test("a thousand calls later there is nothing on the board, and a call that never began had nothing there")
  func growth() throws {
    let module = try HTTPD(settings: ModuleSettings(keys: HTTPD.configKeys, values: [:]))
    let offers = module.facets.compactMap { facet -> StageOffer? in
      if case .filter(let offer) = facet.body { return offer }
      return nil
    }
    guard case .confined(let prepare) = try #require(offers.first) else {
      Issue.record("the meters are confined")
      return
    }
    for number in 0..<1000 {
      let make = try prepare(request(number, .receive))
      #expect(module.levels.count == 0)
      let stage = try make()
      #expect(module.levels.count == 1)
      stage.finish(StreamID(number: UInt64(number)))
    }
    #expect(module.levels.count == 0)
  }
}

/// Half of full scale.
let half: Int16 = 16_384

/// A meter of narrow-band sound.
func request(_ call: Int, _ direction: MediaDirection) -> AudioRequest {
  AudioRequest(
    device: "", format: AudioFormat(sampleRate: 8000, channels: 1), stream: StreamID(number: UInt64(call)),
    direction: direction)
}

/// Has a steady level pass a meter.
func hear(_ sample: Int16, milliseconds: Int = 100, by meter: LevelMeter) {
  var samples = [Int16](repeating: sample, count: 8 * milliseconds)
  var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: StreamID(number: 0))
  guard case .forward = meter.process(&frame) else {
    Issue.record("a meter forwards")
    return
  }
}
