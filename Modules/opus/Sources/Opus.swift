internal import COpus
package import ModuleKit

/// Opus (RFC 6716) over RTP (RFC 7587), by libopus.
package struct Opus: Module {
  package static let name = "opus"
  package static let summary = "Opus audio codec (RFC 6716, RFC 7587)"
  package static var libraryVersion: String? { unsafe String(cString: opus_get_version_string()) }

  package static let configKeys = [
    ConfigKey(
      "opus_bitrate", .integer(6000...510_000), default: "28000",
      help: "Bit/s that is sent; asked of the peer when it is not the default"),
    ConfigKey(
      "opus_stereo", .bool, default: "yes",
      help: "Tell the peer that stereo is welcome, and send it when the peer says the same"),
    ConfigKey(
      "opus_sprop_stereo", .bool, default: "yes", help: "Tell the peer that we may send stereo, and play the peer's"),
    ConfigKey("opus_cbr", .bool, default: "no", help: "Constant bit rate, both ways"),
    ConfigKey("opus_inbandfec", .bool, default: "no", help: "Ask the peer for in-band forward error correction"),
    ConfigKey(
      "opus_dtx", .bool, default: "no", help: "Send nothing while there is silence, and ask the same of the peer"),
    ConfigKey("opus_mirror", .bool, default: "no", help: "Answer an offer with its own parameters"),
    ConfigKey("opus_complexity", .integer(0...10), default: "10", help: "Effort of the encoder, 0 to 10"),
    ConfigKey("opus_application", .choice(["audio", "voip"]), default: "audio", help: "What the encoder is tuned for"),
    ConfigKey(
      "opus_samplerate", .choice(["48000", "24000", "16000", "12000", "8000"]), default: "48000",
      help: "Rate of the samples on our side, in Hz; RTP always counts 48000"),
    ConfigKey(
      "opus_packet_loss", .integer(0...100), default: "0",
      help: "Loss to be ready for, in percent, however little the peer reports"),
  ]

  package let codec: OpusCodec

  package init(settings: ModuleSettings) throws(ModuleError) {
    self.codec = OpusCodec(
      bitrate: settings.integer("opus_bitrate"),
      asksForBitrate: settings.string("opus_bitrate") != "28000",
      own: OpusParameters(
        stereo: settings.bool("opus_stereo"),
        spropStereo: settings.bool("opus_sprop_stereo"),
        cbr: settings.bool("opus_cbr"),
        useInbandFEC: settings.bool("opus_inbandfec"),
        useDTX: settings.bool("opus_dtx")),
      isMirror: settings.bool("opus_mirror"),
      complexity: settings.integer("opus_complexity"),
      isVoIP: settings.string("opus_application") == "voip",
      sampleRate: settings.integer("opus_samplerate"),
      packetLoss: settings.integer("opus_packet_loss"))
  }

  package var facets: [Facet] { [.codec(self.codec)] }
}
