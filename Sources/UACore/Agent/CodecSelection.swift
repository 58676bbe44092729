package import ModuleKit
internal import SDPCodec

extension ModuleError {
  /// Why there is no call where no module brings a codec.
  static let noCodec = ModuleError(
    .configuration, "no codec is active: add a module line, for example \"module g711\"")
}

/// The codecs of one account, in its order, and how SDP's formats lead back to them.
package struct CodecSelection: Sendable {
  package let codecs: [any AudioCodec]
  private let eventPayloadType: UInt8

  /// - Parameter wanted: `name[/rate[/channels]]`, as `audio_codecs` has them; empty for all that are active.
  /// - Throws: when one of them is not brought by any active module.
  package init(
    _ wanted: [CodecPreference], from available: [any AudioCodec], eventPayloadType: UInt8
  ) throws(ModuleError) {
    self.eventPayloadType = eventPayloadType
    guard !wanted.isEmpty else {
      self.codecs = available
      return
    }
    var chosen: [any AudioCodec] = []
    for preference in wanted {
      let found = available.first {
        preference.matches(name: $0.encodingName, clockRate: $0.clockRate, channels: $0.channels)
      }
      guard let found else {
        let known = available.map { $0.encodingName.lowercased() }.joined(separator: ", ")
        throw ModuleError(.configuration, "codec \(preference): no active module brings it; there are: \(known)")
      }
      chosen.append(found)
    }
    self.codecs = chosen
  }

  /// What an offer lists.
  var capabilities: [CodecCapability] {
    let audio = self.codecs.map { codec in
      CodecCapability(
        codec.encodingName, clockRate: UInt32(codec.clockRate), channels: codec.channels,
        fmtp: codec.offeredParameters, payloadType: codec.staticPayloadType)
    }
    let rates = Set(self.codecs.map(\.clockRate)).sorted()
    return audio
      + rates.map { rate in
        .telephoneEvent(
          clockRate: UInt32(rate), payloadType: rate == rates.first ? self.eventPayloadType : nil)
      }
  }

  /// Redundant audio data (RFC 2198) on the clocks of the codecs, in their order.
  var redundantAudio: [CodecCapability] {
    self.codecs.reduce(into: []) { found, codec in
      let capability = CodecCapability("red", clockRate: UInt32(codec.clockRate), channels: codec.channels)
      if !found.contains(capability) { found.append(capability) }
    }
  }

  /// How common codecs are found, for the call's audio and for its video.
  func matching(with video: [any VideoCodec]) -> CodecMatching {
    let codecs = self.codecs
    return CodecMatching { local, remote in
      // Its parameters are the numbers of the formats that it carries: an answer has the offer's.
      if remote.isRedundantAudio { return .accepted(fmtp: remote.fmtp) }
      if let codec = video.first(where: { $0.encodingName.lowercased() == local.encodingName.lowercased() }) {
        guard codec.accepts(remote: remote.fmtp) else { return .refused }
        return .accepted(fmtp: codec.answeredParameters(to: remote.fmtp))
      }
      guard let codec = Self.find(local, in: codecs) else { return .accepted(fmtp: local.fmtp) }
      return .accepted(fmtp: codec.answeredParameters(to: remote.fmtp))
    }
  }

  /// The codec of a negotiated format, with the parameters that the peer gave, and a packet time that the codec has.
  func negotiated(_ format: CodecFormat, remote: CodecFormat?, packetTime: Int, bitrate: Int? = nil) -> NegotiatedCodec?
  {
    guard let codec = Self.find(format, in: self.codecs) else { return nil }
    return NegotiatedCodec(
      payloadType: format.payloadType, codec: codec,
      parameters: CodecParameters(
        remoteParameters: remote?.fmtp, packetTime: codec.packetTime(fitting: packetTime), bitrate: bitrate))
  }

  private static func find(_ format: CodecFormat, in codecs: [any AudioCodec]) -> (any AudioCodec)? {
    codecs.first {
      $0.encodingName.lowercased() == format.encodingName.lowercased() && $0.clockRate == Int(format.clockRate)
        && $0.channels == format.channels
    }
  }
}
