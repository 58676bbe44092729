import Foundation
import Handoff
import ModuleKit
import Synchronization
import Testing

@testable import alsa

private let format = AudioFormat(sampleRate: 8000, channels: 1)
private let stream = StreamID(number: 1)

/// What a test's devices are, and what becomes of them.
private final class Rack: Sendable {
  /// Devices that are open now, and openings so far.
  let open = Atomic<Int>(0)
  let openings = Atomic<Int>(0)
  /// Nothing can be opened, and what is open is lost.
  let isUnplugged = Atomic<Bool>(false)
  /// What is open takes nothing.
  let isStill = Atomic<Bool>(false)
  let heard = Atomic<Int>(0)
  let lastHeard = Atomic<Int>(0)

  func device() throws(DeviceLoss) -> any PCMDevice {
    guard !self.isUnplugged.load(ordering: .relaxed) else { throw DeviceLoss(code: -ENODEV) }
    return FakeDevice(self)
  }
}

/// 10 ms of ones every 10 ms, and room for as much.
private final class FakeDevice: PCMDevice {
  private let rack: Rack
  init(_ rack: Rack) {
    self.rack = rack
    rack.open.add(1, ordering: .relaxed)
    rack.openings.add(1, ordering: .relaxed)
  }
  deinit { self.rack.open.subtract(1, ordering: .relaxed) }
  var queued: Int { 0 }
  var held: Int { 0 }
  func read(into target: inout MutableSpan<Int16>) throws(DeviceLoss) -> Int {
    try self.wait()
    for index in 0..<target.count { target[index] = 1 }
    return target.count
  }
  func write(_ source: Span<Int16>) throws(DeviceLoss) -> Int {
    try self.wait()
    guard !self.rack.isStill.load(ordering: .relaxed) else { return 0 }
    self.rack.lastHeard.store(Int(source[source.count - 1]), ordering: .relaxed)
    self.rack.heard.add(source.count, ordering: .relaxed)
    return source.count
  }
  private func wait() throws(DeviceLoss) {
    usleep(10_000)
    if self.rack.isUnplugged.load(ordering: .relaxed) { throw DeviceLoss(code: -ENODEV) }
  }
}

private func figures() -> DeviceFigures {
  DeviceFigures(stream: StreamID(number: 1), title: "capture fake", sampleRate: 8000)
}

