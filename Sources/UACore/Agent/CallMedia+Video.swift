internal import ModuleKit
internal import NetBase
internal import RTPStack
internal import SDPCodec

/// What our descriptions say of the video, and what its transport is told.
extension CallMedia {
  /// The video's own transport, where it is not bundled.
  func videoSection(_ video: CallVideo) throws -> MediaSection {
    try video.openSection(on: self.section.home)
  }

  /// Opens what the next offer describes.
  func prepareVideo() throws {
    guard let video, self.isVideoOffered(video), !self.isVideoBundled(video) else { return }
    let section = try self.videoSection(video)
    if section.servers == nil { section.servers = self.section.servers }
  }

  /// A call that began without video, or whose video was refused, goes on without it.
  private func isVideoOffered(_ video: CallVideo) -> Bool {
    guard self.negotiator.localDescription != nil else { return video.possibleDirection != .inactive }
    return self.negotiator.negotiated.contains { $0.kind == .video && $0.index == video.index && $0.isActive }
  }

  /// Whether the next offer has the video on the audio's transport.
  private func isVideoBundled(_ video: CallVideo) -> Bool {
    self.negotiator.localDescription == nil ? self.negotiator.usesBundle : video.isBundled
  }

  /// Adds the video's line to an offer of ours.
  func addVideo(to lines: inout [LocalMedia?]) throws {
    guard let video, self.isVideoOffered(video) else { return }
    let index = video.index ?? lines.count
    video.index = index
    while lines.count <= index { lines.append(nil) }
    try self.prepareVideo()
    let isFirst = self.negotiator.localDescription == nil
    guard self.isVideoBundled(video) else {
      lines[index] = try self.localVideo(video, attributes: try self.videoSection(video).offerAttributes())
      return
    }
    var line = try self.localVideo(video, attributes: [])
    line.isBundleOnly = isFirst
    // As the audio's, for peers that want them in every line; the group's first has the addresses (RFC 9143 §7.1).
    let isTagged = index < self.audioIndex
    line.attributes = (lines[self.audioIndex]?.attributes ?? []).filter {
      isTagged || SDPAttribute.sharedNames.contains($0.name)
    }
    line.attributes += self.repairSource(of: video)
    lines[index] = line
  }

  /// Our side of the video's line, for an offer or an answer.
  func localVideo(_ video: CallVideo, attributes: [DescriptionAttribute]) throws -> LocalMedia {
    let section = video.isBundled ? self.section : video.section ?? self.section
    let kinds = ["nack", "nack pli", "ccm fir"]
    let own = attributes.map { SDPAttribute($0.name, $0.value) } + self.repairSource(of: video)
    var line = LocalMedia(
      kind: .video, protocolName: section.offeredProtocol, acceptedProtocols: section.acceptedProtocols,
      address: section.described, rtcpPort: section.describedRTCPPort,
      codecs: video.codecs.map {
        CodecCapability($0.encodingName, clockRate: 90_000, fmtp: $0.offeredParameters)
      } + [.retransmission],
      direction: self.heldBack(video.possibleDirection),
      rtcpMux: self.settings.usesRTCPMux, rtcpRsize: self.negotiator.owesAnswer,
      ssrc: video.ssrc, cname: self.canonicalName, mid: self.mid(video.index ?? 1), extensions: self.midExtension,
      feedback: kinds.map { FeedbackAttribute(payloadType: nil, kind: $0) }, attributes: own)
    line.answersOneCodec = true
    return line
  }

  /// What packets are sent again under (RFC 4588 §8.3, RFC 5576 §4.2): who is told of one source takes another for a
  /// stranger's.
  private func repairSource(of video: CallVideo) -> [SDPAttribute] {
    [
      SDPAttribute("ssrc", "\(video.retransmissionSSRC) cname:\(self.canonicalName)"),
      SDPAttribute("ssrc-group", "FID \(video.ssrc) \(video.retransmissionSSRC)"),
    ]
  }

