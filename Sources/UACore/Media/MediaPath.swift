internal import Glibc
internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime

/// A pair of sockets, with further ones where checks may find a way by these, and the DTLS association that runs over
/// them where there is one.
///
/// A transport has one path for most of its life. A new association with a peer that can't tell it from the old one comes
/// with a new path (RFC 8842 §3.1 wants another 5-tuple): a datagram belongs to the association of the port that it came
/// to, and two handshakes never meet. The path before it still receives for a while: packets under the old keys are on
/// their way. Owned by the transport.
///
/// Sockets that other transports have too are told who the peer is, and by what its checks and packets are known.
final class MediaPath {
  // What every packet touches comes first.
  private(set) var isOpen = false
  /// Whether the sockets are other transports' too.
  let isShared: Bool
  /// Whether the association's keys are there, component by component; packets that outrun them are parked.
  private var secured = (rtp: false, rtcp: false)
  /// Whether the peer has not said yet if it has a part in checks.
  private(set) var isUndecided = false
  /// Where there is one, its checks alone say where anything goes, and from where it is taken.
  private(set) var connectivity: (any ConnectivityAgent)?
  /// What data leaves by; kept, for every packet asks.
  private var outgoing: (rtp: (any DatagramPort)?, rtcp: (any DatagramPort)?)
  var rtpSource = RemoteSource()
  var associations = PathAssociations()
  /// What passes data on to the peer, where something has to, and the room that it is framed in.
  private var relays: (rtp: TURNFraming?, rtcp: TURNFraming?)
  /// The last source that was asked about and that a check vouches for.
  private var admitted: SocketAddress?
  /// When `timeout` is due; kept, for every event asks. Whatever may change it ends with `noteDeadline`.
  private(set) var nextDeadline: Instant?

  /// The path's own, then those at further addresses of this host: what comes there is treated like all else, and they
  /// go with the checks. None once the path has closed.
  private var pairs: [PortPair]
  var rtcpSource = RemoteSource()
  private var frame: [UInt8] = []
  /// Connections to servers.
  private var streams: [(link: RelayLink, stream: RelayStream)] = []
  /// What a handshake is to be started with, once there is a way for it.
  var pendingHandshake: KeyExchangeRemote?
  /// What the key exchange knows the peer as, behind checks: they vouch for every address that it may use.
  private var handshakePeers: (rtp: SocketAddress?, rtcp: SocketAddress?) = (nil, nil)
  /// When a path that was replaced is closed.
  var end: Instant? { didSet { self.noteDeadline() } }
  private(set) var parkedRTP = ParkedPackets()
  private(set) var parkedRTCP = ParkedPackets()
  /// Which addresses shared sockets were told to be the peer's last.
  private var claimed: (rtp: SocketAddress?, rtcp: SocketAddress?) = (nil, nil)
  /// Of those that are closed.
  private var unsentBefore = 0

  init(_ pair: PortPair, further: [PortPair]) {
    self.pairs = [pair] + further
    self.outgoing = (pair.rtp, pair.rtcp)
    self.isShared = pair.rtp.isShared
  }

  /// Every socket, those of the path's own pair first.
  var sockets: [MediaSocket] {
    self.pairs.indices.flatMap { pair in Component.allCases.map { MediaSocket($0, of: pair) } }
  }

  /// Calls a socket's handler whenever it has something, until the path is closed: the loop keeps them for so long.
  func open(in context: LoopContext, _ handler: (MediaSocket, any DatagramPort) -> () -> Void) {
    self.isOpen = true
    for socket in self.sockets {
      if let port = self.port(socket) { port.attach(to: context, handler(socket, port)) }
    }
  }

  /// From now on the loop's batch tells when RTP came.
  func stampArrivals(in context: LoopContext) {
    for socket in self.sockets where socket.component == .rtp { self.port(socket)?.stampArrivals(in: context) }
  }

  /// After this nothing is received, and the sockets are closed.
  func close(in context: LoopContext) {
    guard self.isOpen else { return }
    self.isOpen = false
    self.closePairs(after: 0, in: context)
    self.outgoing = (nil, nil)
    self.closeStreams()
  }

  /// Closes all pairs but the first `count`.
  private func closePairs(after count: Int, in context: LoopContext) {
    for pair in self.pairs.dropFirst(count) {
      for component in Component.allCases {
        pair[component].detach(from: context)
        self.unsentBefore += pair[component].unsent
      }
    }
    self.pairs = Array(self.pairs.prefix(count))
  }

