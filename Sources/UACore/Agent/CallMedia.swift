internal import ICEAgent
package import ModuleKit
package import NetBase
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
  private let environment: MediaEnvironment
  private var settings: CallSettings
  private let codecs: CodecSelection
  private let encryption: (any MediaEncryption)?
  let keying: (any MediaEncryptionSession)?
  let connectivity: (any MediaNATSession)?
  /// Whom to ask for candidates; nil until their names are resolved.
  var servers: [ICEServer]?
  private let stream: StreamID
  private let ssrc: UInt32
  private let canonicalName: String
  private var negotiator: OfferAnswer
  /// The negotiator as it was before the last answer of the peer's, for an answer that replaces it or is of no use.
  private var offered: OfferAnswer?
  /// The answer that is in force; nil while an offer of ours has none.
  private var lastAnswer: [UInt8]?
  package private(set) var localAddress: SocketAddress
  /// Where media is received until the next association, whose path was opened, has replaced the one in force.
  private var addressBefore: SocketAddress?
  /// Where media is received from the next offer or answer on: the address in force is gone.
  private var nextAddress: SocketAddress?
  private var plan: StagePlan
  private var audioIndex = 0
  package private(set) var transport: TransportHandle?
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
  package private(set) var isEncrypted = false
  /// Told of every description that is made or taken: whether it is ours, and whether it is an offer.
  package var onDescription: (_ isOurs: Bool, _ isOffer: Bool) -> Void = { _, _ in }
  /// Whether keys were changed, and the transport has not yet seen them in use both ways.
  package private(set) var isRekeying = false
  /// How often keys were begun to be brought to the transport.
  private var keyChanges = 0

  /// Checks everything that can be checked before a call, and opens its sockets.
  ///
  /// - Parameter peer: an address towards which the media will go, to choose the local one.
  /// - Throws: `ModuleError` or `AdmissionError`.
  package init(
    environment: MediaEnvironment, settings: CallSettings, stream: StreamID, peer: SocketAddress,
    announce: @escaping @Sendable () -> Void, failed: @escaping @Sendable (ModuleError) -> Void
  ) throws {
    self.environment = environment
    self.settings = settings
    self.stream = stream
    self.codecs = try CodecSelection(
      settings.codecs, from: environment.registry.codecs,
      eventPayloadType: settings.telephoneEventPayloadType ?? environment.configuration.telephoneEventPayloadType)
    guard let preferred = self.codecs.codecs.first else {
      throw ModuleError(.configuration, "no codec is active: add a module line, for example \"module g711\"")
    }
    self.encryption = try settings.mediaEncryption.map { id throws(ModuleError) in
      try environment.registry.encryption(id)
    }
    self.keying = try self.encryption?.makeSession()
    self.connectivity = try settings.mediaNAT.map { id in
      try environment.registry.nat(id).makeSession(trust: environment.configuration.sipSecurity)
    }
    let nominal = CodecParameters(remoteParameters: nil, packetTime: settings.packetTime, bitrate: nil)
    self.plan = try environment.planner.plan(
      source: settings.source, player: settings.player, format: preferred.pcmFormat(nominal),
      packetTime: settings.packetTime, stream: stream, failed: failed)
    self.direction = settings.audioDirection
    self.ssrc = UInt32(truncatingIfNeeded: environment.random())
    self.canonicalName = "apus-\(String(environment.random(), radix: 36))"
    let local = try environment.localAddress(towards: peer)
    let ports = try environment.openPorts(on: local)
    let address = ports.address
    self.localAddress = address
    try self.connectivity?.use(ports.sockets, isForNextAssociation: false)
    self.negotiator = OfferAnswer(
      sessionID: environment.random() >> 2, address: address, matching: self.codecs.matching)
    self.negotiator.usesBundle = environment.configuration.usesBundle || settings.usesBundle
    self.transport = try environment.startTransport(
      ports, stream: stream, ssrc: self.ssrc, canonicalName: self.canonicalName, announce: announce)
  }

  package var localDescription: SessionDescription? { self.negotiator.localDescription }
  package var remoteDescription: SessionDescription? { self.negotiator.remoteDescription }
  package var awaitsAnswer: Bool { self.negotiator.awaitsAnswer }

  // MARK: Offering

  /// The next offer; keys are the old ones unless a new one was asked for.
  package func makeOffer() throws -> [UInt8] {
    let attributes = try self.keying?.offerAttributes() ?? []
    try self.openPathIfNeeded()
    let local = self.local(attributes: attributes + (try self.connectivity?.offerAttributes() ?? []))
    var lines: [LocalMedia?] = Array(repeating: nil, count: self.audioIndex)
    lines.append(local)
    let offer = try self.negotiator.makeOffer(lines)
    self.offered = self.negotiator
    self.lastAnswer = nil
    try self.postConnectivity()
    try self.postKeying()
    self.onDescription(true, true)
    return offer.bytes
  }

  /// Takes the answer to our offer. The same answer again changes nothing; another one replaces it (a fork).
  package func receive(answer bytes: [UInt8]) throws {
    guard bytes != self.lastAnswer else { return }
    if self.lastAnswer != nil, let offered { self.negotiator = offered }
    let answer = try SessionDescription(parsing: bytes)
    let negotiated = try self.negotiator.receiveAnswer(answer)
    self.onDescription(false, false)
    let remote = RemoteMedia(answer, index: self.audioIndex)
    if let rejection = negotiated[self.audioIndex].rejection { throw MediaRefusal(description: rejection.description) }
    try self.keying?.receive(answer: try self.security(of: remote))
    self.lastAnswer = bytes
    self.settleAddress()
    try self.connectivity?.receive(answer: self.reach(of: remote))
    // The stream first: packets that wait for their keys must find it.
    try self.apply(negotiated[self.audioIndex])
    try self.postKeying()
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
    self.keying?.rollback()
    while let command = self.keying?.nextCommand() {
      if command.meaning.contains(.withdrawsKeys) { self.isRekeying = false }
      _ = self.post(.keying(command))
    }
    self.connectivity?.rollback()
    guard let before = self.addressBefore.take() else { return }
    self.localAddress = before
    self.isRekeying = false
    _ = self.post(.closePath)
  }

  /// Keys are in use both ways: the newest, unless others were agreed on meanwhile.
  package func rekeyed(_ changes: Int) { if changes == self.keyChanges { self.isRekeying = false } }

  /// The handshake of the next association failed: the next offer asks for another one, as the peer's end of this one
  /// is no better.
  package func rekeyFailed() {
    self.isRekeying = false
    self.keying?.associationFailed()
  }

  /// Makes the next offer carry new keys; false where the media encryption can't.
  package func requestRekey() -> Bool { self.keying?.requestRekey() ?? false }

  /// Makes the next offer name `address`, for the one in force is gone; false while keys are about to change, and where
  /// they have to change with the address and can't.
  package func move(to address: SocketAddress) -> Bool {
    if let keying, keying.isBoundToAddress {
      guard !self.isRekeying, keying.requestRekey() else { return false }
    }
    self.nextAddress = address
    return true
  }

  /// What the next offer or answer says of this side.
  package var localDirection: AudioDirection {
    AudioDirection(sends: self.direction.sends, receives: self.direction.receives && !self.isOnHold)
  }

  /// Asks the encoder for another bit rate from now on.
  package func change(bitrate: Int) throws {
    guard let negotiated else { return }
    self.bitrate = bitrate
    try self.apply(negotiated)
  }

  // MARK: Answering

  /// Whether an offer could be answered, before anyone is rung.
  package func answer(to bytes: [UInt8]) throws -> [UInt8] {
    let offer = try SessionDescription(parsing: bytes)
    let media = try self.negotiator.receiveOffer(offer)
    self.onDescription(false, true)
    do {
      guard let remote = media.first(where: { self.accepts($0) }) else {
        throw MediaRefusal(description: self.refusal(of: media))
      }
      self.audioIndex = remote.index
      let attributes = try self.keying?.answer(to: try self.security(of: remote)) ?? []
      try self.openPathIfNeeded()
      let local = self.local(
        attributes: attributes + (try self.connectivity?.answer(to: self.reach(of: remote)) ?? []))
      let lines = media.map { $0.index == remote.index ? local : nil }
      let answer = try self.negotiator.makeAnswer(lines)
      try self.apply(self.negotiator.negotiated[remote.index])
      try self.postKeying()
      self.connectivity?.settle()
      self.onDescription(true, false)
      return answer.bytes
    } catch {
      self.rollback()
      throw error
    }
  }

  /// The peer has our answer.
  package func answerConfirmed() throws {
    self.keying?.answerConfirmed()
    self.settleAddress()
    try self.postKeying()
  }

  /// The peer has our answer, or will have it, and nothing acknowledges it (RFC 3311).
  func answerStands() {
    self.keying?.answerStands()
    self.settleAddress()
  }

  // MARK: The transport

  /// Posts a command; false when the lane is full.
  package func post(_ command: consuming sending TransportCommand) -> Bool {
    guard let transport = self.transport else { return false }
    return transport.post(command)
  }

  /// Ends the transport; `closed` comes when it is done.
  package func stop() { self.transport?.stop() }

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

  /// The other direction's devices are not asked: a second player would be a second file.
  private func change(_ direction: ModuleKit.MediaDirection, source: AudioDevice?, player: AudioDevice?) throws {
    let plan = try self.environment.planner.plan(
      source: source, player: player, format: self.plan.format, packetTime: self.plan.packetTime, stream: self.stream,
      failed: self.plan.failed)
    if self.isConfigured { try self.require(self.post(.replaceStages(plan, direction))) }
    self.plan = self.plan.taking(direction, from: plan)
  }

  private func apply(_ negotiated: NegotiatedMedia) throws {
    guard let remoteRTP = self.onLink(negotiated.remoteRTP?.address) else {
      throw MediaRefusal(
        description: "the peer's media address \(negotiated.remoteRTP?.host ?? "") is a name, not an address")
    }
    let format = negotiated.sendCodecs.first
    guard let format,
      let sendCodec = self.codecs.negotiated(
        format, remote: format, packetTime: negotiated.ptime, bitrate: self.bitrate)
    else { throw MediaRefusal(description: "no codec in common") }
    self.codec = sendCodec
    self.isHeldByPeer = negotiated.isHeldByPeer
    self.negotiated = negotiated
    let pcm = sendCodec.codec.pcmFormat(sendCodec.parameters)
    if pcm != self.plan.format || negotiated.ptime != self.plan.packetTime, !self.isConfigured {
      self.plan = try self.environment.planner.plan(
        source: self.settings.source, player: self.settings.player, format: pcm, packetTime: negotiated.ptime,
        stream: self.stream, failed: self.plan.failed)
    }
    let receive = zip(negotiated.receiveCodecs, negotiated.sendCodecs).compactMap { local, remote in
      self.codecs.negotiated(local, remote: remote, packetTime: negotiated.ptime)
    }
    let settings = StreamSettings(
      remoteRTP: remoteRTP, remoteRTCP: self.onLink(negotiated.remoteRTCP?.address), usesRTCPMux: negotiated.rtcpMux,
      canSend: negotiated.sends, canReceive: negotiated.receives, sendCodec: sendCodec, receiveCodecs: receive,
      eventSendType: negotiated.sendTelephoneEvent?.payloadType,
      eventReceiveType: negotiated.receiveTelephoneEvents.first?.payloadType, packetTime: negotiated.ptime,
      plan: self.plan)
    self.isConfigured = true
    try self.postConnectivity()
    try self.require(self.transport?.post(.configure(settings)) ?? false)
  }

  private var isConfigured = false

  func postKeying() throws {
    guard let keying = self.keying else {
      if self.negotiator.remoteDescription != nil { try self.require(self.post(.keying(.plain))) }
      return
    }
    while let command = keying.nextCommand() {
      let meaning = command.meaning
      self.isEncrypted = !meaning.contains(.isPlain)
      if meaning.contains(.rekeys) { self.isRekeying = true }
      if meaning.contains(.beginsKeys) { self.keyChanges += 1 }
      try self.require(self.post(.keying(command)))
    }
  }

  /// Sockets for a new association, before the description that names them leaves. It may have those in use, unless
  /// their address is gone; with checks it has its own, unless servers were to be asked about them.
  func openPathIfNeeded() throws {
    guard let path = self.keying?.takeAssociationPath() else { return try self.movePathIfNeeded() }
    if case .inUse = path, self.nextAddress == nil, self.connectivity?.asksServers != false {
      self.isRekeying = true
      return
    }
    let ports = try self.environment.openPorts(on: (self.nextAddress ?? self.localAddress).with(port: 0))
    self.addressBefore = self.addressBefore ?? self.localAddress
    self.localAddress = ports.address
    try self.connectivity?.use(ports.sockets, isForNextAssociation: true)
    self.isRekeying = true
    try self.require(self.post(.openPath(ports)))
  }

  /// What was agreed is in force, at the address that the description named.
  private func settleAddress() {
    self.addressBefore = nil
    if let next = self.nextAddress, next.isSameHost(as: self.localAddress) { self.nextAddress = nil }
  }

  /// Other sockets for what is in force, where its address is gone and its keys may stay.
  private func movePathIfNeeded() throws {
    guard let next = self.nextAddress, self.keying?.isBoundToAddress != true else { return }
    let ports = try self.environment.openPorts(on: next.with(port: 0))
    self.localAddress = ports.address
    try self.connectivity?.use(ports.sockets, isForNextAssociation: false)
    self.nextAddress = nil
    try self.require(self.post(.movePath(ports)))
  }

  /// A link-local peer is reached over the interface that our own address is of: descriptions name no scope.
  private func onLink(_ address: SocketAddress?) -> SocketAddress? {
    guard var address, address.family == .ipv6, address.high >> 54 == 0xFE80 >> 6, address.scope == 0 else {
      return address
    }
    address.scope = self.localAddress.scope
    return address
  }

  func require(_ isPosted: Bool) throws {
    if !isPosted {
      throw ModuleError(.unavailable, "the media transport does not take commands: it is overloaded or gone")
    }
  }

  private func local(attributes: [DescriptionAttribute]) -> LocalMedia {
    let described = self.connectivity?.described
    return LocalMedia(
      protocolName: self.encryption?.offeredProtocol ?? "RTP/AVP",
      acceptedProtocols: self.encryption?.acceptedProtocols ?? ["RTP/AVP", "RTP/AVPF"],
      address: described?.rtp ?? self.localAddress, rtcpPort: described?.rtcp.port ?? self.localAddress.port + 1,
      codecs: self.codecs.capabilities,
      ptime: self.settings.packetTime, direction: self.localDirection,
      rtcpMux: self.settings.usesRTCPMux,
      ssrc: self.ssrc, cname: self.canonicalName, mid: self.negotiator.usesBundle ? "0" : nil,
      attributes: attributes.map { SDPAttribute($0.name, $0.value) })
  }

  func accepts(_ remote: RemoteMedia) -> Bool {
    let accepted = self.encryption?.acceptedProtocols ?? ["RTP/AVP", "RTP/AVPF"]
    return remote.kind == .audio && !remote.isDisabled
      && accepted.contains { $0.lowercased() == remote.protocolName.lowercased() }
  }

  private func refusal(of media: [RemoteMedia]) -> String {
    guard let audio = media.first(where: { $0.kind == .audio && !$0.isDisabled }) else { return "no audio was offered" }
    return "the offered protocol \(audio.protocolName) does not go with mediaenc \(self.encryption?.id ?? "none")"
  }

  /// Whether both agree to rtcp-mux.
  func sharesSocket(with remote: RemoteMedia) -> Bool { self.settings.usesRTCPMux && remote.rtcpMux }

  private func security(of remote: RemoteMedia) throws -> RemoteSecurity {
    guard let address = self.onLink(remote.rtp?.address) else {
      throw MediaRefusal(description: "the peer's media address is a name")
    }
    let isMuxed = self.sharesSocket(with: remote)
    return RemoteSecurity(
      protocolToken: remote.protocolName,
      attributes: remote.attributes.map { DescriptionAttribute($0.name, $0.value) }, rtpAddress: address,
      rtcpAddress: isMuxed ? nil : self.onLink(remote.rtcp?.address))
  }
}
