internal import ICEAgent
internal import ModuleKit
package import NetBase
internal import Runtime
internal import SDPCodec

/// One section of a call's descriptions with the transport that it leads to: sockets, keys to negotiate, and checks.
///
/// Sections of one BUNDLE group have one of these between them.
package final class MediaSection {
  let environment: MediaEnvironment
  let encryption: (any MediaEncryption)?
  let keying: (any MediaEncryptionSession)?
  let connectivity: (any MediaNATSession)?
  private let usesRTCPMux: Bool
  private let mindsDefaultAddress: Bool
  /// Told of what is wrong and doesn't end the call.
  private let warn: (String) -> Void
  /// Whether its sockets may be those of other transports too: not with a relay.
  private let mayShareSockets: Bool
  /// Whom to ask for candidates; nil until their names are resolved.
  var servers: [ICEServer]?
  package let transport: TransportHandle
  package private(set) var localAddress: SocketAddress
  /// Where media is received until the next association, whose path was opened, has replaced the one in force.
  private var addressBefore: SocketAddress?
  /// Where media is received from the next offer or answer on: the address in force is gone.
  private var nextAddress: SocketAddress?
  /// Whether the address in force is gone, and media goes on from others of this host's, which checks have chosen.
  private var staysPut = false
  package private(set) var isEncrypted = false
  /// Whether keys were changed, and the transport has not yet seen them in use both ways.
  package private(set) var isRekeying = false
  /// How often keys were begun to be brought to the transport.
  private var keyChanges = 0
  /// Whether servers are asked for what the next description names.
  private(set) var isGathering = false
  /// Whether the transport's last word has come.
  var hasClosed = false

  /// Opens the sockets, on `address`, and starts the transport.
  ///
  /// - Parameter sharesSockets: whether they may be those of other transports.
  /// - Throws: `ModuleError`.
  init(
    environment: MediaEnvironment, settings: CallSettings, address: SocketAddress, stream: StreamID, ssrc: UInt32,
    canonicalName: String, sharesSockets: Bool = true, announce: @escaping @Sendable () -> Void,
    warn: @escaping (String) -> Void
  ) throws {
    self.environment = environment
    self.warn = warn
    (self.usesRTCPMux, self.mindsDefaultAddress) = (settings.usesRTCPMux, settings.mindsDefaultAddress)
    self.mayShareSockets =
      sharesSockets && (settings.mediaNAT == nil || !settings.natServers.contains(where: \.relaysSocket))
    self.encryption = try settings.mediaEncryption.map { id throws(ModuleError) in
      try environment.registry.encryption(id)
    }
    self.keying = try self.encryption?.makeSession()
    self.connectivity = try settings.mediaNAT.map { id in
      try environment.registry.nat(id).makeSession(trust: environment.configuration.sipSecurity)
    }
    let ports = try environment.openPorts(
      on: address, for: settings.mayHaveChecks ? self.connectivity : nil, isShared: self.mayShareSockets, warn)
    self.localAddress = ports.address
    try self.connectivity?.use(ports.sockets, further: ports.furtherSockets, isForNextAssociation: false)
    self.transport = try environment.startTransport(
      ports, stream: stream, ssrc: ssrc, canonicalName: canonicalName, announce: announce)
  }

  // MARK: The transport

  /// Posts a command; false when the lane is full.
  package func post(_ command: consuming sending TransportCommand) -> Bool { self.transport.post(command) }

  func require(_ isPosted: Bool) throws {
    if !isPosted {
      throw ModuleError(.unavailable, "the media transport does not take commands: it is overloaded or gone")
    }
  }

  // MARK: Keys

  /// - Parameter hasRemote: whether the peer has described anything.
  func postKeying(hasRemote: Bool) throws {
    guard let keying = self.keying else {
      if hasRemote { try self.require(self.post(.keying(.plain))) }
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

  /// Keys are in use both ways: the newest, unless others were agreed on meanwhile.
  func rekeyed(_ changes: Int) { if changes == self.keyChanges { self.isRekeying = false } }

  /// The handshake of the next association failed: the next offer asks for another one, as the peer's end of this one
  /// is no better.
  func rekeyFailed() {
    self.isRekeying = false
    self.keying?.associationFailed()
  }

  /// Our offer was refused; what was agreed before stands.
  func rollback() {
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

  // MARK: Addresses

  /// Makes the next offer name `address`, for the one in force is gone; false while keys are about to change, and where
  /// they have to change with the address and can't. What checks have chosen stays in use while this host has it, and
  /// the offer names that.
  func move(to address: SocketAddress, has isOurs: (SocketAddress) -> Bool) -> Bool {
    let chosen = self.connectivity?.localAddresses ?? []
    self.staysPut = !chosen.isEmpty && chosen.allSatisfy(isOurs)
    guard !self.staysPut else {
      self.nextAddress = nil
      return true
    }
    if let keying, keying.isBoundToAddress {
      guard !self.isRekeying, keying.requestRekey() else { return false }
    }
    self.nextAddress = address
    return true
  }

  /// Sockets for a new association, before the description that names them leaves. It may have those in use, unless
  /// their address is gone; with checks it has its own, unless servers were to be asked about them. Its own are shared
  /// with nobody: another address is what they are for.
  func openPathIfNeeded() throws {
    guard let path = self.keying?.takeAssociationPath() else { return try self.movePathIfNeeded() }
    if case .inUse = path, self.nextAddress == nil, self.connectivity?.asksServers != false {
      self.isRekeying = true
      return
    }
    let ports = try self.openPorts(on: self.nextAddress ?? self.home)
    self.addressBefore = self.addressBefore ?? self.localAddress
    self.localAddress = ports.address
    try self.connectivity?.use(ports.sockets, further: ports.furtherSockets, isForNextAssociation: true)
    self.isRekeying = true
    try self.require(self.post(.openPath(ports)))
  }

  /// What was agreed is in force, at the address that the description named.
  func settleAddress() {
    // Other sockets have an address that is there.
    if self.addressBefore.take() != nil { self.staysPut = false }
    if let next = self.nextAddress, next.isSameHost(as: self.localAddress) { self.nextAddress = nil }
  }

  /// Other sockets for what is in force, where its address is gone and its keys may stay.
  private func movePathIfNeeded() throws {
    guard let next = self.nextAddress, self.keying?.isBoundToAddress != true else { return }
    let ports = try self.openPorts(on: next, isShared: self.mayShareSockets)
    self.localAddress = ports.address
    try self.connectivity?.use(ports.sockets, further: ports.furtherSockets, isForNextAssociation: false)
    self.nextAddress = nil
    try self.require(self.post(.movePath(ports)))
  }

  private func openPorts(on address: SocketAddress, isShared: Bool = false) throws(ModuleError) -> MediaPorts {
    try self.environment.openPorts(
      on: address.with(port: 0), for: self.connectivity, isShared: isShared, in: self.transport.loop, self.warn)
  }

  /// Where new sockets have a place: the address in force, or, where that is gone, one that media goes on from.
  var home: SocketAddress {
    self.staysPut ? self.connectivity?.localAddresses.first ?? self.localAddress : self.localAddress
  }

  /// The addresses of this host that the call hangs on: the one that descriptions name, and those that checks chose;
  /// only these, once descriptions name them in its place.
  var addressesInUse: [SocketAddress] {
    let chosen = self.connectivity?.localAddresses ?? []
    return self.staysPut && !chosen.isEmpty ? chosen : [self.localAddress] + chosen
  }

  /// A link-local peer is reached over the interface that our own address is of: descriptions name no scope.
  func onLink(_ address: SocketAddress?) -> SocketAddress? {
    guard var address, address.isLinkLocal, address.scope == 0 else { return address }
    address.scope = self.localAddress.scope
    return address
  }

  // MARK: Descriptions

  /// The transport's attributes for an offer.
  func offerAttributes() throws -> [DescriptionAttribute] {
    let attributes = try self.keying?.offerAttributes() ?? []
    try self.openPathIfNeeded()
    return attributes + (try self.connectivity?.offerAttributes() ?? [])
  }

  /// The transport's attributes for the answer to a section of the peer's offer.
  func answerAttributes(to remote: RemoteMedia) throws -> [DescriptionAttribute] {
    let attributes = try self.keying?.answer(to: try self.security(of: remote)) ?? []
    try self.openPathIfNeeded()
    return attributes + (try self.connectivity?.answer(to: self.reach(of: remote)) ?? [])
  }

  /// Takes what the peer's answer says of the keys; where that is of no use, nothing of it is in force.
  func receiveKeys(answer remote: RemoteMedia) throws {
    try self.keying?.receive(answer: try self.security(of: remote))
  }

  /// Takes what the peer's answer says of addresses, after the keys.
  func receiveAddresses(answer remote: RemoteMedia) throws {
    self.settleAddress()
    try self.connectivity?.receive(answer: self.reach(of: remote))
  }

  /// Whether a section of the peer's can have this transport.
  func accepts(_ remote: RemoteMedia) -> Bool {
    !remote.isDisabled
      && self.acceptedProtocols.contains { $0.lowercased() == remote.protocolName.lowercased() }
  }

  var offeredProtocol: String { self.encryption?.offeredProtocol ?? "RTP/AVP" }

  var acceptedProtocols: [String] { self.encryption?.acceptedProtocols ?? ["RTP/AVP", "RTP/AVPF"] }

  /// Where the next description says that RTP and RTCP are received.
  var described: SocketAddress { self.connectivity?.described?.rtp ?? self.home }

  var describedRTCPPort: UInt16 { self.connectivity?.described?.rtcp.port ?? self.home.port + 1 }

  /// Begins to gather what the next description names; false where it need not wait.
  func gather(from servers: [ICEServer], for next: SectionDescription) throws -> Bool {
    guard let connectivity else { return false }
    switch next {
    case .offer:
      // New sockets, where the keys or the address want them: they are what candidates are gathered on.
      _ = try self.keying?.offerAttributes()
      try self.openPathIfNeeded()
      self.isGathering = try connectivity.gather(from: servers, for: .offer)
    case .answer(let remote):
      self.isGathering = try connectivity.gather(from: servers, for: .answer(self.reach(of: remote)))
    }
    try self.postConnectivity()
    return self.isGathering
  }

  /// What is about to be described.
  enum SectionDescription {
    case offer
    /// To a section of the peer's offer.
    case answer(RemoteMedia)
  }

  /// Servers have answered.
  ///
  /// - Returns: false where it is of sockets that no description of ours names any more.
  func gathered(_ report: GatheringReport) -> Bool {
    self.connectivity?.gathered(report)
    guard report.sockets.rtp == self.localAddress else { return false }
    self.isGathering = false
    return true
  }

  /// Takes candidates that the peer has found since its description; false where they belong to nothing in force.
  func add(candidates: [String], of fragment: String?) throws -> Bool {
    guard self.connectivity?.add(candidates: candidates, of: fragment) == true else { return false }
    try self.postConnectivity()
    return true
  }

  /// Before the stream's settings: they say nothing of addresses where there are checks.
  func postConnectivity() throws {
    while let command = self.connectivity?.nextCommand() { try self.require(self.post(.connectivity(command))) }
  }

  func reach(of remote: RemoteMedia) -> RemoteConnectivity {
    RemoteConnectivity(
      attributes: remote.attributes.map { DescriptionAttribute($0.name, $0.value) },
      address: self.mindsDefaultAddress ? remote.rtp?.address : nil,
      sharesSocket: self.sharesSocket(with: remote))
  }

  /// Whether both agree to rtcp-mux.
  private func sharesSocket(with remote: RemoteMedia) -> Bool { self.usesRTCPMux && remote.rtcpMux }

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