  /// Nil once it has closed.
  func port(_ socket: MediaSocket) -> (any DatagramPort)? {
    guard socket.pair < self.pairs.count else { return nil }
    return self.pairs[socket.pair][socket.component]
  }

  /// That of the path's own pair, which other transports may have too.
  private func ownPort(_ component: Component) -> (any DatagramPort)? { self.port(MediaSocket(component)) }

  func isSecured(_ component: Component) -> Bool {
    switch component {
    case .rtp: self.secured.rtp
    case .rtcp: self.secured.rtcp
    }
  }

  func secure(_ component: Component) {
    switch component {
    case .rtp: self.secured.rtp = true
    case .rtcp: self.secured.rtcp = true
    }
  }

  /// What the peer's description says.
  func signal(_ agreement: MediaAgreement) {
    self.rtpSource.signal(agreement.remoteRTP)
    self.rtcpSource.signal(agreement.usesRTCPMux ? agreement.remoteRTP : agreement.remoteRTCP)
    guard self.isShared else { return }
    for ssrc in agreement.remoteSSRCs { self.ownPort(.rtp)?.claim(.ssrc(ssrc)) }
    self.claimSources()
  }

  /// An authenticated packet came from `source`.
  func learn(_ source: SocketAddress, _ component: Component, now: Instant) {
    switch component {
    case .rtp: self.rtpSource.authenticated(source, now: now)
    case .rtcp: self.rtcpSource.authenticated(source, now: now)
    }
  }

  /// Whether RTCP in the clear is the peer's: from where it was last, or from the host that RTP comes from. Reports are too
  /// far apart for their silence, or for who comes first, to say anything.
  func acceptsReport(from source: SocketAddress, now: Instant) -> Bool {
    guard source == self.rtcpSource.address || self.rtpSource.address?.isSameHost(as: source) == true else {
      return false
    }
    return self.rtcpSource.accepts(source, now: now)
  }

  /// Datagrams that were taken to be sent, and that the kernel did not take.
  var unsent: Int { self.pairs.reduce(self.unsentBefore) { $0 + $1.rtp.unsent + $1.rtcp.unsent } }

  // MARK: Claims

  /// Tells shared sockets where the peer is, and where no more, when that is elsewhere than before; where there are
  /// checks, they say it.
  func claimSources() {
    guard self.isShared, self.connectivity == nil else { return }
    let before = self.claimed
    self.claimed = (Self.place(self.rtpSource) ?? before.rtp, Self.place(self.rtcpSource) ?? before.rtcp)
    guard before != self.claimed else { return }
    for case let address? in [self.claimed.rtp, self.claimed.rtcp] { self.ownPort(.rtp)?.claim(.source(address)) }
    for case let address? in [before.rtp, before.rtcp]
    where address != self.claimed.rtp && address != self.claimed.rtcp {
      self.ownPort(.rtp)?.claim(.formerSource(address))
    }
  }

  /// Nil for what stands for no address: a peer on hold is still where it was.
  private static func place(_ source: RemoteSource) -> SocketAddress? {
    guard let address = source.address, !address.isUnspecified, address.port != 0 else { return nil }
    return address
  }

  /// Tells them what the peer's checks name.
  func claimFragments() {
    guard self.isShared, let connectivity else { return }
    for fragment in connectivity.fragments { self.ownPort(.rtp)?.claim(.fragment(fragment)) }
  }

  /// Tells them that a check over them vouches for `source`, if one does.
  func claimValidated(_ source: SocketAddress) {
    guard self.isShared, let connectivity, connectivity.isValidated(source) else { return }
    self.ownPort(.rtp)?.claim(.source(source))
  }

  /// Whether a handshake's datagrams can be told from those of other transports.
  func claimHandshake(with remote: KeyExchangeRemote) -> Bool {
    guard self.isShared else { return true }
    // What a relay passes on comes over a connection of this path's own, and at further addresses nothing is shared.
    if self.relays.rtp == nil, self.outgoing.rtp === self.ownPort(.rtp),
      self.ownPort(.rtp)?.claim(.handshake(remote.rtpAddress)) == false
    {
      return false
    }
    guard let address = remote.rtcpAddress, self.relays.rtcp == nil, self.outgoing.rtcp === self.ownPort(.rtcp) else {
      return true
    }
    return self.ownPort(.rtp)?.claim(.handshake(address)) != false
  }

