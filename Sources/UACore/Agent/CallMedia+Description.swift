internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import SDPCodec

/// What our descriptions say of the audio.
extension CallMedia {
  /// Our side of the audio's line, for an offer or an answer.
  func local(attributes: [DescriptionAttribute]) -> LocalMedia {
    LocalMedia(
      protocolName: self.section.offeredProtocol, acceptedProtocols: self.section.acceptedProtocols,
      address: self.section.described, rtcpPort: self.section.describedRTCPPort, codecs: self.capabilities,
      ptime: self.settings.packetTime, direction: self.localDirection,
      rtcpMux: self.settings.usesRTCPMux, rtcpRsize: self.takesWhatIsOffered(\.rtcpRsize),
      ssrc: self.ssrc, cname: self.canonicalName, mid: self.mid(self.audioIndex),
      extensions: self.extensions,
      feedback: self.feedback,
      attributes: attributes.map { SDPAttribute($0.name, $0.value) })
  }

  /// The name of a line in our offers, where lines can be bundled.
  func mid(_ index: Int) -> String? { self.negotiator.usesBundle ? "\(index)" : nil }

  private var feedback: [FeedbackAttribute] {
    guard self.takesWhatIsOffered(\.tellsArrivals) else { return [] }
    return [FeedbackAttribute(payloadType: nil, kind: TransportFeedback.feedback)]
  }

  private var extensions: [ExtensionMap] {
    var extensions: [ExtensionMap] = []
    if self.environment.configuration.tellsAudioLevel { extensions.append(ExtensionMap(id: 1, uri: AudioLevel.uri)) }
    if self.takesWhatIsOffered(\.tellsArrivals) {
      extensions.append(ExtensionMap(id: 2, direction: .recvonly, uri: TransportFeedback.uri))
    }
    return extensions + self.midExtension
  }

  /// Whether this is the answer to an offer, which takes all that we can, or an offer under AVPF after both agreed on it.
  private func takesWhatIsOffered(_ isAgreed: (NegotiatedMedia) -> Bool) -> Bool {
    if self.negotiator.owesAnswer { return true }
    return self.section.offeredProtocol.hasSuffix("AVPF") && self.agreed.map(isAgreed) == true
  }

  /// What both agreed on last for the audio.
  private var agreed: NegotiatedMedia? { self.negotiator.negotiated.first { $0.index == self.audioIndex } }

  /// Redundant audio (RFC 2198) is taken in the peer's offers; ours name it once it is agreed on, with the numbers and in the
  /// place that were agreed on.
  private var capabilities: [CodecCapability] {
    let own = self.codecs.capabilities
    if self.negotiator.owesAnswer { return own + self.codecs.redundantAudio }
    guard let agreed, let format = agreed.receiveCodecs.first(where: \.isRedundantAudio) else { return own }
    let redundant = CodecCapability(
      format.encodingName, clockRate: format.clockRate, channels: format.channels, fmtp: format.fmtp)
    let number = agreed.sendCodecs.first(where: \.isRedundantAudio).map { "\($0.payloadType)" }
    let isFirst = number == self.negotiator.remoteDescription?.media[agreed.index].formats.first
    return isFirst ? [redundant] + own : own + [redundant]
  }
}

extension NegotiatedMedia {
  /// The header extension with the numbers of the peer's packets, for its congestion control.
  var arrivals: ExtensionMap? { self.extensions.named(TransportFeedback.uri) }

  /// Whether the peer is told when its packets came; without reduced-size RTCP (RFC 5506) that would cost it too much.
  var tellsArrivals: Bool {
    self.rtcpRsize && self.feedback.contains { $0.kind == TransportFeedback.feedback }
      && self.arrivals?.direction.receives == true
  }
}
