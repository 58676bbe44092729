import Foundation
import Handoff
import ModuleKit
import Testing
import aubridge

private let alice = StreamID(number: 1)
private let bob = StreamID(number: 2)
private let carol = StreamID(number: 3)

private func play(_ samples: [Int16], _ stream: StreamID, _ bridge: Bridge) {
  var samples = samples
  var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: stream)
  guard case .drop = bridge.process(&frame) else {
    Issue.record("a player consumes")
    return
  }
}

private func record(_ count: Int, _ stream: StreamID, _ bridge: Bridge) -> [Int16] {
  var samples = [Int16](repeating: 99, count: count)
  var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: stream)
  guard case .forward = bridge.process(&frame) else { return [] }
  return samples
}

/// A bridge that knows these streams.
private func bridge(_ streams: StreamID...) -> Bridge {
  let bridge = Bridge()
  for stream in streams { _ = record(1, stream, bridge) }
  return bridge
}

@Suite("aubridge") struct BridgeTests {
  @Test("a stream that is alone hears itself")
  func echo() {
    let bridge = bridge(alice)
    play([1, 2, 3], alice, bridge)
    #expect(record(5, alice, bridge) == [1, 2, 3, 0, 0])
  }

  @Test("two streams hear each other, and not themselves")
  func pair() {
    let bridge = bridge(alice, bob)
    play([1, 2, 3], alice, bridge)
    play([7, 8, 9], bob, bridge)
    #expect(record(3, alice, bridge) == [7, 8, 9])
    #expect(record(3, bob, bridge) == [1, 2, 3])
    #expect(record(3, alice, bridge) == [0, 0, 0])
  }

  @Test("three streams hear the saturated sum of the other two")
  func conference() {
    let bridge = bridge(alice, bob, carol)
    play([100, 30_000, -30_000], alice, bridge)
    play([20, 30_000, -30_000], bob, bridge)
    play([3, 0, 0], carol, bridge)
    #expect(record(3, carol, bridge) == [120, 32_767, -32_768])
    #expect(record(3, alice, bridge) == [23, 30_000, -30_000])
    #expect(record(3, bob, bridge) == [103, 30_000, -30_000])
  }

  @Test("when the other leaves, the echo starts with what is played then")
  func leaving() {
    let bridge = bridge(alice, bob)
    play([1, 2], alice, bridge)
    _ = record(2, alice, bridge)
    bridge.finish(bob)
    bridge.finish(bob)
    play([5, 6], alice, bridge)
    #expect(record(2, alice, bridge) == [5, 6])
  }

  @Test("a newcomer hears what is played from then on")
  func joining() {
    let bridge = bridge(alice, bob)
    play([1, 2, 3], alice, bridge)
    #expect(record(3, carol, bridge) == [0, 0, 0])
    play([4, 5, 6], alice, bridge)
    #expect(record(3, carol, bridge) == [4, 5, 6])
    #expect(record(6, bob, bridge) == [1, 2, 3, 4, 5, 6])
  }

  @Test("a reader that lags more than 200 ms loses the oldest, counted, and stays bounded")
  func late() {
    let bridge = bridge(alice, bob)
    for number in 0..<11 { play([Int16](repeating: Int16(number), count: 960), alice, bridge) }
    #expect(record(1, bob, bridge) == [9])
    #expect(bridge.lateCount == 9 * 960)
  }

  @Test("frames of different lengths and moments lose nothing")
  func jitter() {
    let bridge = bridge(alice, bob)
    var heard: [Int16] = []
    let sent = (1...9600).map { Int16($0) }
    for start in stride(from: 0, to: 9600, by: 960) {
      play(Array(sent[start..<(start + 960)]), alice, bridge)
      if start % 1920 != 0 { for _ in 0..<4 { heard += record(480, bob, bridge) } }
    }
    #expect(heard == sent)
  }

  @Test("source and player offer the same lockable object, which a lock keeps whole under four threads")
  func hammered() async throws {
    let module = try AudioBridge(settings: ModuleSettings(keys: []))
    #expect(module.facets.map(\.kind) == ["audio source", "audio player"])
    #expect(module.facets.allSatisfy { $0.safety == .lockable })
    guard case .player(.lockable(let prepare)) = module.facets[1].body else { return }
    let factory = try prepare(
      AudioRequest(
        device: "room", format: AudioFormat(sampleRate: 48_000, channels: 1), stream: alice, direction: .receive))
    let shared = Locked(try factory())
    await withTaskGroup(of: Void.self) { group in
      for number in 1...4 as ClosedRange<UInt64> {
        group.addTask {
          let stream = StreamID(number: number)
          for round in 0..<500 {
            for direction in [MediaDirection.receive, .transmit] {
              shared.withLock { stage in
                var samples = [Int16](repeating: 1000, count: 960)
                var frame = AudioFrame(samples: samples.mutableSpan, direction: direction, stream: stream)
                _ = stage.process(&frame)
                // At most three others, each of which plays 1000s.
                if direction == .transmit { #expect(samples.allSatisfy { [0, 1000, 2000, 3000].contains($0) }) }
              }
            }
            if round % 100 == 99 { shared.withLock { $0.finish(stream) } }
          }
        }
      }
    }
  }
}
