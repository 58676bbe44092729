internal import CLimit
internal import COpus
internal import ModuleKit
internal import opus

/// Opus as a call has it whose ends say nothing of it: 48 kHz, mono, with the module's own settings.
struct BenchOpus {
  private let codec: OpusCodec
  private let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)

  init() throws {
    self.codec = try Opus(settings: ModuleSettings(keys: Opus.configKeys)).codec
  }

  func makeEncoder() throws -> any AudioEncoder { try self.codec.makeEncoder(self.parameters)() }

  /// The same settings, for the C program.
  var limit: climit_opus {
    let settings = self.codec.encoderSettings(self.parameters)
    return climit_opus(
      application: settings.isVoIP ? OPUS_APPLICATION_VOIP : OPUS_APPLICATION_AUDIO,
      bitrate: Int32(settings.bitrate), vbr: settings.isConstantBitrate ? 0 : 1,
      inband_fec: settings.hasInbandFEC ? 1 : 0, dtx: settings.hasDTX ? 1 : 0, max_bandwidth: settings.maxBandwidth,
      complexity: Int32(settings.complexity), packet_loss: Int32(settings.packetLoss))
  }
}
