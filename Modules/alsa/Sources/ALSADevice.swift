#if ALSA
  internal import CAlsa
  internal import Glibc
  internal import ModuleKit
  internal import NetBase
  internal import Synchronization

  /// One PCM of ALSA's, open for reading or for writing; 16-bit samples, the library converts what the card has not.
  @safe final class ALSADevice: PCMDevice {
    /// Milliseconds that the device may hold, and that it is waited for at once.
    private static let buffer = 120
    private static let patience: Int32 = 100
    /// So often in a row a wait may end without anything; then the device counts as lost.
    private static let mostWaits = 50

    private let handle: OpaquePointer
    private let channels: Int
    private let rate: Int
    private let isCapture: Bool
    /// Blocks that its buffer has room for.
    private let size: Int
    private let figures: DeviceFigures
    private var stamp = OwnerStamp("an ALSA device")
    private var waits = 0
    /// It had nothing once, or no room: it goes by a clock.
    private var hasClock = false

    init(
      _ name: String, _ direction: MediaDirection, _ format: AudioFormat, _ figures: DeviceFigures
    ) throws(DeviceLoss) {
      var handle: OpaquePointer?
      let isCapture = direction == .transmit
      let stream = isCapture ? SND_PCM_STREAM_CAPTURE : SND_PCM_STREAM_PLAYBACK
      let status = unsafe snd_pcm_open(&handle, name, stream, Int32(SND_PCM_NONBLOCK))
      guard status == 0, let handle = unsafe handle else { throw DeviceLoss(code: status) }
      let latency = UInt32(Self.buffer * 1000)
      let setting = unsafe snd_pcm_set_params(
        handle, SND_PCM_FORMAT_S16_LE, SND_PCM_ACCESS_RW_INTERLEAVED, UInt32(format.channels),
        UInt32(format.sampleRate), 1, latency)
      guard setting == 0 else {
        unsafe snd_pcm_close(handle)
        throw DeviceLoss(code: setting)
      }
      var (size, period): (snd_pcm_uframes_t, snd_pcm_uframes_t) = (0, 0)
      _ = unsafe snd_pcm_get_params(handle, &size, &period)
      self.size = Int(size)
      unsafe self.handle = handle
      (self.channels, self.rate, self.isCapture) = (format.channels, format.sampleRate, isCapture)
      self.figures = figures
      if isCapture { _ = unsafe snd_pcm_start(handle) } else { self.startEarly(format) }
    }

    deinit {
      self.stamp.touch()
      unsafe snd_pcm_drop(self.handle)
      unsafe snd_pcm_close(self.handle)
    }

    var queued: Int {
      self.stamp.touch()
      guard self.hasClock else { return -1 }
      guard !self.isCapture else { return 0 }
      var delay: snd_pcm_sframes_t = 0
      guard unsafe snd_pcm_delay(self.handle, &delay) == 0 else { return 0 }
      return max(0, delay)
    }

    var held: Int {
      self.stamp.touch()
      guard self.hasClock, !self.isCapture else { return 0 }
      let room = unsafe snd_pcm_avail_update(self.handle)
      return room < 0 ? 0 : max(0, self.size - room)
    }

    func read(into target: inout MutableSpan<Int16>) throws(DeviceLoss) -> Int {
      self.stamp.touch()
      let blocks = UInt(target.count / self.channels)
      let count = unsafe target.withUnsafeMutableBufferPointer { room in
        unsafe snd_pcm_readi(self.handle, room.baseAddress, blocks)
      }
      return try self.result(count)
    }

    func write(_ source: Span<Int16>) throws(DeviceLoss) -> Int {
      self.stamp.touch()
      let blocks = UInt(source.count / self.channels)
      let count = unsafe source.withUnsafeBufferPointer { samples in
        unsafe snd_pcm_writei(self.handle, samples.baseAddress, blocks)
      }
      let written = try self.result(count)
      // The null device has played before it was asked; every other one holds what it was given for a while.
      var delay: snd_pcm_sframes_t = 0
      if !self.hasClock, written > 0, unsafe snd_pcm_delay(self.handle, &delay) == 0, delay > 0 { self.hasClock = true }
      return written
    }

    /// Samples, after a wait or a repair where the library wants one.
    private func result(_ count: snd_pcm_sframes_t) throws(DeviceLoss) -> Int {
      switch Int32(clamping: count) {
      case 1...:
        self.waits = 0
        return count * self.channels
      case 0, -EAGAIN:
        try self.wait()
      case let code where code == -EPIPE || code == -ESTRPIPE:
        self.figures.interruptions.add(1, ordering: .relaxed)
        let status = unsafe snd_pcm_recover(self.handle, code, 1)
        guard status == 0 else { throw DeviceLoss(code: status) }
        if self.isCapture { _ = unsafe snd_pcm_start(self.handle) }
      case -EINTR: break
      case let code: throw DeviceLoss(code: code)
      }
      return 0
    }

    private func wait() throws(DeviceLoss) {
      self.hasClock = true
      self.waits += 1
      guard self.waits <= Self.mostWaits else { throw DeviceLoss(code: -ETIMEDOUT) }
      let status = unsafe snd_pcm_wait(self.handle, Self.patience)
      // What went wrong shows with the next samples, unless the device is gone.
      if status < 0, status != -EPIPE, status != -ESTRPIPE, status != -EINTR { throw DeviceLoss(code: status) }
    }

    /// A player starts with what the stream keeps ahead, not with a full buffer, unless that is all that it takes.
    private func startEarly(_ format: AudioFormat) {
      var settings: OpaquePointer?
      guard unsafe snd_pcm_sw_params_malloc(&settings) == 0, let settings = unsafe settings else { return }
      defer { unsafe snd_pcm_sw_params_free(settings) }
      let start = format.sampleRate * CaptureStage.depth / 1000
      guard start < self.size, unsafe snd_pcm_sw_params_current(self.handle, settings) == 0 else { return }
      unsafe snd_pcm_sw_params_set_start_threshold(self.handle, settings, UInt(start))
      unsafe snd_pcm_sw_params(self.handle, settings)
    }
  }
#endif