  // MARK: Checks

  /// From now on nothing goes anywhere, nor is taken, without a check.
  func begin(_ agent: any ConnectivityAgent) {
    self.connectivity = agent
    self.isUndecided = true
    self.admitted = nil
    self.followChecks()
  }

  /// An agent will be there at once.
  func awaitChecks() {
    self.rtpSource.pin(nil)
    self.rtcpSource.pin(nil)
  }

  /// There are none: the described addresses count, of ours too.
  func endChecks(in context: LoopContext) {
    self.connectivity = nil
    self.isUndecided = false
    self.relays = (nil, nil)
    self.closePairs(after: 1, in: context)
    self.outgoing = (self.ownPort(.rtp), self.ownPort(.rtcp))
    self.closeStreams()
    self.rtpSource.unpin()
    self.rtcpSource.unpin()
  }

  /// Whether a server has not said yet that it relays nothing more.
  var isReleasing: Bool { self.connectivity?.isReleasing ?? false }

  /// The peer's description.
  func check(_ remote: ICERemote, now: Instant) {
    self.isUndecided = false
    self.connectivity?.setRemote(remote, now: now)
  }

  /// Media goes where the checks say.
  func followChecks() {
    guard let connectivity else { return }
    let (rtp, rtcp) = (connectivity.route(.rtp), connectivity.route(.rtcp))
    if self.isShared {
      // Where neither side checks, nothing was validated.
      for case let route? in [rtp, rtcp] {
        self.ownPort(.rtp)?.claim(route.relay == nil && route.pair == 0 ? .source(route.peer) : .elsewhere)
      }
    }
    self.rtpSource.pin(rtp?.address)
    self.rtcpSource.pin(rtcp?.address)
    self.relays = (rtp?.relay, rtcp?.relay)
    self.outgoing = (
      self.port(MediaSocket(.rtp, of: rtp?.pair ?? 0)), self.port(MediaSocket(.rtcp, of: rtcp?.pair ?? 0))
    )
    if self.frame.isEmpty, self.relays.rtp != nil || self.relays.rtcp != nil {
      self.frame = [UInt8](repeating: 0, count: Self.longestFrame)
    }
  }

  /// Whether anything but checks may come from `source`.
  func admits(_ source: SocketAddress) -> Bool {
    guard let connectivity, source != self.admitted else { return true }
    guard connectivity.isValidated(source) else { return false }
    self.admitted = source
    return true
  }

  /// Where a handshake's datagrams for `address` go; nil when there is no way any more.
  func handshakeDestination(_ address: SocketAddress, _ component: Component) -> SocketAddress? {
    guard let connectivity else { return address }
    return connectivity.route(component)?.address
  }

  /// Whom the key exchange is told that a datagram came from; nil where nobody vouches for `source`.
  func handshakeSource(_ source: SocketAddress, _ component: Component) -> SocketAddress? {
    guard self.connectivity != nil else { return source }
    guard self.admits(source) else { return nil }
    switch component {
    case .rtp:
      self.handshakePeers.rtp = self.handshakePeers.rtp ?? source
      return self.handshakePeers.rtp
    case .rtcp:
      self.handshakePeers.rtcp = self.handshakePeers.rtcp ?? source
      return self.handshakePeers.rtcp
    }
  }

  /// What waits, with the addresses that count; nil while there is no way for a component that it is for.
  func takeHandshake() -> KeyExchangeRemote? {
    guard let pending = self.pendingHandshake else { return nil }
    guard let connectivity else {
      self.pendingHandshake = nil
      return self.associations.next == nil ? pending : self.following(pending)
    }
    guard let rtp = connectivity.route(.rtp)?.peer else { return nil }
    var rtcp: SocketAddress?
    if pending.rtcpAddress != nil, connectivity.covers(.rtcp) {
      rtcp = connectivity.route(.rtcp)?.peer
      guard rtcp != nil else { return nil }
    }
    self.pendingHandshake = nil
    return KeyExchangeRemote(
      isActive: pending.isActive, fingerprints: pending.fingerprints,
      rtpAddress: self.handshakeSource(rtp, .rtp) ?? rtp,
      rtcpAddress: rtcp.map { self.handshakeSource($0, .rtcp) ?? $0 })
  }

