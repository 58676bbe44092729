internal import Glibc
internal import Handoff
internal import ModuleKit
internal import Runtime
internal import Synchronization

/// A device that is open; it lives and ends on its thread.
protocol PCMDevice: AnyObject {
  /// Blocks of all channels until what it is given now is played, 0 for a microphone; -1 when it shows no clock of its own.
  var queued: Int { get }
  /// Blocks that wait in its own buffer to be played.
  var held: Int { get }
  /// Samples read, 0 when none came within a tenth of a second.
  func read(into target: inout MutableSpan<Int16>) throws(DeviceLoss) -> Int
  /// Samples written, 0 when none fitted within a tenth of a second.
  func write(_ source: Span<Int16>) throws(DeviceLoss) -> Int
}

/// A device that can't be opened or is gone, by the library's code.
struct DeviceLoss: Error, Hashable {
  let code: Int32
}

/// The thread of one use of a device: opens it, moves samples between it and the ring, and opens it again when it was
/// lost, until the stream is done with it.
enum DeviceThread {
  typealias Opening = @Sendable () throws(DeviceLoss) -> any PCMDevice

  /// Milliseconds that a device is read or written at once, and that the thread sleeps in one piece.
  private static let turn = 10
  /// Milliseconds that may wait for a player beyond what should be there; of more, the oldest is skipped.
  private static let headroom = 80
  private static let longestPause = 1000

  static func capture(_ format: AudioFormat, _ figures: DeviceFigures, open: @escaping Opening) -> CaptureStage {
    let ring = PCMRing(capacity: format.sampleCount(milliseconds: 500))
    var ends = ring.ends()
    guard let reader = ends.reader.take() else { preconditionFailure("the ring is new") }
    let slot = Locked(ends.writer.take())
    self.start(figures) {
      guard var writer = slot.withLock({ $0.take() }) else { return }
      var chunk = [Int16](repeating: 0, count: format.sampleCount(milliseconds: Self.turn))
      Self.keepOpen(figures, open) { device throws(DeviceLoss) in
        let frame = figures.frame.load(ordering: .relaxed)
        let most = format.sampleCount(milliseconds: max(CaptureStage.most / 2, figures.depth + frame))
        // A device without a clock brings whatever it is asked for: what it has stays there.
        guard writer.filled < most || device.queued >= 0 else { return false }
        var room = chunk.mutableSpan
        let count = try device.read(into: &room)
        let written = writer.write(room.span.extracting(..<count))
        if written < count { figures.skipped.add((count - written) / format.channels, ordering: .relaxed) }
        return true
      }
    }
    return CaptureStage(format: format, figures: figures, reader: reader)
  }

  static func playback(_ format: AudioFormat, _ figures: DeviceFigures, open: @escaping Opening) -> PlaybackStage {
    let ring = PCMRing(capacity: format.sampleCount(milliseconds: 500))
    var ends = ring.ends()
    guard let writer = ends.writer.take() else { preconditionFailure("the ring is new") }
    let slot = Locked(ends.reader.take())
    self.start(figures) {
      guard var reader = slot.withLock({ $0.take() }) else { return }
      var chunk = [Int16](repeating: 0, count: format.sampleCount(milliseconds: Self.turn))
      var (start, end) = (0, 0)
      Self.keepOpen(figures, open) { device throws(DeviceLoss) in
        Self.skipOld(&reader, format, figures)
        if start == end {
          var room = chunk.mutableSpan
          (start, end) = (0, reader.read(into: &room))
        }
        let isIdle = start == end
        if !isIdle { start += try device.write(chunk.span.extracting(start..<end)) }
        return !isIdle
      }
    }
    return PlaybackStage(format: format, figures: figures, writer: writer)
  }

  /// Opens the device and lets `step` move samples, which says whether there were any; until the stream is done.
  private static func keepOpen(
    _ figures: DeviceFigures, _ open: Opening, step: (any PCMDevice) throws(DeviceLoss) -> Bool
  ) {
    var pause = Self.turn
    while figures.isWanted {
      do throws(DeviceLoss) {
        let device = try open()
        figures.opened()
        defer { figures.closed() }
        pause = Self.turn
        while figures.isWanted {
          if try !step(device) { usleep(UInt32(Self.turn * 1000)) }
          figures.looked(queued: device.queued, held: device.held)
        }
      } catch {
        figures.failed(error.code)
      }
      for _ in 0..<(pause / Self.turn) where figures.isWanted { usleep(UInt32(Self.turn * 1000)) }
      pause = min(2 * pause, Self.longestPause)
    }
  }

  /// After a stop of the device, or its return: what it would play late is not played.
  static func skipOld(_ reader: inout PCMReader, _ format: AudioFormat, _ figures: DeviceFigures) {
    let held = figures.held.load(ordering: .relaxed) * format.channels
    guard reader.ready + held > format.sampleCount(milliseconds: figures.depth + Self.headroom) else { return }
    let excess = reader.ready + held - format.sampleCount(milliseconds: figures.depth)
    let skipped = reader.skip(excess / format.channels * format.channels)
    figures.skipped.add(skipped / format.channels, ordering: .relaxed)
  }

  private static func start(_ figures: DeviceFigures, _ body: @escaping @Sendable () -> Void) {
    if !DetachedThread.start(name: "alsa", body) { figures.failed(-EAGAIN) }
  }
}
