import Handoff
import ModuleKit
import Synchronization
import Testing

@testable import alsa

private let format = AudioFormat(sampleRate: 8000, channels: 1)
private let stream = StreamID(number: 1)
private let depth = format.sampleCount(milliseconds: CaptureStage.depth)

/// Virtual time, in nanoseconds.
final class VirtualTime: Sendable {
  private let now = Atomic<Int>(1_000_000_000)
  var value: Int { self.now.load(ordering: .relaxed) }
  func set(_ value: Int) { self.now.store(value, ordering: .relaxed) }
  func figures() -> DeviceFigures {
    let figures = DeviceFigures(
      stream: StreamID(number: 1), title: "a device", sampleRate: format.sampleRate, clock: { self.value })
    figures.looked(queued: 0, held: 0)
    return figures
  }
}

/// Seconds of virtual time: the mean of a minute is what counts.
private let seconds: Int = {
  #if DEBUG
    120
  #else
    600
  #endif
}()

/// Calls `device` every 10 ms of a clock that is faster by `drift`, and `call` every 20 ms, with some jitter.
///
/// - Parameters:
///   - burst: the device moves so many times 10 ms at once.
///   - frame: milliseconds from one `call` to the next.
private func run(
  _ time: VirtualTime, drift: Double, burst: Int = 1, frame: Int = 20, seconds: Int = seconds, device: (Int) -> Void,
  call: (Int) -> Void
) {
  let start = time.value
  var (deviceTurn, callTurn, noise) = (burst, 1, UInt32(1))
  while callTurn < seconds * 1000 / frame {
    noise = noise &* 1_664_525 &+ 1_013_904_223
    let jitter = Int(noise >> 16) * 50
    let deviceTime = start + Int(Double(deviceTurn) * 10_000_000 / (1 + drift / 1_000_000))
    let callTime = start + callTurn * frame * 1_000_000
    if deviceTime < callTime {
      time.set(deviceTime)
      for _ in 0..<burst { device(deviceTurn) }
      deviceTurn += burst
    } else {
      time.set(callTime + jitter)
      call(callTurn)
      callTurn += 1
    }
  }
}

/// How a stage fared between a device and a call.
private struct Passage {
  let figures: DeviceFigures
  /// Frames that were silent, or chunks of the device's that found nothing.
  var lacking = 0
  /// Samples that waited in between, in the end.
  var waiting = 0

  var isWhole: Bool {
    self.lacking == 0 && self.figures.lateFrames.load(ordering: .relaxed) == 0
      && self.figures.skipped.load(ordering: .relaxed) == 0
  }
}

/// A microphone's way to a call; what lacks in the first second is not counted.
private func capture(drift: Double, burst: Int, frame milliseconds: Int = 20, seconds: Int = seconds) -> Passage {
  let time = VirtualTime()
  var passage = Passage(figures: time.figures())
  var ends = PCMRing(capacity: 4096).ends()
  guard var writer = ends.writer.take(), let reader = ends.reader.take() else { preconditionFailure("a new ring") }
  let stage = CaptureStage(format: format, figures: passage.figures, reader: reader)
  let chunk = [Int16](repeating: 1000, count: 80)
  var frame = [Int16](repeating: 0, count: format.sampleCount(milliseconds: milliseconds))
  run(time, drift: drift, burst: burst, frame: milliseconds, seconds: seconds) { _ in
    passage.figures.looked(queued: 0, held: 0)
    if writer.write(chunk.span) < 80 { passage.lacking += 1 }
  } call: { turn in
    var part = AudioFrame(samples: frame.mutableSpan, direction: .transmit, stream: stream)
    _ = stage.process(&part)
    if turn * milliseconds > 1000, frame[80] == 0 { passage.lacking += 1 }
  }
  passage.waiting = writer.filled
  return passage
}

/// A call's way to a speaker.
private func playback(drift: Double, burst: Int, frame milliseconds: Int = 20, seconds: Int = seconds) -> Passage {
  let time = VirtualTime()
  var passage = Passage(figures: time.figures())
  var ends = PCMRing(capacity: 4096).ends()
  guard let writer = ends.writer.take(), var reader = ends.reader.take() else { preconditionFailure("a new ring") }
  let stage = PlaybackStage(format: format, figures: passage.figures, writer: writer)
  var chunk = [Int16](repeating: 0, count: 80)
  var frame = [Int16](repeating: 1000, count: format.sampleCount(milliseconds: milliseconds))
  var isStarted = false
  run(time, drift: drift, burst: burst, frame: milliseconds, seconds: seconds) { _ in
    // A device starts when it has enough, as ALSA's threshold has it.
    isStarted = isStarted || reader.ready >= depth
    guard isStarted else { return }
    passage.figures.looked(queued: 0, held: 0)
    DeviceThread.skipOld(&reader, format, passage.figures)
    var room = chunk.mutableSpan
    if reader.read(into: &room) < 80 { passage.lacking += 1 }
  } call: { _ in
    var part = AudioFrame(samples: frame.mutableSpan, direction: .receive, stream: stream)
    _ = stage.process(&part)
  }
  passage.waiting = reader.ready
  return passage
}

