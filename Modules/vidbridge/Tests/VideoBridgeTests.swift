import Handoff
import ModuleKit
import NetBase
import Synchronization
import TestSupport
import Testing
import vidbridge

private let start = Instant(nanoseconds: 1_000_000_000)

private func moment(_ milliseconds: Int64) -> Instant { start.advanced(byMilliseconds: milliseconds) }

/// Streams on the devices of one module.
private struct Streams {
  let module: VideoBridge

  init() throws { self.module = try VideoBridge(settings: ModuleSettings(keys: [])) }

  func source(
    _ stream: UInt64, _ device: String = "room", codec: String = "VP8", wake: @escaping @Sendable () -> Void = {}
  ) throws -> any VideoSource {
    guard case .videoSource(let offer) = self.module.facets[0].body else {
      throw ModuleError(.configuration, "no source")
    }
    return try offer(self.request(stream, device, codec, .transmit, wake))()
  }

  func sink(
    _ stream: UInt64, _ device: String = "room", codec: String = "VP8", wake: @escaping @Sendable () -> Void = {}
  ) throws -> any VideoSink {
    guard case .videoSink(let offer) = self.module.facets[1].body else { throw ModuleError(.configuration, "no sink") }
    return try offer(self.request(stream, device, codec, .receive, wake))()
  }

  private func request(
    _ stream: UInt64, _ device: String, _ codec: String, _ direction: MediaDirection,
    _ wake: @escaping @Sendable () -> Void
  ) -> VideoRequest {
    VideoRequest(
      device: device, encodingName: codec, stream: StreamID(number: stream), direction: direction, wake: wake)
  }
}

private final class Count: Sendable {
  private let value = Atomic<Int>(0)
  var wakes: Int { self.value.load(ordering: .relaxed) }
  func wake() { self.value.add(1, ordering: .relaxed) }
}

private final class Flag: Sendable {
  let isSet = Atomic<Bool>(false)
}

private func show(
  _ bytes: [UInt8], _ sink: any VideoSink, at timestamp: UInt32 = 0, isKey: Bool = true, now: Instant = start
) {
  bytes.withRawSpan { sink.take($0, VideoFrameInfo(timestamp: timestamp, isKeyFrame: isKey), now: now) }
}

/// The next frame of a source.
private func next(_ source: any VideoSource) -> (bytes: [UInt8], info: VideoFrameInfo)? {
  var got: (bytes: [UInt8], info: VideoFrameInfo)?
  let isThere = source.next(now: start) { got = ($0.copied(), $1) }
  #expect(isThere == (got != nil))
  return got
}

private func all(_ source: any VideoSource) -> [[UInt8]] {
  var frames: [[UInt8]] = []
  while let frame = next(source) { frames.append(frame.bytes) }
  return frames
}

