internal import COpus
package import ModuleKit

/// What SDP says about Opus, and how the negotiated parameters become the settings of an encoder and a decoder.
package struct OpusCodec: AudioCodec {
  /// Bit/s that is sent when neither the call nor the peer says otherwise.
  let bitrate: Int
  /// Whether the peer is asked for that bit rate too.
  let asksForBitrate: Bool
  /// What is configured for our side.
  let own: OpusParameters
  let isMirror: Bool
  let complexity: Int
  let isVoIP: Bool
  let sampleRate: Int
  let packetLoss: Int

  // RFC 7587 §7: the rtpmap is always opus/48000/2, whatever is sent.
  package var encodingName: String { "opus" }
  package var clockRate: Int { 48_000 }
  package var channels: Int { 2 }
  package var staticPayloadType: UInt8? { nil }

  package var offeredParameters: String? {
    var parameters = self.own
    if self.asksForBitrate { parameters.maxAverageBitrate = self.bitrate }
    if self.sampleRate < 48_000 { parameters.maxPlaybackRate = self.sampleRate }
    // "No" is what silence means for these (RFC 7587 §6.1).
    if parameters.cbr == false { parameters.cbr = nil }
    if parameters.useInbandFEC == false { parameters.useInbandFEC = nil }
    if parameters.useDTX == false { parameters.useDTX = nil }
    return parameters.text
  }

  /// Each side's parameters are its own wishes (RFC 7587 §7.1), so an answer says what an offer would, unless
  /// `opus_mirror` asks for the peer's own.
  package func answeredParameters(to remote: String?) -> String? {
    let mirrored = OpusParameters(remote).text
    return self.isMirror && !mirrored.isEmpty ? mirrored : self.offeredParameters
  }

  /// RFC 7587 §6.1 lets a packet hold any multiple of a frame, such as 30 ms; libopus encodes these.
  package func packetTime(fitting agreed: Int) -> Int {
    [120, 100, 80, 60, 40, 20, 10].first { $0 <= agreed } ?? 5
  }

  package func makeEncoder(_ parameters: CodecParameters)
    -> @Sendable () throws(ModuleError) -> sending any AudioEncoder
  {
    let settings = self.encoderSettings(parameters)
    return { () throws(ModuleError) in try OpusEncoder(settings) }
  }

  package func makeDecoder(_ parameters: CodecParameters)
    -> @Sendable () throws(ModuleError) -> sending any AudioDecoder
  {
    let format = self.decoderFormat(parameters)
    return { () throws(ModuleError) in try OpusDecoder(format: format) }
  }

  /// What is sent: the peer's wishes, within what is configured.
  package func encoderSettings(_ parameters: CodecParameters) -> EncoderSettings {
    let remote = OpusParameters(parameters.remoteParameters)
    let isStereo = self.own.stereo == true && remote.stereo == true
    let wanted = min(max(parameters.bitrate ?? self.bitrate, 6000), 510_000)
    return EncoderSettings(
      format: AudioFormat(sampleRate: self.sampleRate, channels: isStereo ? 2 : 1),
      bitrate: min(wanted, remote.maxAverageBitrate ?? wanted),
      isConstantBitrate: self.own.cbr == true || remote.cbr == true,
      // Of use only to a decoder that has it.
      hasInbandFEC: remote.useInbandFEC == true,
      hasDTX: remote.useDTX ?? (self.own.useDTX == true),
      maxBandwidth: bandwidth(playbackRate: remote.maxPlaybackRate),
      complexity: self.complexity,
      isVoIP: self.isVoIP,
      packetLoss: self.packetLoss)
  }

  /// A decoder turns whatever arrives into its own channels (RFC 7587 §3.4).
  package func decoderFormat(_ parameters: CodecParameters) -> AudioFormat {
    let remote = OpusParameters(parameters.remoteParameters)
    let isStereo = self.own.stereo == true && remote.spropStereo == true
    return AudioFormat(sampleRate: self.sampleRate, channels: isStereo ? 2 : 1)
  }
}

/// Everything that an encoder is told when it is made.
package struct EncoderSettings: Hashable, Sendable {
  package var format: AudioFormat
  /// Bit/s.
  package var bitrate: Int
  package var isConstantBitrate: Bool
  package var hasInbandFEC: Bool
  package var hasDTX: Bool
  /// One of libopus's `OPUS_BANDWIDTH_*`.
  package var maxBandwidth: Int32
  package var complexity: Int
  package var isVoIP: Bool
  /// Percent.
  package var packetLoss: Int

  package init(
    format: AudioFormat, bitrate: Int, isConstantBitrate: Bool = false, hasInbandFEC: Bool = false,
    hasDTX: Bool = false, maxBandwidth: Int32 = OPUS_BANDWIDTH_FULLBAND, complexity: Int = 10, isVoIP: Bool = false,
    packetLoss: Int = 0
  ) {
    self.format = format
    self.bitrate = bitrate
    self.isConstantBitrate = isConstantBitrate
    self.hasInbandFEC = hasInbandFEC
    self.hasDTX = hasDTX
    self.maxBandwidth = maxBandwidth
    self.complexity = complexity
    self.isVoIP = isVoIP
    self.packetLoss = packetLoss
  }
}

/// The widest band that a peer can play, by its `maxplaybackrate` (RFC 7587 §3.1.1 and §6.1).
private func bandwidth(playbackRate: Int?) -> Int32 {
  switch playbackRate ?? 48_000 {
  case ..<12_000: OPUS_BANDWIDTH_NARROWBAND
  case ..<16_000: OPUS_BANDWIDTH_MEDIUMBAND
  case ..<24_000: OPUS_BANDWIDTH_WIDEBAND
  case ..<48_000: OPUS_BANDWIDTH_SUPERWIDEBAND
  default: OPUS_BANDWIDTH_FULLBAND
  }
}
