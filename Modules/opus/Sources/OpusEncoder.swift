internal import COpus
internal import ModuleKit
internal import NetBase

/// One libopus encoder; owned by one executor.
///
/// A stereo encoder that is fed twice the same channel, as a mono source gives, codes it once.
@safe final class OpusEncoder: AudioEncoder {
  let format: AudioFormat
  private let handle: OpaquePointer
  private let settings: EncoderSettings
  private var isForcedMono = false
  private var stamp = OwnerStamp("an Opus encoder")

  init(_ settings: EncoderSettings) throws(ModuleError) {
    var status: Int32 = 0
    let application = settings.isVoIP ? OPUS_APPLICATION_VOIP : OPUS_APPLICATION_AUDIO
    guard
      let handle = unsafe opus_encoder_create(
        Int32(settings.format.sampleRate), Int32(settings.format.channels), application, &status)
    else {
      throw ModuleError(.unavailable, "opus: no encoder at \(settings.format): \(reason(status))")
    }
    unsafe self.handle = handle
    self.format = settings.format
    self.settings = settings
    for (request, value) in [
      (OPUS_SET_BITRATE_REQUEST, settings.bitrate),
      (OPUS_SET_VBR_REQUEST, settings.isConstantBitrate ? 0 : 1),
      (OPUS_SET_INBAND_FEC_REQUEST, settings.hasInbandFEC ? 1 : 0),
      (OPUS_SET_DTX_REQUEST, settings.hasDTX ? 1 : 0),
      (OPUS_SET_MAX_BANDWIDTH_REQUEST, Int(settings.maxBandwidth)),
      (OPUS_SET_COMPLEXITY_REQUEST, settings.complexity),
      (OPUS_SET_PACKET_LOSS_PERC_REQUEST, settings.packetLoss),
    ] {
      let status = self.set(request, value)
      guard status == OPUS_OK else {
        throw ModuleError(.unavailable, "opus: the encoder refuses setting \(request) = \(value): \(reason(status))")
      }
    }
  }

  deinit {
    self.stamp.touch()
    unsafe opus_encoder_destroy(self.handle)
  }

  func encode(_ samples: Span<Int16>, into payload: inout MutableRawSpan) -> EncodeResult {
    self.stamp.touch()
    self.followChannels(of: samples)
    let frames = Int32(samples.count / self.format.channels)
    let length = unsafe samples.withUnsafeBufferPointer { pcm -> Int32 in
      unsafe payload.withUnsafeMutableBytes { room -> Int32 in
        guard let pcm = pcm.baseAddress, let bytes = room.baseAddress else { return OPUS_BAD_ARG }
        return unsafe opus_encode(
          self.handle, pcm, frames, bytes.assumingMemoryBound(to: UInt8.self), Int32(clamping: room.count))
      }
    }
    guard length > 0 else { return .failed }
    // opus.h: "If the return value is 2 bytes or less, then the packet does not need to be transmitted (DTX)."
    return self.settings.hasDTX && length <= 2 ? .silence : .payload(Int(length))
  }

  func adapt(lossPercent: Int) {
    _ = self.set(OPUS_SET_PACKET_LOSS_PERC_REQUEST, min(max(lossPercent, self.settings.packetLoss, 0), 100))
  }

  /// What libopus reports; for tests.
  func value(of request: Int32) -> Int {
    self.stamp.touch()
    var value: Int32 = 0
    return unsafe copus_encoder_get(self.handle, request, &value) == OPUS_OK ? Int(value) : -1
  }

  private func followChannels(of samples: Span<Int16>) {
    guard self.format.channels == 2 else { return }
    let isMono = stride(from: 0, to: samples.count - 1, by: 2).allSatisfy { samples[$0] == samples[$0 + 1] }
    guard isMono != self.isForcedMono else { return }
    self.isForcedMono = isMono
    _ = self.set(OPUS_SET_FORCE_CHANNELS_REQUEST, isMono ? 1 : Int(OPUS_AUTO))
  }

  private func set(_ request: Int32, _ value: Int) -> Int32 {
    self.stamp.touch()
    return unsafe copus_encoder_set(self.handle, request, Int32(clamping: value))
  }
}

/// libopus's words for a status.
func reason(_ status: Int32) -> String {
  guard let text = unsafe opus_strerror(status) else { return "status \(status)" }
  return unsafe String(cString: text)
}