private func waitFor(_ condition: () -> Bool) async throws -> Bool {
  for _ in 0..<3000 {
    if condition() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return false
}

@discardableResult private func process(_ stage: any AudioStage, _ direction: MediaDirection, _ fill: Int16 = 0) -> Int
{
  var samples = [Int16](repeating: fill, count: 160)
  var frame = AudioFrame(samples: samples.mutableSpan, direction: direction, stream: stream)
  _ = stage.process(&frame)
  return samples.count { $0 != 0 }
}

@Suite(.serialized) struct DeviceThreadTests {
  @Test("start and stop in quick succession, both ways, leaves no device open")
  func quickStartAndStop() async throws {
    let rack = Rack()
    for round in 0..<60 {
      let capture = DeviceThread.capture(format, figures()) { () throws(DeviceLoss) in try rack.device() }
      let playback = DeviceThread.playback(format, figures()) { () throws(DeviceLoss) in try rack.device() }
      process(capture, .transmit)
      process(playback, .receive, 1)
      // Some stop before their device is open, some after.
      if round % 3 == 0 { usleep(3000) }
      capture.finish(stream)
      playback.finish(stream)
      withExtendedLifetime((capture, playback)) {}
    }
    let areClosed = try await waitFor { rack.open.load(ordering: .relaxed) == 0 }
    #expect(areClosed, "\(rack.open.load(ordering: .relaxed)) devices are open")
    #expect(rack.openings.load(ordering: .relaxed) > 0)
  }

  @Test("a finished stage ends its device's thread while it is still held")
  func finishEnds() async throws {
    let rack = Rack()
    let capture = DeviceThread.capture(format, figures()) { () throws(DeviceLoss) in try rack.device() }
    #expect(try await waitFor { rack.open.load(ordering: .relaxed) == 1 })
    capture.finish(stream)
    #expect(try await waitFor { rack.open.load(ordering: .relaxed) == 0 })
    withExtendedLifetime(capture) {}
  }

  @Test("an unplugged device is silence, and it is heard again when it is back")
  func unplugged() async throws {
    let rack = Rack()
    let figures = figures()
    let capture = DeviceThread.capture(format, figures) { () throws(DeviceLoss) in try rack.device() }
    #expect(try await waitFor { process(capture, .transmit) > 0 })
    rack.isUnplugged.store(true, ordering: .relaxed)
    #expect(try await waitFor { figures.failures.load(ordering: .relaxed) >= 2 && process(capture, .transmit) == 0 })
    #expect(figures.lastFailure.load(ordering: .relaxed) == Int(-ENODEV))
    let isOpen = figures.isOpen.load(ordering: .relaxed)
    #expect(!isOpen)
    rack.isUnplugged.store(false, ordering: .relaxed)
    #expect(try await waitFor { process(capture, .transmit) > 0 })
    #expect(figures.openings.load(ordering: .relaxed) == 2)
    capture.finish(stream)
    #expect(try await waitFor { rack.open.load(ordering: .relaxed) == 0 })
  }

  @Test("what a lost player would play late is skipped and counted; it plays on when it is back")
  func lostPlayer() async throws {
    let rack = Rack()
    rack.isUnplugged.store(true, ordering: .relaxed)
    let figures = figures()
    let playback = DeviceThread.playback(format, figures) { () throws(DeviceLoss) in try rack.device() }
    for _ in 0..<50 { process(playback, .receive, 1) }
    // A second came, at most a quarter of it is kept.
    #expect(figures.skipped.load(ordering: .relaxed) >= 8000 - 2400)
    rack.isUnplugged.store(false, ordering: .relaxed)
    #expect(
      try await waitFor {
        process(playback, .receive, 1)
        return rack.heard.load(ordering: .relaxed) >= 1600
      })
    playback.finish(stream)
    #expect(try await waitFor { rack.open.load(ordering: .relaxed) == 0 })
  }

  @Test("a player that stood still plays what is new, not what waited meanwhile")
  func stillPlayer() async throws {
    let rack = Rack()
    rack.isStill.store(true, ordering: .relaxed)
    let figures = figures()
    let playback = DeviceThread.playback(format, figures) { () throws(DeviceLoss) in try rack.device() }
    for value in 1...100 {
      process(playback, .receive, Int16(value))
      try await Task.sleep(for: .milliseconds(10))
    }
    rack.isStill.store(false, ordering: .relaxed)
    #expect(try await waitFor { rack.heard.load(ordering: .relaxed) >= 480 })
    // Of two seconds, less than a quarter is left.
    #expect(figures.skipped.load(ordering: .relaxed) >= 12_000)
    #expect(rack.lastHeard.load(ordering: .relaxed) > 85)
    playback.finish(stream)
    #expect(try await waitFor { rack.open.load(ordering: .relaxed) == 0 })
  }

  @Test("a stream that was not served for long skips what is too old")
  func stalledStream() {
    var ends = PCMRing(capacity: 8192).ends()
    guard var writer = ends.writer.take(), let reader = ends.reader.take() else { preconditionFailure("a new ring") }
    let figures = figures()
    let stage = CaptureStage(format: format, figures: figures, reader: reader)
    #expect(process(stage, .transmit) == 0)
    let samples = [Int16](repeating: 1, count: 4000)
    let written = writer.write(samples.span)
    #expect(written == 4000)
    #expect(process(stage, .transmit) > 150)
    #expect(figures.skipped.load(ordering: .relaxed) == 4000 - 640)
    for _ in 0..<3 { #expect(process(stage, .transmit) == 160) }
    #expect(process(stage, .transmit) == 0)
    #expect(figures.lateFrames.load(ordering: .relaxed) == 1)
  }
}