@Suite("vidbridge") struct VideoBridgeTests {
  @Test("a stream that is alone sees itself, and its source is woken for each frame")
  func echo() throws {
    let (streams, woken) = (try Streams(), Count())
    let (source, sink) = (try streams.source(1, wake: woken.wake), try streams.sink(1))
    #expect(source.nextDeadline == nil && next(source) == nil)
    show([1, 2, 3], sink)
    show([4], sink, isKey: false)
    #expect(woken.wakes == 2)
    let (first, second) = (try #require(next(source)), try #require(next(source)))
    #expect(first.bytes == [1, 2, 3] && first.info.isKeyFrame)
    #expect(second.bytes == [4] && !second.info.isKeyFrame)
    #expect(next(source) == nil)
    sink.finish()
  }

  @Test("two streams see each other and not themselves; other devices see nothing")
  func pair() throws {
    let streams = try Streams()
    let (alice, bob) = (try streams.source(1), try streams.source(2))
    let (hers, his) = (try streams.sink(1), try streams.sink(2))
    let elsewhere = try streams.source(3, "hall")
    show([1], hers)
    show([2], his)
    #expect(all(alice) == [[2]] && all(bob) == [[1]] && all(elsewhere) == [])
    for sink in [hers, his] { sink.finish() }
  }

  @Test("a third stream sees the first; two share the frames of one")
  func three() throws {
    let streams = try Streams()
    let sinks = try (1...3).map { try streams.sink($0) }
    let sources = try (1...3).map { try streams.source($0) }
    for (index, sink) in sinks.enumerated() { show([UInt8(index + 1)], sink) }
    #expect(sources.map(all) == [[[2]], [[1]], [[1]]])
    // Who is let go leaves, and in a release build that is after the last use.
    for sink in sinks { sink.finish() }
  }

  @Test("streams of different codecs are not joined")
  func codecs() throws {
    let streams = try Streams()
    let (source, vp8, h264) = (
      try streams.source(1, codec: "H264"), try streams.sink(2), try streams.sink(3, codec: "h264")
    )
    show([1], vp8)
    show([2], h264)
    #expect(all(source) == [[2]])
    for sink in [vp8, h264] { sink.finish() }
  }

  @Test("when the other leaves, the echo begins with a key frame, which is asked for")
  func leaving() throws {
    let (streams, woken) = (try Streams(), Count())
    let (source, own) = (try streams.source(1), try streams.sink(1, wake: woken.wake))
    var other: (any VideoSink)? = try streams.sink(2)
    show([9], own)
    #expect(!own.takeKeyFrameRequest() && all(source) == [])
    let before = woken.wakes
    other?.finish()
    #expect(woken.wakes == before + 1 && own.takeKeyFrameRequest() && !own.takeKeyFrameRequest())
    show([1], own, isKey: false)
    show([2], own)
    show([3], own, isKey: false)
    #expect(all(source) == [[2], [3]])
    // A sink that is dropped without a last word leaves as well.
    other = try streams.sink(2)
    show([4], own)
    #expect(all(source) == [])
    other = nil
    show([5], own)
    #expect(all(source) == [[5]])
    own.finish()
  }

  @Test("a key frame is asked for at the beginning, and when the peer of the source asks; each is answered once")
  func keyFrames() throws {
    let (streams, woken) = (try Streams(), Count())
    let (source, sink) = (try streams.source(1), try streams.sink(2, wake: woken.wake))
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    show([1], sink)
    let before = woken.wakes
    source.requestKeyFrame()
    #expect(woken.wakes == before + 1 && sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    source.requestKeyFrame()
    show([2], sink)
    #expect(!sink.takeKeyFrameRequest(), "the key frame came by itself")
    #expect(all(source) == [[1], [2]])
    sink.finish()
  }

  @Test("a key frame whose request was lost is asked for again with each frame that needs it")
  func repeated() throws {
    let streams = try Streams()
    let (source, sink) = (try streams.source(1), try streams.sink(2))
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    show([1], sink, isKey: false)
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    show([2], sink)
    show([3], sink, isKey: false)
    #expect(!sink.takeKeyFrameRequest() && all(source) == [[2], [3]])
    sink.finish()
  }

  @Test("what finds the lane full is dropped up to the next key frame, which is asked for")
  func overflow() throws {
    let streams = try Streams()
    let (source, sink) = (try streams.source(1), try streams.sink(2))
    for number in 0..<40 { show([UInt8(number)], sink, isKey: number == 0) }
    #expect(!sink.takeKeyFrameRequest(), "a key frame would find no room")
    #expect(all(source) == (0..<32).map { [UInt8($0)] })
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    show([50], sink, isKey: false)
    #expect(next(source) == nil)
    show([51], sink)
    show([52], sink, isKey: false)
    #expect(all(source) == [[51], [52]])
    // Eight that found no room, and one that needs them.
    #expect(streams.module.dropCount == 9)
    sink.finish()
  }

  @Test("of a source that takes nothing no key frame is asked for, whatever comes, until it takes something again")
  func stalled() throws {
    let (streams, woken) = (try Streams(), Count())
    let (source, sink) = (try streams.source(1), try streams.sink(2, wake: woken.wake))
    for number in 0..<32 { show([UInt8(number)], sink, isKey: number == 0) }
    let before = woken.wakes
    let requests = (0..<10).count { number in
      show([UInt8(100 + number)], sink)
      return sink.takeKeyFrameRequest()
    }
    #expect(requests == 0 && woken.wakes == before)
    #expect(next(source)?.bytes == [0] && woken.wakes == before + 1)
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    show([200], sink)
    let left = (1..<32).map { [UInt8($0)] } + [[200]]
    #expect(!sink.takeKeyFrameRequest() && all(source) == left)
    #expect(woken.wakes == before + 1)
    sink.finish()
  }

  @Test("a frame of more than 1 MiB is dropped, and those that need it")
  func tooLong() throws {
    let streams = try Streams()
    let (source, sink) = (try streams.source(1), try streams.sink(2))
    let longest = [UInt8](repeating: 7, count: 1 << 20)
    show(longest, sink)
    show(longest + [7], sink, isKey: false)
    show([1], sink, isKey: false)
    #expect(sink.takeKeyFrameRequest() && all(source) == [longest])
    sink.finish()
  }

  @Test("time stamps differ as those that came, across their end; where another stream begins, as time went on")
  func timestamps() throws {
    let streams = try Streams()
    let source = try streams.source(1)
    let first = try streams.sink(2)
    show([1], first, at: 0xFFFF_FF00, now: moment(0))
    show([2], first, at: 0x0000_0A00, now: moment(31))
    show([3], first, at: 0x0000_1600, now: moment(62))
    let stamps = (0..<3).compactMap { _ in next(source)?.info.timestamp }
    #expect(stamps == [0, 0x0B00, 0x1700])
    first.finish()
    let second = try streams.sink(3)
    show([4], second, at: 77, now: moment(162))
    show([5], second, at: 77 + 3000, now: moment(190))
    #expect((0..<2).compactMap { _ in next(source)?.info.timestamp } == [0x1700 + 9000, 0x1700 + 12_000])
    second.finish()
  }

  @Test(
    "frames cross threads whole and in order, whatever is dropped; key frames are asked for and come",
    .timeLimit(.minutes(3)))
  func threads() async throws {
    let streams = try Streams()
    let (wakes, requests) = (Count(), Count())
    let isDone = Flag()
    let count = 5000
    let (isJoined, hasSeen) = (Flag(), Flag())
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask {
        let sink = try streams.sink(2, wake: requests.wake)
        while !isJoined.isSet.load(ordering: .acquiring) { await Task.yield() }
        var (isKey, number) = (true, 0)
        // Longer where the other thread was kept from its processor all the time.
        while number < count || !hasSeen.isSet.load(ordering: .acquiring) {
          let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 8 + number % 500)
          show(bytes, sink, at: UInt32(number), isKey: isKey)
          isKey = number % 10 == 9 && sink.takeKeyFrameRequest()
          number += 1
        }
        isDone.isSet.store(true, ordering: .releasing)
      }
      group.addTask {
        let source = try streams.source(1, wake: wakes.wake)
        isJoined.isSet.store(true, ordering: .releasing)
        var (seen, keys, last) = (0, 0, -1)
        while true {
          // Asked first: what was put before it is then in the lane.
          let isLast = isDone.isSet.load(ordering: .acquiring)
          while let (bytes, info) = next(source) {
            #expect(bytes.allSatisfy { $0 == bytes[0] } && (8..<508).contains(bytes.count))
            if seen == 0 { #expect(info.isKeyFrame) }
            // Time stamps count frames, from the first that was seen.
            #expect(Int(info.timestamp) > last)
            // Each gap is followed by a key frame.
            if seen > 0, Int(info.timestamp) != last + 1 { #expect(info.isKeyFrame) }
            last = Int(info.timestamp)
            seen += 1
            hasSeen.isSet.store(true, ordering: .releasing)
            if info.isKeyFrame { keys += 1 }
            if seen % 1000 == 0 { source.requestKeyFrame() }
          }
          if isLast { break }
        }
        #expect(seen > 0 && keys > 0, "\(seen) frames, \(keys) keys")
      }
      try await group.waitForAll()
    }
  }
}
