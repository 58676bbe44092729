internal import CSpeexDSP
package import ModuleKit
internal import NetBase

/// Converts interleaved 16-bit samples between rates, and between mono and stereo; owned by one executor.
///
/// It allocates when it is made, never in `process`. Equal rates are copied without delay; otherwise what comes out is
/// `latency` samples late, as the filter has to see what follows.
@safe package final class Resampler {
  package let input: AudioFormat
  package let output: AudioFormat
  /// Samples of each channel, at the output's rate.
  package let latency: Int
  private let handle: OpaquePointer?
  /// The channels that are resampled: the fewer of both sides.
  private let channels: Int
  /// Room for samples between the conversion of channels and that of rates.
  private var scratch: [Int16]
  private var stamp = OwnerStamp("a resampler")

  private static let scratchFrames = 960

  /// - Parameter quality: 0 to 10; 8 keeps speech clean, 3 costs a third.
  package init(from input: AudioFormat, to output: AudioFormat, quality: Int = 8) throws(ModuleError) {
    for format in [input, output] where !(1...2 ~= format.channels && 1000...384_000 ~= format.sampleRate) {
      throw ModuleError(.configuration, "resampler: \(format) is neither mono nor stereo at 1000 to 384000 Hz")
    }
    self.input = input
    self.output = output
    self.channels = min(input.channels, output.channels)
    self.scratch = [Int16](repeating: 0, count: Self.scratchFrames * self.channels)
    guard input.sampleRate != output.sampleRate else {
      unsafe self.handle = nil
      self.latency = 0
      return
    }
    var status: Int32 = 0
    let handle = unsafe speex_resampler_init(
      UInt32(self.channels), UInt32(input.sampleRate), UInt32(output.sampleRate), Int32(min(max(quality, 0), 10)),
      &status)
    guard let handle = unsafe handle else {
      let reason = unsafe speex_resampler_strerror(status).map { unsafe String(cString: $0) } ?? "status \(status)"
      throw ModuleError(.unavailable, "resampler: no conversion from \(input) to \(output): \(reason)")
    }
    unsafe self.handle = handle
    self.latency = unsafe Int(speex_resampler_get_output_latency(handle))
  }

  deinit {
    self.stamp.touch()
    if let handle = unsafe self.handle { unsafe speex_resampler_destroy(handle) }
  }

  /// Converts as much of `input` as `output` has room for.
  ///
  /// - Returns: samples of all channels; what was not consumed must be offered again. An incomplete last block of
  ///   channels is never consumed.
  package func process(
    _ input: Span<Int16>, into output: inout MutableSpan<Int16>
  ) -> (consumed: Int, produced: Int) {
    self.stamp.touch()
    let frames = input.count / self.input.channels
    let room = output.count / self.output.channels
    var (consumed, produced) = (0, 0)
    while consumed < frames, produced < room {
      let step =
        if self.input.channels > self.output.channels {
          self.downmixed(input, consumed, frames, into: &output, produced, room)
        } else if self.input.channels < self.output.channels {
          self.duplicated(input, consumed, frames, into: &output, produced, room)
        } else {
          self.converted(input, consumed, frames, into: &output, produced, room)
        }
      guard step.consumed > 0 || step.produced > 0 else { break }
      consumed += step.consumed
      produced += step.produced
    }
    return (consumed * self.input.channels, produced * self.output.channels)
  }

  // Below, everything counts blocks of all channels ("frames"): `read` of `frames` and `written` of `room`.

  private func converted(
    _ input: Span<Int16>, _ read: Int, _ frames: Int, into output: inout MutableSpan<Int16>, _ written: Int, _ room: Int
  ) -> (consumed: Int, produced: Int) {
    unsafe input.withUnsafeBufferPointer { source in
      unsafe output.withUnsafeMutableBufferPointer { target in
        guard let source = source.baseAddress, let target = target.baseAddress else { return (0, 0) }
        return unsafe self.resample(
          source + read * self.channels, frames - read, target + written * self.channels, room - written)
      }
    }
  }

  /// Stereo to mono, then the rate.
  private func downmixed(
    _ input: Span<Int16>, _ read: Int, _ frames: Int, into output: inout MutableSpan<Int16>, _ written: Int, _ room: Int
  ) -> (consumed: Int, produced: Int) {
    let count = min(frames - read, Self.scratchFrames)
    for index in 0..<count {
      let (left, right) = (Int32(input[2 * (read + index)]), Int32(input[2 * (read + index) + 1]))
      self.scratch[index] = Int16(truncatingIfNeeded: (left + right) >> 1)
    }
    return unsafe self.scratch.withUnsafeBufferPointer { scratch in
      unsafe output.withUnsafeMutableBufferPointer { target in
        guard let scratch = scratch.baseAddress, let target = target.baseAddress else { return (0, 0) }
        return unsafe self.resample(scratch, count, target + written, room - written)
      }
    }
  }

  /// The rate, then mono to stereo.
  private func duplicated(
    _ input: Span<Int16>, _ read: Int, _ frames: Int, into output: inout MutableSpan<Int16>, _ written: Int, _ room: Int
  ) -> (consumed: Int, produced: Int) {
    let step = unsafe input.withUnsafeBufferPointer { source in
      unsafe self.scratch.withUnsafeMutableBufferPointer { scratch -> (consumed: Int, produced: Int) in
        guard let source = source.baseAddress, let target = scratch.baseAddress else { return (0, 0) }
        return unsafe self.resample(source + read, frames - read, target, min(room - written, Self.scratchFrames))
      }
    }
    for index in 0..<step.produced {
      output[2 * (written + index)] = self.scratch[index]
      output[2 * (written + index) + 1] = self.scratch[index]
    }
    return step
  }

  private func resample(
    _ source: UnsafePointer<Int16>, _ frames: Int, _ target: UnsafeMutablePointer<Int16>, _ room: Int
  ) -> (consumed: Int, produced: Int) {
    guard let handle = unsafe self.handle else {
      let count = min(frames, room)
      unsafe target.update(from: source, count: count * self.channels)
      return (count, count)
    }
    var consumed = UInt32(clamping: frames)
    var produced = UInt32(clamping: room)
    let status = unsafe speex_resampler_process_interleaved_int(handle, source, &consumed, target, &produced)
    return status == 0 ? (Int(consumed), Int(produced)) : (0, 0)
  }
}
