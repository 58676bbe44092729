import Handoff
import ModuleKit
import Synchronization
import Testing

@testable import alsa

private let format = AudioFormat(sampleRate: 8000, channels: 1)
private let stream = StreamID(number: 1)

/// Virtual time, in nanoseconds.
final class VirtualTime: Sendable {
  private let now = Atomic<Int>(1_000_000_000)
  var value: Int { self.now.load(ordering: .relaxed) }
  func set(_ value: Int) { self.now.store(value, ordering: .relaxed) }
  func figures() -> DeviceFigures {
    let figures = DeviceFigures(title: "a device", sampleRate: format.sampleRate, clock: { self.value })
    figures.queued.store(0, ordering: .relaxed)
    return figures
  }
}

/// Seconds of virtual time: the loop needs about sixty to settle.
private let seconds: Int = {
  #if DEBUG
    120
  #else
    600
  #endif
}()

/// Calls `device` every 10 ms of a clock that is faster by `drift`, with some jitter, and `call` every 20 ms.
private func run(_ time: VirtualTime, drift: Double, device: (Int) -> Void, call: (Int) -> Void) {
  let start = time.value
  var (deviceTurn, callTurn, noise) = (1, 1, UInt32(1))
  while callTurn < seconds * 50 {
    noise = noise &* 1_664_525 &+ 1_013_904_223
    let jitter = Int(noise >> 16) * 50
    let deviceTime = start + Int(Double(deviceTurn) * 10_000_000 / (1 + drift / 1_000_000))
    let callTime = start + callTurn * 20_000_000
    if deviceTime < callTime {
      time.set(deviceTime)
      device(deviceTurn)
      deviceTurn += 1
    } else {
      time.set(callTime + jitter)
      call(callTurn)
      callTurn += 1
    }
  }
}

@Suite struct DriftTests {
  @Test("a microphone whose clock is off is measured within 20 ppm, and no frame is late", arguments: [-300.0, 0, 800])
  func capture(_ drift: Double) {
    let time = VirtualTime()
    let figures = time.figures()
    var ends = PCMRing(capacity: 4096).ends()
    guard var writer = ends.writer.take(), let reader = ends.reader.take() else { preconditionFailure("a new ring") }
    let stage = CaptureStage(format: format, figures: figures, reader: reader)
    let chunk = [Int16](repeating: 1000, count: 80)
    var frame = [Int16](repeating: 0, count: 160)
    var silent = 0
    run(time, drift: drift) { _ in
      figures.hasMoved()
      if writer.write(chunk.span) < 80 { silent += 1 }
    } call: { turn in
      var part = AudioFrame(samples: frame.mutableSpan, direction: .transmit, stream: stream)
      _ = stage.process(&part)
      if turn > 50, frame[80] == 0 { silent += 1 }
    }
    #expect(silent == 0 && figures.lateFrames.load(ordering: .relaxed) == 0)
    #expect(figures.skipped.load(ordering: .relaxed) == 0)
    let measured = Double(figures.drift.load(ordering: .relaxed))
    #expect(abs(measured - drift) < 20, "\(measured) ppm measured, \(drift) ppm true")
    let made = figures.dropped.load(ordering: .relaxed) - figures.inserted.load(ordering: .relaxed)
    let due = drift * Double(seconds * format.sampleRate) / 1_000_000
    #expect(abs(Double(made) - due) < 400, "\(made) samples made up for, \(due) due")
    let waiting = writer.filled
    #expect(abs(waiting - 480) < 320, "\(waiting) samples wait")
  }

  @Test("a speaker whose clock is off is measured within 20 ppm, and never runs dry", arguments: [-300.0, 0, 800])
  func playback(_ drift: Double) {
    let time = VirtualTime()
    let figures = time.figures()
    var ends = PCMRing(capacity: 4096).ends()
    guard let writer = ends.writer.take(), var reader = ends.reader.take() else { preconditionFailure("a new ring") }
    let stage = PlaybackStage(format: format, figures: figures, writer: writer)
    var chunk = [Int16](repeating: 0, count: 80)
    var frame = [Int16](repeating: 1000, count: 160)
    var dry = 0
    var isStarted = false
    run(time, drift: drift) { _ in
      // A device starts when it has enough, as ALSA's threshold has it.
      isStarted = isStarted || reader.ready >= 480
      guard isStarted else { return }
      figures.hasMoved()
      var room = chunk.mutableSpan
      if reader.read(into: &room) < 80 { dry += 1 }
    } call: { _ in
      var part = AudioFrame(samples: frame.mutableSpan, direction: .receive, stream: stream)
      _ = stage.process(&part)
    }
    #expect(dry == 0 && figures.skipped.load(ordering: .relaxed) == 0)
    let measured = Double(figures.drift.load(ordering: .relaxed))
    #expect(abs(measured - drift) < 20, "\(measured) ppm measured, \(drift) ppm true")
    let waiting = reader.ready
    #expect(abs(waiting - 480) < 320, "\(waiting) samples wait")
  }
}
