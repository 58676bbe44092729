import Handoff
import ModuleKit
import Testing

@testable import mixausrc

@Suite("mixausrc") struct MixerTests {
  /// A source of one value, for so many frames.
  private final class Constant: AudioStage {
    let format: AudioFormat
    let value: Int16
    var left: Int
    let finished: Locked<Int>

    init(_ format: AudioFormat, value: Int16, frames: Int, finished: Locked<Int>) {
      (self.format, self.value, self.left, self.finished) = (format, value, frames, finished)
    }

    func process(_ frame: inout AudioFrame) -> Verdict {
      for index in 0..<frame.samples.count { frame.samples[index] = self.value }
      self.left -= 1
      return self.left == 0 ? .end : .forward
    }

    func finish(_ stream: StreamID) { self.finished.withLock { $0 += 1 } }
  }

  /// A mixer, and what comes out of it when 1000 goes in.
  private struct Bench {
    let format: AudioFormat
    let mixer: Mixer
    let finished = Locked(0)

    init(channels: Int = 1) {
      self.format = AudioFormat(sampleRate: 8000, channels: channels)
      self.mixer = Mixer(format: self.format, place: MixerTests.place, desk: Locked(MixerDesk()))
    }

    func start(_ value: Int16, frames: Int = .max, stream: Float = 0.5, source: Float = 1) {
      let (format, finished) = (self.format, self.finished)
      self.mixer.control.start(
        Mix(
          make: { () throws(ModuleError) in Constant(format, value: value, frames: frames, finished: finished) },
          streamVolume: stream, sourceVolume: source))
    }

    func frame(_ value: Int16 = 1000, milliseconds: Int = 20) -> [Int16] {
      var samples = [Int16](repeating: value, count: self.format.sampleCount(milliseconds: milliseconds))
      var frame = AudioFrame(
        samples: samples.mutableSpan, direction: .transmit, stream: StreamID(number: 1))
      guard case .forward = self.mixer.process(&frame) else { return [] }
      return samples
    }
  }

  private static let place = MixerDesk.Place(stream: StreamID(number: 1), direction: .transmit)
  private static let plain = [Int16](repeating: 1000, count: 160)

