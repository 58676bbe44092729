package import Handoff
internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import RTPStack
package import Runtime
internal import SRTPEngine

/// One media section with all that depends on it: its paths, SRTP contexts, the stream and every timer of these.
///
/// Lives whole on one loop and is used nowhere else. Main reaches it by commands and hears of it by events.
package final class MediaTransport {
  /// What may cross: decided by the first keying command.
  enum Security {
    /// Nothing was negotiated yet: packets are parked.
    case undecided
    case plain
    case encrypted
  }

  // What every packet and tick touches comes first, side by side in memory: with many calls each cache line counts.
  let context: LoopContext
  private let commands: Mailbox<TransportCommand>
  /// How often the loop had been signalled when commands were looked for last.
  private var seenSignals = -1
  private(set) var isRunning = false
  /// Whether anything happened that `settle` has to see; a packet that is only played leaves it as it is.
  var isUnsettled = false
  /// Whether there is an agreement, so that packets can be understood.
  private(set) var isConfigured = false
  var usesRTCPMux = false
  var security = Security.undecided
  /// When it is over at the latest: servers are told meanwhile that they have nothing to relay any more.
  private var closingEnd: Instant?
  /// When anything but the audio stream wants to be looked at: until then a tick touches the memory of nothing else.
  private var quietUntil = Instant(nanoseconds: .min)
  private var timer: TimerID?
  /// What media is sent on.
  var path: MediaPath
  /// What it will be sent on, once a new association has secured it.
  var nextPath: MediaPath?
  var received = 0
  private var sent = 0
  /// Where delays are measured.
  let delays: TransportDelays?
  /// When the packet that is looked at came, until it was handed on; known only where delays are measured.
  private var arrival: Int64?
  /// Once video is agreed on for this transport.
  var video: VideoStream?
  private var lossGenerator: LossGenerator
  var stream: AudioStream
  var keys: KeyStore

  private var isStopping = false
  private static let releasePatience: Int64 = 1_200
  var hasReportedSecure = false
  /// What it was sent on, oldest first: packets may be on their way.
  var formerPaths: [MediaPath] = []
  private var seenRekeys = 0
  /// Whether main has not been told of one yet.
  private var owesRekeyed = false
  /// How often main has begun to bring keys.
  var keyChanges = 0
  var outbox: EventOutbox
  var routing = BundleRouting()
  /// RTCP packets that came where there is no audio.
  var videoReports = 0
  let settings: TransportSettings
  var drops = DropCounters()
  /// What the associations of closed paths counted.
  var closedExchanges = KeyExchangeCounters()
  /// What the connectivity checks of closed paths counted.
  var closedChecks = ConnectivityCounters()
  var sendFailures = 0
  /// What shared sockets of closed paths did not send.
  var closedUnsent = 0
  private var commandPort: WatchID?
  var securedBy: SecuredBy?
  /// Whoever holds the transport lets go when it has closed.
  private let released: () -> Void

  package init(
    context: LoopContext, settings: TransportSettings, commands: Mailbox<TransportCommand>,
    events: Mailbox<TransportEvent>, ports: PortPair, further: [PortPair], released: @escaping () -> Void
  ) {
    self.context = context
    self.commands = commands
    self.outbox = EventOutbox(events)
    self.path = MediaPath(ports, further: further)
    self.stream = AudioStream(settings: settings, now: context.now)
    self.settings = settings
    self.delays = settings.delays
    self.keys = KeyStore(settings.srtpTransform, limit: settings.keyLimit)
    self.lossGenerator = LossGenerator(percent: settings.loss, seed: settings.seed)
    self.released = released
  }

  /// Begins to receive; returns the port by which commands are announced. The caller then calls `lookForCommands`.
  ///
  /// The loop's handlers keep the transport until it has stopped: an event costs no reference of its own.
  package func start() -> WatchID {
    self.isRunning = true
    self.open(self.path)
    self.timer = self.context.makeTimer { self.timerFired() }
    let port = self.context.register { self.lookForCommands() }
    self.commandPort = port
    return port
  }

  /// Takes what main has posted.
  package func lookForCommands() {
    guard self.isRunning else { return }
    self.obey()
    if let video, self.closingEnd == nil { video.poke(now: self.context.now, self) }
    self.settle()
  }

  // MARK: Events of the loop

  /// Commands are taken between the receive and its first packet: a packet that was sent after a key was posted is then
  /// always opened with that key installed.
  func receive(on path: MediaPath, _ socket: MediaSocket, _ port: any DatagramPort) {
    for _ in 0..<4 {
      guard self.receiveBatch(on: path, socket, port) else { break }
    }
    if self.isUnsettled || path.isShared { self.settle() }
  }

  /// Reads one batch of datagrams; true when there may be more.
  private func receiveBatch(on path: MediaPath, _ socket: MediaSocket, _ port: any DatagramPort) -> Bool {
    guard self.isRunning, path.isOpen else { return false }
    let batch = self.context.batch
    port.fill(batch)
    let isFull = batch.isFull
    let now = self.context.now
    guard self.closingEnd == nil else {
      self.isUnsettled = true
      for index in 0..<batch.count where !batch.isTruncated(index) {
        let source = batch.source(index)
        batch.withPacket(index) { self.receiveRelease($0, from: source, on: path, socket, now: now) }
      }
      return isFull
    }
    self.obey()
    for index in 0..<batch.count {
      let source = batch.source(index)
      self.received += 1
      guard path.isOpen, !batch.isTruncated(index) else {
        self.drops.unknown += 1
        continue
      }
      if self.delays != nil { self.arrival = batch.arrival(index) }
      batch.withPacket(index) { self.receive(&$0, from: source, on: path, socket, now: now) }
    }
    self.arrival = nil
    return isFull
  }

  private func timerFired() {
    guard self.isRunning else { return self.leave() }
    let now = self.context.now
    guard self.closingEnd == nil else {
      for path in self.paths { self.timeoutRelease(of: path, now: now) }
      return self.settle()
    }
    let isQuiet = now < self.quietUntil
    if !isQuiet {
      self.timeoutPaths(now: now)
      if case .encrypted = self.security { self.keys.timeout(now: now) }
    }
    if let delays, let late = self.stream.lateness(now: now) { delays.tick.count(late) }
    self.tick(now: now)
    if isQuiet, !self.isUnsettled, !self.stream.hasEvents, !self.isWornOut { return self.armTimer() }
    if let video { video.timeout(now: now, self) }
    self.settle()
  }

  /// Whether main is to be told, now, that the key in use should be replaced.
  private var isWornOut: Bool {
    guard case .encrypted = self.security else { return false }
    return self.keys.isWornOut
  }

  private func tick(now: Instant) {
    var workspace = self.context.takeWorkspace()
    self.stream.timeout(now: now, &workspace, output: self)
    self.context.giveBack(workspace)
  }

  /// What every event ends with that may have changed more than what is played: retired keys and waiting events leave, and
  /// the timer is set for what comes next.
  func settle() {
    guard self.isRunning else { return }
    guard !self.isStopping else { return self.stop() }
    self.isUnsettled = false
    self.path.claimSources()
    if case .encrypted = self.security { self.settleKeys() }
    while let event = self.stream.takeEvent() { self.outbox.tell(event) }
    self.outbox.flush()
    var next = Instant(nanoseconds: .max)
    if let deadline = self.video?.nextDeadline { next = min(next, deadline) }
    if let deadline = self.pathDeadline { next = min(next, deadline) }
    if case .encrypted = self.security, let deadline = self.keys.nextDeadline { next = min(next, deadline) }
    if self.outbox.hasWaiting { next = min(next, self.context.now.advanced(byMilliseconds: 5)) }
    self.quietUntil = next
    self.armTimer()
  }

  private func armTimer() {
    let next = self.stream.nextDeadline.map { min($0, self.quietUntil) } ?? self.quietUntil
    if next.nanoseconds < .max, let timer { self.context.arm(timer, at: next) }
  }

  private func settleKeys() {
    while let retired = self.keys.takeRetired() { self.outbox.post(.retired(retired)) }
    if self.keys.takeReminder() { self.outbox.post(.keyWornOut) }
    if self.seenRekeys != self.keys.rekeys {
      self.seenRekeys = self.keys.rekeys
      self.owesRekeyed = true
      self.peerUsesNewKeys(now: self.context.now)
    }
    // The next ones may be under way already, or those of RTCP not there yet.
    guard self.owesRekeyed, !self.keys.isRekeying, self.nextPath == nil, !self.path.associations.isHandshaking else {
      return
    }
    self.owesRekeyed = false
    self.outbox.post(.rekeyed(self.keyChanges))
  }

  // MARK: Commands

  func obey() {
    // Nearly always; a message that is none is as large as one, and the mailbox is nowhere near.
    let signals = self.context.signalCount
    guard signals != self.seenSignals else { return }
    self.seenSignals = signals
    guard !self.commands.isEmpty else { return }
    while self.isRunning, self.closingEnd == nil, let command = self.commands.take() {
      self.isUnsettled = true
      switch consume command {
      case .keying(let command): self.obey(command)
      case .connectivity(let command): self.obey(command)
      case .openPath(let ports): self.openNext(ports)
      case .movePath(let ports): self.move(to: ports)
      case .closePath: self.closeNext()
      case .configure(let agreement): self.configure(agreement)
      case .sendDigits(let digits): self.stream.send(digits: digits)
      case .replaceStages(let plan, let direction): self.replaceStages(plan, direction)
      case .mute(let isMuted): self.stream.isMuted = isMuted
      case .reportStatistics: self.outbox.post(.statistics(self.statistics))
      case .stop: self.isStopping = true
      }
    }
  }

  private func configure(_ agreement: MediaAgreement) {
    self.usesRTCPMux = agreement.usesRTCPMux
    // With a new path, the peer has one too: media goes to its old one until the new one is secured.
    (self.nextPath ?? self.path).signal(agreement)
    do throws(ModuleError) {
      if let audio = agreement.audio { try self.stream.configure(audio, now: self.context.now) }
    } catch { self.outbox.post(.audioFailed(error)) }
    do throws(ModuleError) { try self.configureVideo(agreement) } catch { self.fail(error) }
    self.isConfigured = true
    self.drainParked(of: self.path, now: self.context.now)
  }

  private func replaceStages(_ plan: StagePlan, _ direction: MediaDirection) {
    do throws(ModuleError) { try self.stream.replaceStages(plan, direction) } catch {
      self.outbox.post(.audioFailed(error))
    }
  }

  func fail(_ error: ModuleError) { self.outbox.post(.failed(error)) }

  /// What has arrived by now is still read: the peer's good-bye is often among it.
  private func stop() {
    let now = self.context.now
    if self.closingEnd == nil { self.sayGoodbye(now: now) }
    guard let end = self.closingEnd, end <= now || !self.paths.contains(where: \.isReleasing) else {
      return self.awaitRelease(until: self.closingEnd ?? now)
    }
    self.isRunning = false
    for path in self.paths { path.close(in: self.context) }
    if let commandPort { self.context.unregister(commandPort) }
    self.commands.close()
    self.outbox.post(.closed(self.statistics))
    self.leave()
  }

  private func awaitRelease(until end: Instant) {
    let next = self.paths.compactMap { $0.connectivity?.nextDeadline }.reduce(end) { min($0, $1) }
    self.outbox.flush()
    if let timer { self.context.arm(timer, at: next) }
  }

  /// The last of media's own.
  private func sayGoodbye(now: Instant) {
    for path in self.paths {
      for socket in path.sockets {
        guard let port = path.port(socket) else { continue }
        // What the loop has collected, and what came since.
        for _ in 0..<2 { _ = self.receiveBatch(on: path, socket, port) }
      }
      for link in path.links where path.stream(link)?.isConnecting == false { self.read(path, link) }
    }
    var workspace = self.context.takeWorkspace()
    self.stream.sayGoodbye(now: now, &workspace, output: self)
    self.context.giveBack(workspace)
    self.video?.sayGoodbye(now: now, self)
    if let exchange = self.path.associations.current {
      exchange.close(now: now)
      self.run(exchange, of: self.path, now: now)
    }
    for path in self.paths { self.releaseRelays(of: path, now: now) }
    self.stream.finish()
    self.video?.finish()
    self.closingEnd = now.advanced(byMilliseconds: Self.releasePatience)
  }

  /// Gone when main has taken every event; only a main loop that is far behind makes this wait.
  private func leave() {
    self.outbox.flush()
    guard let timer else { return }
    if self.outbox.hasWaiting {
      self.context.arm(timer, at: self.context.now.advanced(byMilliseconds: 5))
    } else {
      self.context.remove(timer)
      self.released()
    }
  }

  // MARK: Packets

  func receive(
    _ packet: inout Packet, from source: SocketAddress, on path: MediaPath, _ socket: MediaSocket, now: Instant
  ) {
    let component = socket.component
    let packetClass = PacketClass(packet.bytes)
    // All but RTP may change more than what is played.
    if packetClass != .rtp { self.isUnsettled = true }
    switch packetClass {
    case .dtls:
      // What has waited for these keys came before them.
      self.arrival = nil
      guard let exchange = path.associations.owner(of: packet.bytes) else {
        self.drops.unknown += 1
        return
      }
      guard let source = path.handshakeSource(source, component) else {
        // A peer that has no part in checks may be quicker than the answer that says so.
        guard !path.isUndecided else { return path.park(packet, from: source, on: component, now: now) }
        self.drops.source += 1
        return
      }
      exchange.receive(packet.bytes, from: source, on: component, now: now)
      self.run(exchange, of: path, now: now)
    case .rtp: self.receiveMedia(&packet, isRTCP: false, from: source, on: path, component, now: now)
    case .rtcp: self.receiveMedia(&packet, isRTCP: true, from: source, on: path, component, now: now)
    case .stun:
      if self.receiveRelayed(&packet, from: source, on: path, socket, now: now) { return }
      self.receiveCheck(packet, from: source, on: path, socket, now: now)
    case .turnChannel:
      if !self.receiveRelayed(&packet, from: source, on: path, socket, now: now) { self.drops.unknown += 1 }
    case .unknown: self.drops.unknown += 1
    }
  }

  private func receiveMedia(
    _ packet: inout Packet, isRTCP: Bool, from source: SocketAddress, on path: MediaPath, _ component: Component,
    now: Instant
  ) {
    // Packets that outrun the answer wait until it is all here: addresses and formats too, not only the keys.
    guard self.isConfigured else { return self.park(packet, from: source, on: path, component, now: now) }
    guard path.admits(source) else {
      self.drops.source += 1
      return
    }
    switch self.security {
    case .undecided: self.park(packet, from: source, on: path, component, now: now)
    case .plain:
      let isAccepted =
        switch component {
        case .rtp:
          (path.rtpSource.isAt(source) || self.mayMoveSource(packet, isRTCP))
            && path.rtpSource.accepts(source, now: now)
        case .rtcp: path.acceptsReport(from: source, now: now)
        }
      guard isAccepted else {
        self.drops.source += 1
        return
      }
      self.deliver(packet, isRTCP: isRTCP, now: now)
    case .encrypted:
      if self.keys.isChanging { self.isUnsettled = true }
      guard self.hasKeys(for: path, component) else {
        return self.park(packet, from: source, on: path, component, now: now)
      }
      switch self.keys.unprotect(&packet, isRTCP: isRTCP, on: component, now: now) {
      case .ok:
        path.learn(source, component, now: now)
        self.heard(on: path)
        self.deliver(packet, isRTCP: isRTCP, now: now)
      case .replayed: self.drops.replay += 1
      case .notEncrypted: self.drops.plaintext += 1
      // RTCP without room for a trailer was sent in the clear.
      case .malformed: if isRTCP { self.drops.plaintext += 1 } else { self.drops.unknown += 1 }
      default:
        guard self.keys.expectsInbound else {
          self.drops.auth += 1
          return
        }
        self.park(packet, from: source, on: path, component, now: now)
      }
    }
  }

  /// What is RTP moves the address that media goes to, of whatever payload type, for so a peer that does not speak keeps its way
  /// open (RFC 6263 §4.6); RTCP where it shares the socket.
  private func mayMoveSource(_ packet: borrowing Packet, _ isRTCP: Bool) -> Bool {
    isRTCP ? self.usesRTCPMux : (try? RTPHeader(parsing: packet.bytes)) != nil
  }

  private func park(
    _ packet: borrowing Packet, from source: SocketAddress, on path: MediaPath, _ component: Component, now: Instant
  ) {
    self.isUnsettled = true
    path.park(packet, from: source, on: component, now: now)
  }

  private func deliver(_ packet: borrowing Packet, isRTCP: Bool, now: Instant) {
    if let video { return self.deliver(packet, isRTCP: isRTCP, besides: video, now: now) }
    guard isRTCP else {
      switch self.stream.receive(packet: packet.bytes, now: now) {
      case .refused:
        self.drops.unknown += 1
        return
      case .taken: break
      case .eventful: self.isUnsettled = true
      }
      if let delays, let arrival = self.arrival.take() { delays.receive.count(wallClockNanoseconds() - arrival) }
      return
    }
    if !self.stream.receive(report: packet.bytes, now: now) { self.drops.unknown += 1 }
    self.keys.roundTrip = self.stream.roundTrip
  }

  func send(_ bytes: RawSpan, to address: SocketAddress, on path: MediaPath, _ component: Component) {
    if self.lossGenerator.drops() { return }
    self.note(path.sendData(bytes, to: address, on: component))
  }

  /// Sends a datagram of the checks' own: it leaves by their socket, as it is.
  func sendCheck(_ bytes: RawSpan, to address: SocketAddress, on path: MediaPath, _ socket: MediaSocket) {
    if self.lossGenerator.drops() { return }
    self.note(path.send(bytes, to: address, on: socket))
  }

  func note(_ result: SendResult) {
    if case .sent = result { self.sent += 1 } else { self.sendFailures += 1 }
  }

  /// Whether nothing but servers' answers is heard any more.
  var isClosing: Bool { self.closingEnd != nil }

  private var statistics: TransportStatistics {
    var all = self.stream.statistics
    all.video = self.video?.statistics
    all.receivedReports += self.videoReports
    let drops = all.drops
    let exchanges = self.exchangeCounters
    all.drops = self.drops
    for path in self.paths { path.countUnkeyed(in: &all.drops) }
    all.drops.ended += exchanges.ended
    if !self.isRunning { all.drops.ended += exchanges.waiting + self.paths.reduce(0) { $0 + $1.waiting } }
    all.drops.unknown += drops.unknown
    all.drops.mailboxFull += drops.mailboxFull + self.outbox.dropCount + self.commands.dropCount
    all.sendFailures = self.sendFailures
    all.sentDatagrams = self.sent
    all.receivedDatagrams = self.received
    all.takeBack(self.paths.reduce(self.closedUnsent) { $0 + $1.unsent })
    all.rekeys = self.keys.rekeys
    all.drops.source += exchanges.strangers
    all.drops.unknown += exchanges.dropped
    all.handshakeDatagrams = exchanges.taken
    let checks = self.checkCounters
    all.checkDatagrams = checks.accepted
    all.drops.checks = checks.refused
    (all.relayRefusals, all.relayOverflows) = (checks.relays.refused, checks.relays.full)
    all.relayLosses = checks.relays.lost
    (all.drops.unpermitted, all.drops.unbound) = (checks.relays.unpermitted, checks.relays.unbound)
    all.handshakeRetransmissions = exchanges.retransmissions
    return all
  }
}
