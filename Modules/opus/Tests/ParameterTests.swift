import COpus
import ModuleKit
import Testing
import opus

@Suite("Opus parameters (RFC 7587 §6.1)") struct ParameterTests {
  @Test(
    "the configuration shows in the offer",
    arguments: [
      ([:], "stereo=1;sprop-stereo=1"),
      (["opus_stereo": "no", "opus_sprop_stereo": "no"], "stereo=0;sprop-stereo=0"),
      (["opus_bitrate": "64000"], "stereo=1;sprop-stereo=1;maxaveragebitrate=64000"),
      (["opus_cbr": "yes"], "stereo=1;sprop-stereo=1;cbr=1"),
      (["opus_inbandfec": "yes"], "stereo=1;sprop-stereo=1;useinbandfec=1"),
      (["opus_dtx": "yes"], "stereo=1;sprop-stereo=1;usedtx=1"),
      (["opus_samplerate": "16000"], "stereo=1;sprop-stereo=1;maxplaybackrate=16000"),
    ] as [([String: String], String)])
  func offers(settings: [String: String], expected: String) throws {
    let codec = try makeCodec(settings)
    #expect(codec.offeredParameters == expected)
    #expect(codec.answeredParameters(to: "useinbandfec=1") == expected)
  }

  @Test("opus_mirror answers with what was offered and understood")
  func mirror() throws {
    let codec = try makeCodec(["opus_mirror": "yes"])
    #expect(codec.answeredParameters(to: "minptime=10; useinbandfec=1;stereo=1") == "stereo=1;useinbandfec=1")
    #expect(codec.answeredParameters(to: nil) == "stereo=1;sprop-stereo=1")
    #expect(codec.answeredParameters(to: "nonsense") == "stereo=1;sprop-stereo=1")
  }

  @Test(
    "what peers write is read, and what is malformed is not",
    arguments: [
      (nil, OpusParameters()),
      ("", OpusParameters()),
      ("stereo=1;sprop-stereo=0", OpusParameters(stereo: true, spropStereo: false)),
      (" minptime=10 ; useinbandfec=1 ", OpusParameters(useInbandFEC: true)),
      ("MaxAverageBitrate=20000;usedtx=1;cbr=1", OpusParameters(maxAverageBitrate: 20_000, cbr: true, useDTX: true)),
      ("maxaveragebitrate=1;maxplaybackrate=7", OpusParameters(maxAverageBitrate: 6000, maxPlaybackRate: 8000)),
      (
        "maxaveragebitrate=99999999;maxplaybackrate=96000",
        OpusParameters(maxAverageBitrate: 510_000, maxPlaybackRate: 48_000)
      ),
      ("maxaveragebitrate=99999999999999999999;stereo=2;usedtx;=;;=1;cbr=", OpusParameters()),
    ] as [(String?, OpusParameters)])
  func reads(text: String?, expected: OpusParameters) {
    #expect(OpusParameters(text) == expected)
  }

  @Test(
    "the encoder obeys the peer, within the configuration",
    arguments: [
      ([:], nil, nil, settings()),
      ([:], "maxaveragebitrate=20000", nil, settings(bitrate: 20_000)),
      ([:], "maxaveragebitrate=64000", nil, settings()),
      ([:], "maxaveragebitrate=64000", 96_000, settings(bitrate: 64_000)),
      ([:], nil, 1_000_000, settings(bitrate: 510_000)),
      ([:], "stereo=1", nil, settings(channels: 2)),
      (["opus_stereo": "no"], "stereo=1", nil, settings()),
      (["opus_samplerate": "16000"], nil, nil, settings(rate: 16_000)),
      (["opus_packet_loss": "7"], nil, nil, settings { $0.packetLoss = 7 }),
      (["opus_complexity": "3"], nil, nil, settings { $0.complexity = 3 }),
      (["opus_application": "voip"], nil, nil, settings { $0.isVoIP = true }),
      ([:], "usedtx=1", nil, settings { $0.hasDTX = true }),
      (["opus_dtx": "yes"], nil, nil, settings { $0.hasDTX = true }),
      (["opus_dtx": "yes"], "usedtx=0", nil, settings()),
      ([:], "useinbandfec=1", nil, settings { $0.hasInbandFEC = true }),
      (["opus_inbandfec": "yes"], nil, nil, settings()),
      ([:], "cbr=1", nil, settings { $0.isConstantBitrate = true }),
      (["opus_cbr": "yes"], "cbr=0", nil, settings { $0.isConstantBitrate = true }),
      ([:], "maxplaybackrate=8000", nil, settings { $0.maxBandwidth = OPUS_BANDWIDTH_NARROWBAND }),
      ([:], "maxplaybackrate=16000", nil, settings { $0.maxBandwidth = OPUS_BANDWIDTH_WIDEBAND }),
      ([:], "maxplaybackrate=48000", nil, settings()),
    ] as [([String: String], String?, Int?, EncoderSettings)])
  func encoder(values: [String: String], remote: String?, bitrate: Int?, expected: EncoderSettings) throws {
    let codec = try makeCodec(values)
    let parameters = CodecParameters(remoteParameters: remote, packetTime: 20, bitrate: bitrate)
    #expect(codec.encoderSettings(parameters) == expected)
  }

  @Test(
    "a packet is as long as was agreed on, or as the next shorter one that libopus encodes",
    arguments: [(10, 10), (15, 10), (20, 20), (30, 20), (50, 40), (70, 60), (119, 100), (120, 120)])
  func packetTime(agreed: Int, sent: Int) throws {
    #expect(try makeCodec([:]).packetTime(fitting: agreed) == sent)
  }

  @Test("the decoder is stereo when the peer may send it and we asked for it")
  func decoderChannels() throws {
    func channels(_ settings: [String: String], _ remote: String?) throws -> Int {
      try makeCodec(settings)
        .decoderFormat(CodecParameters(remoteParameters: remote, packetTime: 20, bitrate: nil)).channels
    }
    #expect(try channels([:], nil) == 1)
    #expect(try channels([:], "sprop-stereo=1") == 2)
    #expect(try channels(["opus_stereo": "no"], "sprop-stereo=1") == 1)
  }

  @Test("every key's default is of its kind, and SDP names the codec as RFC 7587 §7 wants")
  func description() throws {
    let codec = try makeCodec([:])
    #expect(codec.encodingName == "opus" && codec.clockRate == 48_000 && codec.channels == 2)
    #expect(codec.staticPayloadType == nil)
    let module = try Opus(settings: ModuleSettings(keys: Opus.configKeys))
    #expect(module.facets.map(\.kind) == ["audio codec"] && module.facets.map(\.safety) == [.confined])
  }
}

func makeCodec(_ values: [String: String]) throws -> OpusCodec {
  try Opus(settings: ModuleSettings(keys: Opus.configKeys, values: values)).codec
}

private func settings(
  bitrate: Int = 28_000, rate: Int = 48_000, channels: Int = 1, _ change: (inout EncoderSettings) -> Void = { _ in }
) -> EncoderSettings {
  var settings = EncoderSettings(format: AudioFormat(sampleRate: rate, channels: channels), bitrate: bitrate)
  change(&settings)
  return settings
}