  @Test("the stream is faded out in 160 ms, mixed with the source, and faded in when the source ends")
  func wholeWay() {
    let bench = Bench()
    #expect(bench.frame() == Self.plain)
    bench.start(100, frames: 3)
    #expect(bench.mixer.control.isBusy)
    let down = (0..<8).flatMap { _ in bench.frame() }
    // From 1 to one half, evenly: 1280 samples.
    for (index, sample) in down.enumerated() {
      #expect(abs(Float(sample) - 1000 * (1 - 0.5 * Float(index) / 1280)) <= 1, "\(index)")
    }
    for _ in 0..<3 { #expect(bench.frame() == [Int16](repeating: 600, count: 160)) }
    #expect(bench.finished.withLock { $0 } == 1 && !bench.mixer.control.isBusy)
    let up = (0..<8).flatMap { _ in bench.frame() }
    for (index, sample) in up.enumerated() {
      #expect(abs(Float(sample) - 1000 * (0.5 + 0.5 * Float(index) / 1280)) <= 1, "\(index)")
    }
    #expect(bench.frame() == Self.plain)
  }

  @Test(
    "volumes are percent, and what is too loud is cut", arguments: [(0, 1, 30_000), (1, 1, 32_767), (1, 0.5, 20_000)])
  func volumes(stream: Float, source: Float, expected: Int16) {
    let bench = Bench()
    bench.start(30_000, stream: stream, source: source)
    for _ in 0..<8 { _ = bench.frame(5000) }
    #expect(bench.frame(5000) == [Int16](repeating: expected, count: 160))
  }

  @Test("a packet time that grows, or shrinks, while a source is mixed in is filled to its end")
  func packetTime() {
    let bench = Bench()
    bench.start(100)
    for _ in 0..<9 { _ = bench.frame() }
    for milliseconds in [60, 20, 10] {
      #expect(bench.frame(milliseconds: milliseconds) == [Int16](repeating: 600, count: 8 * milliseconds))
    }
  }

  @Test("a stop ends the source at once, and every stage of the way goes back")
  func stop() {
    for frames in [0, 3, 12] {
      let bench = Bench()
      bench.start(100)
      for _ in 0..<frames { _ = bench.frame() }
      bench.mixer.control.stop()
      for _ in 0..<9 { _ = bench.frame() }
      #expect(bench.frame() == Self.plain && !bench.mixer.control.isBusy)
      #expect(bench.finished.withLock { $0 } == (frames > 8 ? 1 : 0))
    }
  }

  @Test(
    "an order that meets a fade goes on from its volume, without a jump", arguments: [1, 4, 7, 8, 12], [1, 3, 7, 9])
  func turns(down: Int, up: Int) {
    let bench = Bench()
    var heard: [Int16] = []
    for _ in 0..<2 {
      bench.start(0, stream: 0)
      for _ in 0..<down { heard += bench.frame(32_000) }
      bench.mixer.control.stop()
      for _ in 0..<up { heard += bench.frame(32_000) }
    }
    for _ in 0..<8 { heard += bench.frame(32_000) }
    // A step of a fade from 1 to 0 is 25 here, and what is behind the point is cut off.
    let steps = zip(heard, heard.dropFirst()).map { abs(Int($0) - Int($1)) }
    #expect(steps.allSatisfy { $0 <= 26 }, "\(steps.max() ?? 0)")
    #expect(heard.first == 32_000 && heard.last == 32_000)
  }

  @Test("a source that can't be made leaves the stream as it was")
  func broken() {
    let bench = Bench()
    bench.mixer.control.start(
      Mix(
        make: { () throws(ModuleError) in throw ModuleError(.cannotCreate, "broken") }, streamVolume: 0,
        sourceVolume: 1))
    for _ in 0..<16 { _ = bench.frame() }
    #expect(bench.frame() == Self.plain && !bench.mixer.control.isBusy)
  }

  @Test("both channels of an instant have one factor")
  func stereo() {
    let bench = Bench(channels: 2)
    bench.start(0, stream: 0)
    let down = (0..<8).flatMap { _ in bench.frame() }
    #expect(down.count == 2560 && (0..<1280).allSatisfy { down[2 * $0] == down[2 * $0 + 1] })
    #expect(bench.frame() == [Int16](repeating: 0, count: 320))
  }

  @Test("the end of the stream is the source's, too, and the mixer is forgotten")
  func finish() {
    let desk = Locked(MixerDesk())
    let format = AudioFormat(sampleRate: 8000, channels: 1)
    let place = Self.place
    let (first, second) = (
      Mixer(format: format, place: place, desk: desk), Mixer(format: format, place: place, desk: desk)
    )
    for mixer in [first, second] { desk.withLock { $0.add(mixer.control, at: place) } }
    first.finish(place.stream)
    #expect(desk.withLock { $0.control(at: place) } === second.control)
    second.finish(place.stream)
    #expect(desk.withLock { $0.control(at: place) } == nil)
    let bench = Bench()
    bench.start(100)
    for _ in 0..<10 { _ = bench.frame() }
    bench.mixer.finish(place.stream)
    #expect(bench.finished.withLock { $0 } == 1)
  }

  @Test("what a start is given")
  func orders() {
    #expect(MixOrder("ausine 440") == MixOrder("ausine 440 0 100"))
    #expect(
      MixOrder("aufile /a/b.wav 10 90")?.streamVolume == 0.1 && MixOrder("aufile /a/b.wav 10 90")?.sourceVolume == 0.9)
    for text in ["", "ausine", "ausine 440 10", "ausine 440 10 101", "ausine 440 -1 10", "ausine 440 a b", "a b 1 2 3"]
    {
      #expect(MixOrder(text) == nil, "\(text)")
    }
  }
}