@Suite struct DriftTests {
  @Test(
    "a microphone whose clock is off is measured within 20 ppm, and no frame is late", arguments: [-300.0, 0, 800],
    [1, 3])
  func microphone(drift: Double, burst: Int) {
    let passage = capture(drift: drift, burst: burst)
    let figures = passage.figures
    #expect(passage.isWhole && abs(passage.waiting - depth) < 320, "\(passage.waiting) samples wait")
    let measured = Double(figures.drift.load(ordering: .relaxed))
    #expect(abs(measured - drift) < 20, "\(measured) ppm measured, \(drift) ppm true")
    let made = figures.dropped.load(ordering: .relaxed) - figures.inserted.load(ordering: .relaxed)
    let due = drift * Double(seconds * format.sampleRate) / 1_000_000
    #expect(abs(Double(made) - due) < 400, "\(made) samples made up for, \(due) due")
  }

  @Test(
    "a speaker whose clock is off is measured within 20 ppm, and never runs dry", arguments: [-300.0, 0, 800], [1, 3])
  func speaker(drift: Double, burst: Int) {
    let passage = playback(drift: drift, burst: burst)
    #expect(passage.isWhole && abs(passage.waiting - depth) < 320, "\(passage.waiting) samples wait")
    let measured = Double(passage.figures.drift.load(ordering: .relaxed))
    #expect(abs(measured - drift) < 20, "\(measured) ppm measured, \(drift) ppm true")
  }

  @Test(
    "frames as long as a packet may be are never silent after the start, and none is late", arguments: [60, 100, 120],
    [1, 3])
  func longCapture(milliseconds: Int, burst: Int) {
    #expect(capture(drift: 300, burst: burst, frame: milliseconds, seconds: 60).isWhole)
  }

  @Test(
    "a speaker that gets frames as long as a packet may be never runs dry, and nothing is skipped",
    arguments: [100, 120], [1, 3])
  func longPlayback(milliseconds: Int, burst: Int) {
    #expect(playback(drift: 300, burst: burst, frame: milliseconds, seconds: 60).isWhole)
  }

  @Test("a microphone that begins with a backlog, and one that stands still, are not taken for one whose clock is off")
  func captureStalls() {
    let time = VirtualTime()
    let figures = time.figures()
    var ends = PCMRing(capacity: 4096).ends()
    guard var writer = ends.writer.take(), let reader = ends.reader.take() else { preconditionFailure("a new ring") }
    let stage = CaptureStage(format: format, figures: figures, reader: reader)
    let chunk = [Int16](repeating: 1000, count: 80)
    for _ in 0..<20 { _ = writer.write(chunk.span) }
    var frame = [Int16](repeating: 0, count: 160)
    var worst = 0
    run(time, drift: 0, burst: 3, seconds: 60) { turn in
      // One and a half second of nothing; its sound is lost.
      guard !(2000..<2150).contains(turn) else { return }
      figures.looked(queued: 0, held: 0)
      _ = writer.write(chunk.span)
    } call: { _ in
      var part = AudioFrame(samples: frame.mutableSpan, direction: .transmit, stream: stream)
      _ = stage.process(&part)
      worst = max(worst, abs(figures.drift.load(ordering: .relaxed)))
    }
    #expect(worst < 40, "\(worst) ppm measured")
    #expect(figures.lateFrames.load(ordering: .relaxed) == 1)
    #expect(abs(writer.filled - depth) < 320, "\(writer.filled) samples wait")
  }

  @Test("a speaker that stands still, and one whose delay changes, are not taken for ones whose clock is off")
  func playbackStalls() {
    let time = VirtualTime()
    let figures = time.figures()
    var ends = PCMRing(capacity: 4096).ends()
    guard let writer = ends.writer.take(), var reader = ends.reader.take() else { preconditionFailure("a new ring") }
    let stage = PlaybackStage(format: format, figures: figures, writer: writer)
    var chunk = [Int16](repeating: 0, count: 80)
    var frame = [Int16](repeating: 1000, count: 160)
    var worst = 0
    run(time, drift: 0, burst: 3, seconds: 120) { turn in
      // From the first minute's middle on it is a headset that plays a fifth of a second later.
      figures.looked(queued: turn < 3000 ? 0 : 1600, held: 0)
      guard turn > 150 else { return }
      DeviceThread.skipOld(&reader, format, figures)
      var room = chunk.mutableSpan
      _ = reader.read(into: &room)
    } call: { _ in
      var part = AudioFrame(samples: frame.mutableSpan, direction: .receive, stream: stream)
      _ = stage.process(&part)
      worst = max(worst, abs(figures.drift.load(ordering: .relaxed)))
    }
    #expect(worst < 40, "\(worst) ppm measured")
    #expect(abs(reader.ready - depth) < 320, "\(reader.ready) samples wait")
  }
}