  /// The peer is where it was heard last under keys, which its description need not know (a NAT).
  private func following(_ remote: KeyExchangeRemote) -> KeyExchangeRemote {
    KeyExchangeRemote(
      isActive: remote.isActive, fingerprints: remote.fingerprints,
      rtpAddress: self.rtpSource.address ?? remote.rtpAddress,
      rtcpAddress: remote.rtcpAddress.map { self.rtcpSource.address ?? $0 })
  }

  /// Sends a datagram as it is.
  func send(_ bytes: RawSpan, to address: SocketAddress, on socket: MediaSocket) -> SendResult {
    self.port(socket)?.send(bytes, to: address) ?? .failed(EBADF)
  }

  /// Longer than any datagram of ours and what a relay wants before it.
  private static let longestFrame = 2048 + 64

  /// Sends a message of the checks' own over a connection; a server that takes nothing any more loses it.
  func send(_ message: RawSpan, over link: RelayLink) -> SendResult {
    self.stream(link)?.send(message, upTo: RelayStream.maximumWaiting) ?? .failed(ENOTCONN)
  }

  // MARK: Connections

  /// Begins to connect; `handler` is called whenever there is something to do on it.
  func connect(
    _ link: RelayLink, _ connection: RelayConnection, in context: LoopContext, _ handler: @escaping () -> Void
  ) throws(ModuleError) {
    let stream = try RelayStream(connection)
    stream.attach(to: context, handler)
    self.streams.append((link, stream))
  }

  func stream(_ link: RelayLink) -> RelayStream? { self.streams.first { $0.link == link }?.stream }

  var links: [RelayLink] { self.streams.map(\.link) }

  func disconnect(_ link: RelayLink) {
    self.stream(link)?.close()
    self.streams.removeAll { $0.link == link }
  }

  private func closeStreams() {
    for (_, stream) in self.streams { stream.close() }
    self.streams = []
  }

  /// Sends what is for the peer to `address`, which is the peer's or the relay's on the way to it.
  func sendData(_ bytes: RawSpan, to address: SocketAddress, on component: Component) -> SendResult {
    let port = component == .rtp ? self.outgoing.rtp : self.outgoing.rtcp
    let relay = component == .rtp ? self.relays.rtp : self.relays.rtcp
    guard let relay else { return port?.send(bytes, to: address) ?? .failed(EBADF) }
    return self.frame.withPacket(count: 0) { packet in
      guard relay.frame(bytes, in: &packet) else { return .failed(EMSGSIZE) }
      if let link = relay.link {
        return self.stream(link)?.send(packet.bytes, upTo: RelayStream.maximumMedia) ?? .failed(ENOTCONN)
      }
      return port?.send(packet.bytes, to: relay.server) ?? .failed(EBADF)
    }
  }

  func park(_ packet: borrowing Packet, from source: SocketAddress, on component: Component, now: Instant) {
    switch component {
    case .rtp: self.parkedRTP.park(packet, from: source, now: now)
    case .rtcp: self.parkedRTCP.park(packet, from: source, now: now)
    }
    self.noteDeadline()
  }

  /// Takes what waits for a key.
  func takeParked(_ component: Component) -> ParkedPackets {
    var taken = ParkedPackets()
    switch component {
    case .rtp: swap(&taken, &self.parkedRTP)
    case .rtcp: swap(&taken, &self.parkedRTCP)
    }
    self.noteDeadline()
    return taken
  }

  /// Gives up packets that waited too long.
  func timeoutParked(now: Instant) {
    self.parkedRTP.timeout(now: now)
    self.parkedRTCP.timeout(now: now)
    self.noteDeadline()
  }

  /// Adds packets that will never have a key: too many, or too old.
  func countUnkeyed(in drops: inout DropCounters) {
    drops.add(self.parkedRTP.counters)
    drops.add(self.parkedRTCP.counters)
  }

  /// Packets that still wait for a key.
  var waiting: Int { self.parkedRTP.count + self.parkedRTCP.count }

  /// To be called when the key exchange has done something.
  func noteDeadline() {
    var next = self.end
    if let deadline = self.associations.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.connectivity?.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTP.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTCP.nextDeadline { next = min(next ?? deadline, deadline) }
    self.nextDeadline = next
  }
}
