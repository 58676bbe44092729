internal import COpus
internal import ModuleKit
internal import NetBase

/// One libopus decoder; owned by one executor.
@safe final class OpusDecoder: AudioDecoder {
  let format: AudioFormat
  private let handle: OpaquePointer
  private var stamp = OwnerStamp("an Opus decoder")

  init(format: AudioFormat) throws(ModuleError) {
    var status: Int32 = 0
    guard let handle = unsafe opus_decoder_create(Int32(format.sampleRate), Int32(format.channels), &status) else {
      throw ModuleError(.unavailable, "opus: no decoder at \(format): \(reason(status))")
    }
    unsafe self.handle = handle
    self.format = format
  }

  deinit {
    self.stamp.touch()
    unsafe opus_decoder_destroy(self.handle)
  }

  func decode(_ payload: RawSpan, into samples: inout MutableSpan<Int16>) -> Int? {
    self.stamp.touch()
    // libopus takes an empty packet for a lost one.
    guard !payload.isEmpty else { return nil }
    let room = min(samples.count / self.format.channels, self.longest)
    let frames = self.decode(payload, isRedundant: false, into: &samples, at: 0, frames: room)
    return frames > 0 ? frames * self.format.channels : nil
  }

  func conceal(next: RawSpan?, into samples: inout MutableSpan<Int16>) {
    self.stamp.touch()
    let channels = self.format.channels
    // libopus conceals multiples of 2.5 ms, 120 ms at most. The next packet's redundancy (RFC 6716 §2.1.7) speaks of the
    // time just before it, so it belongs to the last piece; where it has none, libopus conceals that piece too.
    let step = self.format.sampleRate / 400
    var done = 0
    while samples.count / channels - done >= step {
      let rest = (samples.count / channels - done) / step * step
      let piece = rest > self.longest ? min(self.longest, rest - self.longest) : rest
      var frames: Int = 0
      if let next, !next.isEmpty, piece == rest {
        frames = self.decode(next, isRedundant: true, into: &samples, at: done, frames: piece)
      }
      if frames <= 0 { frames = self.decode(nil, isRedundant: false, into: &samples, at: done, frames: piece) }
      guard frames > 0 else { break }
      done += frames
    }
    for index in min(done * channels, samples.count)..<samples.count { samples[index] = 0 }
  }

  /// Samples of each channel in 120 ms, the longest that a packet may be.
  private var longest: Int { self.format.sampleRate * 120 / 1000 }

  /// Returns the samples of each channel, or libopus's negative status; nil instead of a packet conceals.
  private func decode(
    _ packet: RawSpan?, isRedundant: Bool, into samples: inout MutableSpan<Int16>, at offset: Int, frames: Int
  ) -> Int {
    let start = offset * self.format.channels
    return unsafe samples.withUnsafeMutableBufferPointer { pcm -> Int in
      guard let base = pcm.baseAddress else { return Int(OPUS_BAD_ARG) }
      guard let packet else {
        return unsafe Int(opus_decode(self.handle, nil, 0, base + start, Int32(frames), 0))
      }
      return unsafe packet.withUnsafeBytes { bytes -> Int in
        let data = unsafe bytes.baseAddress?.assumingMemoryBound(to: UInt8.self)
        return unsafe Int(
          opus_decode(
            self.handle, data, Int32(clamping: bytes.count), base + start, Int32(frames), isRedundant ? 1 : 0))
      }
    }
  }
}