  /// The header extension that names a packet's line (RFC 9143 §15), where lines can be bundled and there is more than one.
  var midExtension: [ExtensionMap] {
    self.video != nil && self.negotiator.usesBundle ? [ExtensionMap(id: 3, uri: SentMediaID.uri)] : []
  }

  /// What was agreed on for the video; nil where that is nothing, or what no transport was described for: an answer may take a
  /// line out of the group that it was offered in.
  func agreedVideo() throws -> (section: MediaSection, negotiated: NegotiatedMedia, settings: VideoSettings)? {
    guard let video, let line = self.negotiator.negotiated.first(where: { $0.kind == .video && $0.isActive }) else {
      return nil
    }
    video.index = line.index
    guard let format = line.sendCodecs.first, let own = line.receiveCodecs.first,
      let codec = video.codecs.first(where: { $0.encodingName.lowercased() == format.encodingName.lowercased() })
    else { return nil }
    video.isBundled = self.isVideoShared(line)
    guard let section = video.isBundled ? self.section : video.section else { return nil }
    let devices = try video.takeDevices(codec, on: section)
    func repairs(_ formats: [CodecFormat], _ type: UInt8) -> UInt8? {
      formats.first { $0.repairedType == type }?.payloadType
    }
    func hasFeedback(_ kind: String) -> Bool { line.feedback.contains { $0.kind == kind } }
    let settings = VideoSettings(
      codec: codec, remoteParameters: format.fmtp, sendType: format.payloadType, receiveType: own.payloadType,
      repairSendType: repairs(line.sendCodecs, format.payloadType),
      repairReceiveType: repairs(line.receiveCodecs, own.payloadType), canSend: line.sends, canReceive: line.receives,
      asksForLost: hasFeedback("nack"), asksForKeyFrames: hasFeedback("nack pli"),
      asksByFullIntraRequest: hasFeedback("ccm fir"), usesReducedSize: line.rtcpRsize,
      ssrc: video.ssrc, repairSSRC: video.retransmissionSSRC, canonicalName: self.canonicalName,
      mediaID: video.isBundled ? self.mediaID(of: line) : nil,
      source: devices.source, sink: devices.sink)
    return (section, line, settings)
  }

  /// The directions of the video in SDP's words; nil where none is agreed on.
  var videoFacts: (remote: String, local: String, agreed: String)? {
    guard let video, let line = self.negotiator.negotiated.first(where: { $0.index == video.index }), line.isActive,
      line.kind == .video
    else {
      return nil
    }
    return (
      line.remoteDirection.rawValue, self.heldBack(video.possibleDirection).rawValue, line.direction.rawValue
    )
  }

  /// Whether a line that was agreed on is in one group with the audio's.
  private func isVideoShared(_ line: NegotiatedMedia) -> Bool {
    guard self.negotiator.usesBundle else { return false }
    return [self.negotiator.localDescription, self.negotiator.remoteDescription].allSatisfy { description in
      description.map { $0.bundles($0.media[line.index], $0.media[self.audioIndex]) } ?? false
    }
  }

  /// What names a line's packets (RFC 9143 §15), where that was agreed on.
  func mediaID(of line: NegotiatedMedia) -> SentMediaID? {
    guard let map = line.extensions.named(SentMediaID.uri), map.direction.sends, let id = map.packetID,
      let mid = self.negotiator.localDescription?.media[line.index].mid
    else { return nil }
    return SentMediaID(id: id, token: Array(mid.utf8))
  }

  /// Our sections, each with the peer's that its answer describes.
  func remoteSections(of answer: SessionDescription) -> [(MediaSection, RemoteMedia)] {
    let audio = answer.taggedIndex(of: answer.media[self.audioIndex]) ?? self.audioIndex
    var found = [(self.section, RemoteMedia(answer, index: audio))]
    guard let video, let index = video.index, let section = video.section, index < answer.media.count else {
      return found
    }
    let remote = RemoteMedia(answer, index: index)
    if !remote.isDisabled { found.append((section, remote)) }
    return found
  }
}
