internal import Glibc
internal import Handoff
internal import ModuleKit
internal import Synchronization

/// What one use of a device came to; written by the device's thread and by the stream, read by anyone.
final class DeviceFigures: Sendable {
  let stream: StreamID
  /// `capture default`
  let title: String
  let sampleRate: Int
  /// The stream is done with the device: its thread ends.
  let isFinished = Atomic<Bool>(false)
  let isOpen = Atomic<Bool>(false)
  /// Times that the device was opened.
  let openings = Atomic<Int>(0)
  /// Times that it could not be opened, or was lost; and the library's code for the last.
  let failures = Atomic<Int>(0)
  let lastFailure = Atomic<Int>(0)
  /// Buffers of the device that ran over or empty, and suspensions.
  let interruptions = Atomic<Int>(0)
  /// Blocks until what it is given now is played; -1 while the device shows no clock of its own, as ALSA's `null` does.
  let queued = Atomic<Int>(-1)
  /// Blocks that wait in the device's own buffer; a Bluetooth headset is far behind it.
  let held = Atomic<Int>(0)
  /// Milliseconds of the stream's frames; 0 before the first.
  let frame = Atomic<Int>(0)
  /// Parts per million by which the device's clock is faster than the call's.
  let drift = Atomic<Int>(0)
  /// Blocks put in and left out to make up for it.
  let inserted = Atomic<Int>(0)
  let dropped = Atomic<Int>(0)
  /// Frames that were silent, or lost, because the other side was late, and blocks that were skipped at once.
  let lateFrames = Atomic<Int>(0)
  let skipped = Atomic<Int>(0)

  /// When the device's thread last looked, in nanoseconds.
  private let looked = Atomic<Int>(0)
  private let clock: @Sendable () -> Int

  init(
    stream: StreamID, title: String, sampleRate: Int, clock: @escaping @Sendable () -> Int = monotonicClock
  ) {
    self.stream = stream
    self.title = title
    self.sampleRate = sampleRate
    self.clock = clock
  }

  func looked(queued: Int, held: Int) {
    self.looked.store(self.clock(), ordering: .relaxed)
    self.queued.store(queued, ordering: .relaxed)
    self.held.store(held, ordering: .relaxed)
  }

  /// Blocks that the device heard or played since its thread last looked. Without them the level would be a staircase,
  /// and its steps would be taken for drift.
  var blocksSince: Int {
    let nanoseconds = self.clock() - self.looked.load(ordering: .relaxed)
    return max(0, min(nanoseconds, 50_000_000)) * self.sampleRate / 1_000_000_000
  }

  /// Milliseconds that should wait: a whole frame is taken at once, and 60 more are for a device that is late.
  var depth: Int { max(CaptureStage.depth, self.frame.load(ordering: .relaxed) + 60) }

  var isWanted: Bool { !self.isFinished.load(ordering: .acquiring) }

  func opened() {
    self.openings.add(1, ordering: .relaxed)
    self.isOpen.store(true, ordering: .relaxed)
  }

  func closed() {
    self.isOpen.store(false, ordering: .relaxed)
    self.queued.store(-1, ordering: .relaxed)
    self.held.store(0, ordering: .relaxed)
  }

  /// - Parameter code: the library's, which is negative.
  func failed(_ code: Int32) {
    self.failures.add(1, ordering: .relaxed)
    self.lastFailure.store(Int(code), ordering: .relaxed)
  }

  /// One line for people.
  func line(_ words: (Int32) -> String) -> String {
    func value(_ counter: borrowing Atomic<Int>) -> Int { counter.load(ordering: .relaxed) }
    let failures = value(self.failures)
    let failed = failures == 0 ? "" : " (last: \(words(Int32(clamping: value(self.lastFailure)))))"
    let state = self.isOpen.load(ordering: .relaxed) ? "open" : "silent"
    return
      "\(self.title), \(self.sampleRate) Hz, \(state): opened \(value(self.openings)), failed \(failures)\(failed), "
      + "interrupted \(value(self.interruptions)), drift \(value(self.drift)) ppm, "
      + "inserted \(value(self.inserted)), dropped \(value(self.dropped)), late \(value(self.lateFrames)), "
      + "skipped \(value(self.skipped))"
  }
}

/// Nanoseconds.
@Sendable func monotonicClock() -> Int {
  var time = timespec()
  _ = unsafe clock_gettime(CLOCK_MONOTONIC, &time)
  return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The uses of devices that one agent has, and the last that it had.
struct DeviceShelf {
  private static let most = 8
  private var all: [DeviceFigures] = []

  mutating func add(_ figures: DeviceFigures) {
    self.all.append(figures)
    while self.all.count > Self.most, let done = self.all.firstIndex(where: { $0.isFinished.load(ordering: .relaxed) })
    {
      self.all.remove(at: done)
    }
  }

  var figures: [DeviceFigures] { self.all }
}
