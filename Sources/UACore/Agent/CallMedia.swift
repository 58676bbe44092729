internal import ICEAgent
package import ModuleKit
package import NetBase
internal import RTPStack
internal import Runtime
package import SDPCodec

/// Why a description of the peer's can't be used: SIP says 488, and the call says this.
package struct MediaRefusal: Error, CustomStringConvertible {
  package let description: String
}

/// One call's media as main sees it: offers and answers, keys to negotiate, and the transport that they lead to.
///
/// Nothing in force changes before an answer: a refused offer leaves everything as it was.
package final class CallMedia {
  let environment: MediaEnvironment
  private(set) var settings: CallSettings
  let codecs: CodecSelection
  /// The audio's section, which all that is bundled shares.
  package let section: MediaSection
  /// Nil where the call takes none.
  let video: CallVideo?
  let stream: StreamID
  let ssrc: UInt32
  let canonicalName: String
  private(set) var negotiator: OfferAnswer
  /// The negotiator as it was before the last answer of the peer's, for an answer that replaces it or is of no use.
  private var offered: OfferAnswer?
  /// The answer that is in force; nil while an offer of ours has none.
  private var lastAnswer: [UInt8]?
  /// Whether the transports were told all of it.
  private var hasApplied = false
  private var plan: StagePlan
  private(set) var audioIndex = 0
  package private(set) var codec: NegotiatedCodec?
  /// Whether this side holds the peer, from the next offer or answer on.
  package var isOnHold = false
  package private(set) var isHeldByPeer = false
  /// What this side wants when it does not hold the peer, from the next offer or answer on.
  package var direction = AudioDirection.sendrecv
  /// Bit/s that the encoder is asked for; nil for the codec's own setting.
  private var bitrate: Int?
  /// What is agreed for the audio line; nil before the first answer.
  package private(set) var negotiated: NegotiatedMedia?
  /// Told of every description that is made or taken, of an answer when it is in force: whether it is ours, and whether it
  /// is an offer.
  package var onDescription: (_ isOurs: Bool, _ isOffer: Bool) -> Void = { _, _ in }

  /// Checks everything that can be checked before a call, and opens its sockets.
  ///
  /// - Parameters:
  ///   - peer: an address towards which the media will go, to choose the local one.
  ///   - warn: told, on main, of what is wrong and doesn't end the call.
  /// - Throws: `ModuleError` or `AdmissionError`.
  package init(
    environment: MediaEnvironment, settings: CallSettings, stream: StreamID, peer: SocketAddress,
    announce: @escaping @Sendable () -> Void, failed: @escaping @Sendable (ModuleError) -> Void,
    warn: @escaping (String) -> Void
  ) throws {
    self.environment = environment
    self.settings = settings
    self.stream = stream
    self.codecs = try CodecSelection(
      settings.codecs, from: environment.registry.codecs,
      eventPayloadType: settings.telephoneEventPayloadType ?? environment.configuration.telephoneEventPayloadType)
    guard let preferred = self.codecs.codecs.first else { throw ModuleError.noCodec }
    let packetTime = preferred.packetTime(fitting: settings.packetTime)
    let nominal = CodecParameters(remoteParameters: nil, packetTime: packetTime, bitrate: nil)
    self.plan = try environment.planner.plan(
      source: settings.source, player: settings.player, format: preferred.pcmFormat(nominal),
      packetTime: packetTime, stream: stream, failed: failed)
    self.direction = settings.audioDirection
    self.ssrc = UInt32(truncatingIfNeeded: environment.random())
    self.canonicalName = "apus-\(String(environment.random(), radix: 36))"
    self.video = try CallVideo(
      environment: environment, settings: settings, stream: stream, canonicalName: self.canonicalName,
      announce: announce, warn: warn)
    self.section = try MediaSection(
      environment: environment, settings: settings, address: try environment.localAddress(towards: peer),
      stream: stream, ssrc: self.ssrc, canonicalName: self.canonicalName, announce: announce, warn: warn)
    self.negotiator = OfferAnswer(
      sessionID: environment.random() >> 2, address: self.section.localAddress,
      matching: self.codecs.matching(with: self.video?.codecs ?? []))
    self.negotiator.sessionAttributes = try
      (settings.mediaNAT.map { try environment.registry.nat($0) }?.sessionAttributes ?? [])
      .map { SDPAttribute($0.name, $0.value) }
    self.negotiator.usesBundle = environment.configuration.usesBundle || settings.usesBundle
  }

  package var localDescription: SessionDescription? { self.negotiator.localDescription }
  package var remoteDescription: SessionDescription? { self.negotiator.remoteDescription }
  package var awaitsAnswer: Bool { self.negotiator.awaitsAnswer }
  /// The lines of the peer's offer, while it is being answered.
  var offeredByPeer: [RemoteMedia]? { self.negotiator.offeredByPeer }

  /// The audio's section, and the video's where that has a transport of its own.
  var sections: [MediaSection] { [self.section] + (self.video?.section.map { [$0] } ?? []) }

  /// And those that are about to close.
  var everySection: [MediaSection] { self.sections + (self.video?.retired ?? []) }

  // MARK: Offering

  /// The next offer; keys are the old ones unless a new one was asked for.
  package func makeOffer() throws -> [UInt8] {
    var lines: [LocalMedia?] = Array(repeating: nil, count: self.audioIndex)
    lines.append(self.local(attributes: try self.section.offerAttributes()))
    try self.addVideo(to: &lines)
    let offer = try self.negotiator.makeOffer(lines)
    self.offered = self.negotiator
    self.lastAnswer = nil
    for section in self.sections {
      try section.postConnectivity()
      try section.postKeying(hasRemote: self.negotiator.remoteDescription != nil)
    }
    self.onDescription(true, true)
    return offer.bytes
  }

  /// Takes the answer to our offer. The same answer again changes nothing; another one replaces it (a fork).
  package func receive(answer bytes: [UInt8]) throws {
    guard bytes != self.lastAnswer || !self.hasApplied else { return }
    let remotes = try self.agreed(bytes)
    for (section, _) in remotes { section.keying?.answerStands() }
    (self.lastAnswer, self.hasApplied) = (bytes, false)
    for (section, remote) in remotes { try section.receiveAddresses(answer: remote) }
    // The stream first: packets that wait for their keys must find it.
    try self.apply()
    for section in self.sections { try section.postKeying(hasRemote: true) }
    self.hasApplied = true
    self.onDescription(false, false)
  }

  /// Negotiates an answer, keys too; one that can't be used leaves everything as it was.
  private func agreed(_ bytes: [UInt8]) throws -> [(MediaSection, RemoteMedia)] {
    let answer = try SessionDescription(parsing: bytes)
    let before = self.negotiator
    if self.lastAnswer != nil, let offered { self.negotiator = offered }
    do {
      let negotiated = try self.negotiator.receiveAnswer(answer)
      if let rejection = negotiated[self.audioIndex].rejection {
        throw MediaRefusal(description: rejection.description)
      }
      let remotes = self.remoteSections(of: answer)
      for (section, remote) in remotes { try section.receiveKeys(answer: remote) }
      return remotes
    } catch {
      self.negotiator = before
      throw error
    }
  }

  /// Whether a description of the peer's says something else than the one in force; its origin does not count.
  func isNews(_ bytes: [UInt8]) -> Bool {
    guard var given = try? SessionDescription(parsing: bytes), let remote = self.remoteDescription else { return false }
    given.origin = remote.origin
    return given != remote
  }

  /// Takes candidates that the peer has found since its description.
  ///
  /// - Parameter mediaID: the `mid` of the peer's line that they are for; nil for the audio's.
  /// - Returns: false where they belong to nothing in force.
  func add(candidates: [String], of fragment: String?, for mediaID: String?) throws -> Bool {
    guard let remote = self.negotiator.remoteDescription else { return false }
    let index = mediaID.map { mediaID in remote.media.firstIndex { $0.mid == mediaID } } ?? self.audioIndex
    guard let index else { return false }
    let own = index == self.video?.index ? self.video?.section : nil
    return try (own ?? self.section).add(candidates: candidates, of: fragment)
  }

  /// The answer could not be used, and what was agreed before stands; false where something of it is in force already.
  func dismissAnswer() -> Bool {
    guard self.lastAnswer == nil, let offered else { return false }
    self.negotiator = offered
    self.rollback()
    return true
  }

  /// Our offer was refused; what was agreed before stands.
  package func rollback() {
    self.negotiator.rollback()
    for section in self.sections { section.rollback() }
  }

  /// Makes the next offer carry new keys; false where the media encryption can't.
  package func requestRekey() -> Bool {
    self.sections.reduce(false) { $1.keying?.requestRekey() ?? false || $0 }
  }

  /// Whether keys were changed, and a transport has not yet seen them in use both ways.
  package var isRekeying: Bool { self.sections.contains(where: \.isRekeying) }

  package var isEncrypted: Bool { self.section.isEncrypted }

  package var localAddress: SocketAddress { self.section.localAddress }

  /// The addresses of this host that the call can't do without.
  var addressesInUse: [SocketAddress] { self.sections.flatMap(\.addressesInUse) }

  /// Makes the next offer name `address`, for the one in force is gone; false while keys are about to change, and where
  /// they have to change with the address and can't.
  ///
  /// - Parameter has: whether an address is this host's.
  func move(to address: SocketAddress, has: (SocketAddress) -> Bool) -> Bool {
    self.sections.allSatisfy { $0.move(to: address, has: has) }
  }

  /// What the next offer or answer says of this side.
  package var localDirection: AudioDirection { self.heldBack(self.direction) }

  func heldBack(_ direction: AudioDirection) -> AudioDirection {
    AudioDirection(sends: direction.sends, receives: direction.receives && !self.isOnHold)
  }

  /// Asks the encoder for another bit rate from now on.
  package func change(bitrate: Int) throws {
    guard self.negotiated != nil else { return }
    self.bitrate = bitrate
    try self.apply()
  }

  // MARK: Answering

  /// Whether an offer could be answered, before anyone is rung.
  package func answer(to bytes: [UInt8]) throws -> [UInt8] {
    let offer = try SessionDescription(parsing: bytes)
    let before = (negotiator: self.negotiator, audio: self.audioIndex, video: self.video?.place)
    let media = try self.negotiator.receiveOffer(offer)
    self.onDescription(false, true)
    do {
      guard let taken = self.choose(from: media, of: offer) else {
        throw MediaRefusal(description: self.refusal(of: media))
      }
      self.audioIndex = taken.audio.index
      let attributes = try self.section.answerAttributes(to: taken.transport)
      var lines: [LocalMedia?] = media.map { _ in nil }
      lines[taken.audio.index] = self.local(attributes: attributes)
      if let video = taken.video, let own = self.video {
        (own.index, own.isBundled) = (video.remote.index, video.isBundled)
        lines[video.remote.index] = try self.localVideo(
          own, attributes: video.isBundled ? attributes : try self.videoSection(own).answerAttributes(to: video.remote))
      }
      let answer = try self.negotiator.makeAnswer(lines)
      try self.apply()
      for section in self.sections {
        try section.postKeying(hasRemote: true)
        section.connectivity?.settle()
      }
      self.onDescription(true, false)
      return answer.bytes
    } catch {
      // What was agreed before stands, each line in its place.
      (self.negotiator, self.audioIndex) = (before.negotiator, before.audio)
      if let place = before.video { self.video?.place = place }
      self.rollback()
      throw error
    }
  }

  /// The peer has our answer.
  package func answerConfirmed() throws {
    for section in self.sections {
      section.keying?.answerConfirmed()
      section.settleAddress()
      try section.postKeying(hasRemote: true)
    }
  }

  /// The peer has our answer, or will have it, and nothing acknowledges it (RFC 3311).
  func answerStands() {
    for section in self.sections {
      section.keying?.answerStands()
      section.settleAddress()
    }
  }

  // MARK: The transport

  /// Posts a command to the audio's transport; false when the lane is full.
  package func post(_ command: consuming sending TransportCommand) -> Bool { self.section.post(command) }

  /// Ends the transports; `closed` comes when each is done.
  package func stop() { for section in self.sections { section.transport.stop() } }

  /// Whether every transport is over.
  var hasClosed: Bool { self.everySection.allSatisfy(\.hasClosed) }

  /// After `hasClosed`: the threads that were the transports' own end.
  func release() { for section in self.everySection { section.transport.release() } }

  /// Another source, from now on.
  package func change(source: AudioDevice) throws {
    try self.change(.transmit, source: source, player: nil)
    self.settings.source = source
  }

  /// Another player, from now on.
  package func change(player: AudioDevice) throws {
    try self.change(.receive, source: nil, player: player)
    self.settings.player = player
  }

  /// A source beside the call's own, in the same format; what makes it is called by whoever will own it.
  func anotherSource(_ device: AudioDevice) throws -> StageFactory {
    let plan = try self.environment.planner.plan(
      source: device, player: nil, format: self.plan.format, packetTime: self.plan.packetTime, stream: self.stream,
      isFiltered: false, failed: self.plan.failed)
    return { () throws(ModuleError) in try plan.makeTransmitChain() }
  }

  /// The other direction's devices are not asked: a second player would be a second file.
  private func change(_ direction: ModuleKit.MediaDirection, source: AudioDevice?, player: AudioDevice?) throws {
    let plan = try self.environment.planner.plan(
      source: source, player: player, format: self.plan.format, packetTime: self.plan.packetTime, stream: self.stream,
      failed: self.plan.failed)
    if self.isConfigured { try self.section.require(self.post(.replaceStages(plan, direction))) }
    self.plan = self.plan.taking(direction, from: plan)
  }

  /// Tells the transports what was agreed on.
  private func apply() throws {
    let negotiated = self.negotiator.negotiated[self.audioIndex]
    var agreement = try self.agreement(self.section, of: negotiated)
    let video = try self.agreedVideo()
    agreement.audio = try self.streamSettings(negotiated)
    if let video, video.section === self.section {
      agreement.video = video.settings
      agreement.remoteSSRCs += video.negotiated.ssrcs.map(\.ssrc)
    }
    self.isConfigured = true
    try self.section.postConnectivity()
    try self.section.require(self.post(.configure(agreement)))
    if video == nil { self.video?.forgetDevices() }
    if self.video?.section !== video?.section { self.video?.retireSection() }
    guard let video, video.section !== self.section else { return }
    var own = try self.agreement(video.section, of: video.negotiated)
    own.video = video.settings
    try video.section.postConnectivity()
    try video.section.require(video.section.post(.configure(own)))
  }

  private func agreement(_ section: MediaSection, of negotiated: NegotiatedMedia) throws -> MediaAgreement {
    guard let remoteRTP = section.onLink(negotiated.remoteRTP?.address) else {
      throw MediaRefusal(
        description: "the peer's media address \(negotiated.remoteRTP?.host ?? "") is a name, not an address")
    }
    var agreement = MediaAgreement(
      remoteRTP: remoteRTP, remoteRTCP: section.onLink(negotiated.remoteRTCP?.address),
      usesRTCPMux: negotiated.rtcpMux)
    agreement.remoteSSRCs = negotiated.ssrcs.map(\.ssrc)
    return agreement
  }

  private func streamSettings(_ negotiated: NegotiatedMedia) throws -> StreamSettings {
    let format = negotiated.sendCodecs.first
    guard let format,
      let sendCodec = self.codecs.negotiated(
        format, remote: format, packetTime: negotiated.ptime, bitrate: self.bitrate)
    else { throw MediaRefusal(description: "no codec in common") }
    self.codec = sendCodec
    self.isHeldByPeer = negotiated.isHeldByPeer
    self.negotiated = negotiated
    let pcm = sendCodec.codec.pcmFormat(sendCodec.parameters)
    let packetTime = sendCodec.parameters.packetTime
    let isOther = pcm != self.plan.format || packetTime != self.plan.packetTime
    if isOther || self.plan.isIncomplete, !self.isConfigured {
      // Before the devices are asked again: while the first plan holds a recording's name, the second gets another.
      // Where the second fails, the next description plans anew.
      self.plan = self.plan.emptied
      self.plan = try self.environment.planner.plan(
        source: self.settings.source, player: self.settings.player, format: pcm, packetTime: packetTime,
        stream: self.stream, failed: self.plan.failed)
    }
    let receive = zip(negotiated.receiveCodecs, negotiated.sendCodecs).compactMap { local, remote in
      self.codecs.negotiated(local, remote: remote, packetTime: negotiated.ptime)
    }
    let level = negotiated.extensions.named(AudioLevel.uri)
    var settings = StreamSettings(
      canSend: negotiated.sends, canReceive: negotiated.receives, sendCodec: sendCodec, receiveCodecs: receive,
      eventSendType: negotiated.sendTelephoneEvent?.payloadType,
      eventReceiveTypes: PayloadTypeSet(negotiated.receiveTelephoneEvents.map(\.payloadType)),
      redundantType: negotiated.receiveCodecs.first(where: \.isRedundantAudio)?.payloadType,
      levelSendID: level.flatMap { $0.direction.sends ? $0.packetID : nil },
      levelReceiveID: level.flatMap { $0.direction.receives ? $0.packetID : nil },
      transportNumberID: negotiated.tellsArrivals ? negotiated.arrivals?.packetID : nil,
      mediaID: self.video?.isBundled == true ? self.mediaID(of: negotiated) : nil, packetTime: packetTime,
      plan: self.plan)
    settings.eventClockRate = negotiated.sendTelephoneEvent.map { Int($0.clockRate) }
    settings.opensPinhole = self.settings.opensPinhole && self.settings.mediaNAT == nil
    return settings
  }

  private var isConfigured = false

  /// What is taken of an offer.
  struct Taken {
    let audio: RemoteMedia
    /// Nil where there is none that can be taken.
    let video: CallVideo.Choice?
    /// Whose transport the audio's section gets: what is bundled has that of its group's first.
    var transport: RemoteMedia
  }

  /// The first audio line of the peer's offer that can be taken, and the video beside it; nil without one.
  func choose(from media: [RemoteMedia], of offer: SessionDescription) -> Taken? {
    guard let audio = media.first(where: { $0.kind == .audio && self.section.accepts($0) }) else { return nil }
    let video = self.video?.choose(from: media, of: offer, beside: audio, usesBundle: self.negotiator.usesBundle)
    var taken = Taken(audio: audio, video: video, transport: audio)
    if self.negotiator.usesBundle, let first = offer.taggedIndex(of: audio.section).map({ media[$0] }),
      video?.isBundled == true || audio.hasTransport(of: first)
    {
      taken.transport = first
      // What the audio goes by on it; the first may be a line of data.
      taken.transport.section.protocolName = audio.protocolName
      if audio.rtcpMux, !first.rtcpMux { taken.transport.add("rtcp-mux") }
    }
    return taken
  }

  private func refusal(of media: [RemoteMedia]) -> String {
    guard let audio = media.first(where: { $0.kind == .audio && !$0.isDisabled }) else { return "no audio was offered" }
    return
      "the offered protocol \(audio.protocolName) does not go with mediaenc \(self.section.encryption?.id ?? "none")"
  }
}

extension RemoteMedia {
  /// Whether this line has the transport of its group's first, be that one taken or not: it has none, or the same checks
  /// and no candidates of its own.
  fileprivate func hasTransport(of first: RemoteMedia) -> Bool {
    if self.section.isBundleOnly { return true }
    return self.rtcpMux && self.candidates.isEmpty && self.iceUfrag != nil && self.iceUfrag == first.iceUfrag
  }
}
