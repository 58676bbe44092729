package import Handoff
internal import ModuleKit
package import NetBase
package import Runtime
internal import SRTPEngine

/// One 5-tuple with all that depends on it: sockets, key exchange, SRTP contexts, the stream and every timer of these.
///
/// Lives whole on one loop and is used nowhere else. Main reaches it by commands and hears of it by events.
package final class MediaTransport {
  /// What may cross: decided by the first keying command.
  private enum Security {
    /// Nothing was negotiated yet: packets are parked.
    case undecided
    case plain
    case encrypted
  }

  private let context: LoopContext
  private let settings: TransportSettings
  private let commands: Mailbox<TransportCommand>
  private var outbox: EventOutbox
  private let rtpPort: any DatagramPort
  private let rtcpPort: (any DatagramPort)?
  private let stream: AudioStream
  private var rtpSource = RemoteSource()
  private var rtcpSource = RemoteSource()
  private var usesRTCPMux = false
  private var security = Security.undecided
  private var keys: KeyStore
  private var keyExchange: (any KeyExchange)?
  private var parkedRTP = ParkedPackets()
  private var parkedRTCP = ParkedPackets()
  private var drops = DropCounters()
  private var sent = 0
  private var received = 0
  private var sendFailures = 0
  private var timer: TimerID?
  private var commandPort: WatchID?
  private var isRunning = false
  private var isStopping = false
  private var hasReportedSecure = false
  private var reportedRekeys = 0
  private var securedBy: SecuredBy?
  private var lossGenerator: LossGenerator
  /// Whoever holds the transport lets go when it has closed.
  private let released: () -> Void

  package init(
    context: LoopContext, settings: TransportSettings, commands: Mailbox<TransportCommand>,
    events: Mailbox<TransportEvent>, rtpPort: any DatagramPort, rtcpPort: (any DatagramPort)?,
    released: @escaping () -> Void
  ) {
    self.context = context
    self.settings = settings
    self.commands = commands
    self.outbox = EventOutbox(events)
    self.rtpPort = rtpPort
    self.rtcpPort = rtcpPort
    self.stream = AudioStream(settings: settings, now: context.now)
    self.keys = KeyStore()
    self.lossGenerator = LossGenerator(percent: settings.loss, seed: settings.seed)
    self.released = released
  }

  /// Begins to receive; returns the port by which commands are announced. The caller then calls `lookForCommands`.
  package func start() -> WatchID {
    self.isRunning = true
    self.rtpPort.attach(to: self.context) { [unowned self] in self.receive(on: .rtp) }
    self.rtcpPort?.attach(to: self.context) { [unowned self] in self.receive(on: .rtcp) }
    self.timer = self.context.makeTimer { [unowned self] in self.timerFired() }
    let port = self.context.register { [unowned self] in self.lookForCommands() }
    self.commandPort = port
    return port
  }

  /// Takes what main has posted.
  package func lookForCommands() {
    guard self.isRunning else { return }
    self.obey()
    self.settle()
  }

  // MARK: Events of the loop

  /// Commands are taken between the receive and its first packet: a packet that was sent after a key was posted is then
  /// always opened with that key installed.
  private func receive(on component: Component) {
    for _ in 0..<4 {
      guard self.receiveBatch(on: component) else { break }
    }
    self.settle()
  }

  /// Reads one batch of datagrams; true when there may be more.
  private func receiveBatch(on component: Component) -> Bool {
    guard self.isRunning, let port = component == .rtp ? self.rtpPort : self.rtcpPort else { return false }
    port.fill(&self.context.batch)
    let count = self.context.batch.count
    let isFull = self.context.batch.isFull
    self.obey()
    let now = self.context.now
    for index in 0..<count {
      let source = self.context.batch.source(index)
      self.received += 1
      guard !self.context.batch.isTruncated(index) else {
        self.drops.unknown += 1
        continue
      }
      self.context.batch.withPacket(index) { self.receive(&$0, from: source, on: component, now: now) }
    }
    return isFull
  }

  private func timerFired() {
    guard self.isRunning else { return self.leave() }
    self.obey()
    guard self.isRunning else { return }
    let now = self.context.now
    if let deadline = self.keyExchange?.nextDeadline, deadline <= now {
      self.keyExchange?.timeout(now: now)
      self.runKeyExchange(now: now)
    }
    self.keys.timeout(now: now)
    self.parkedRTP.timeout(now: now)
    self.parkedRTCP.timeout(now: now)
    self.stream.timeout(now: now, output: self)
    self.settle()
  }

  /// What every event ends with: retired keys and waiting events leave, and the timer is set for what comes next.
  private func settle() {
    guard self.isRunning else { return }
    guard !self.isStopping else { return self.stop() }
    while let retired = self.keys.takeRetired() { self.outbox.post(.retired(retired)) }
    if self.reportedRekeys != self.keys.rekeys {
      self.reportedRekeys = self.keys.rekeys
      self.outbox.post(.rekeyed)
    }
    while let event = self.stream.takeEvent() { self.report(event) }
    self.outbox.flush()
    var next = self.stream.nextDeadline
    if let deadline = self.keyExchange?.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.keys.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTP.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTCP.nextDeadline { next = min(next ?? deadline, deadline) }
    if self.outbox.hasWaiting {
      let retry = self.context.now.advanced(byMilliseconds: 5)
      next = min(next ?? retry, retry)
    }
    if let next, let timer { self.context.arm(timer, at: next) }
  }

  // MARK: Commands

  private func obey() {
    while self.isRunning, let command = self.commands.take() {
      switch consume command {
      case .keying(let command): self.obey(command)
      case .configure(let settings): self.configure(settings)
      case .sendDigits(let digits): self.stream.send(digits: digits)
      case .mute(let isMuted): self.stream.isMuted = isMuted
      case .reportStatistics: self.outbox.post(.statistics(self.statistics))
      case .stop: self.isStopping = true
      }
    }
  }

  private func obey(_ command: consuming KeyingCommand) {
    let now = self.context.now
    do {
      switch consume command {
      case .plain:
        self.security = .plain
        self.stream.outputIsReady(now: now)
        self.drainParked(now: now)
      case .installInbound(let material, let continuity):
        self.security = .encrypted
        try self.keys.installInbound(material, continuity, for: .rtp, now: now)
        self.drainParked(now: now)
      case .installOutbound(let material, let continuity, let switchNow):
        self.security = .encrypted
        try self.keys.installOutbound(material, continuity, for: .rtp, switchNow: switchNow)
        self.reportSecure()
      case .switchOutbound: try self.keys.switchOutbound()
      case .makeKeyExchange(let make):
        self.security = .encrypted
        self.keyExchange = try make()
      case .startKeyExchange(let remote):
        self.security = .encrypted
        self.keys.isPerComponent = remote.rtcpAddress != nil
        self.keyExchange?.start(remote, now: now)
        self.runKeyExchange(now: now)
      }
    } catch let error as ModuleError {
      self.fail(error)
    } catch {
      self.fail(ModuleError(.peer, "\(error)"))
    }
  }

  private func configure(_ settings: StreamSettings) {
    self.usesRTCPMux = settings.usesRTCPMux
    self.rtpSource.signal(settings.remoteRTP)
    self.rtcpSource.signal(settings.usesRTCPMux ? settings.remoteRTP : settings.remoteRTCP)
    do throws(ModuleError) {
      try self.stream.configure(settings, now: self.context.now)
    } catch { self.fail(error) }
    self.drainParked(now: self.context.now)
  }

  private func report(_ event: StreamEvent) {
    switch event {
    case .sending: self.outbox.post(.sending)
    case .established: self.outbox.post(.established)
    case .digit(let digit): self.outbox.post(.digit(digit))
    case .peerLeft: self.outbox.post(.peerLeft)
    case .timedOut: self.outbox.post(.timedOut)
    case .sourceEnded: self.outbox.post(.sourceEnded)
    }
  }

  private func fail(_ error: ModuleError) { self.outbox.post(.failed(error)) }

  /// What has arrived by now is still read: the peer's good-bye is often among it.
  private func stop() {
    let now = self.context.now
    for component in Component.allCases { _ = self.receiveBatch(on: component) }
    self.stream.sayGoodbye(now: now, output: self)
    self.keyExchange?.close(now: now)
    self.runKeyExchange(now: now)
    self.stream.finish()
    self.isRunning = false
    self.rtpPort.detach(from: self.context)
    self.rtcpPort?.detach(from: self.context)
    if let commandPort { self.context.unregister(commandPort) }
    self.commands.close()
    self.outbox.post(.closed(self.statistics))
    self.leave()
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

  private func receive(_ packet: inout Packet, from source: SocketAddress, on component: Component, now: Instant) {
    switch PacketClass(packet.bytes) {
    case .dtls:
      guard let keyExchange else {
        self.drops.unknown += 1
        return
      }
      keyExchange.receive(packet.bytes, from: source, on: component, now: now)
      self.runKeyExchange(now: now)
    case .rtp: self.receiveMedia(&packet, isRTCP: false, from: source, on: component, now: now)
    case .rtcp: self.receiveMedia(&packet, isRTCP: true, from: source, on: component, now: now)
    case .stun, .turnChannel, .unknown: self.drops.unknown += 1
    }
  }

  private func receiveMedia(
    _ packet: inout Packet, isRTCP: Bool, from source: SocketAddress, on component: Component, now: Instant
  ) {
    // Packets that outrun the answer wait until it is all here: addresses and formats too, not only the keys.
    guard self.stream.isConfigured else { return self.park(packet, from: source, on: component, now: now) }
    switch self.security {
    case .undecided: self.park(packet, from: source, on: component, now: now)
    case .plain:
      let isAccepted =
        switch component {
        case .rtp: self.rtpSource.accepts(source, now: now)
        case .rtcp: self.rtcpSource.accepts(source, now: now)
        }
      guard isAccepted else {
        self.drops.source += 1
        return
      }
      self.deliver(packet, isRTCP: isRTCP, now: now)
    case .encrypted:
      guard self.keys.hasInbound(for: component) else {
        return self.park(packet, from: source, on: component, now: now)
      }
      switch self.keys.unprotect(&packet, isRTCP: isRTCP, on: component, now: now) {
      case .ok:
        self.learn(source, component, now: now)
        self.deliver(packet, isRTCP: isRTCP, now: now)
      case .replayed: self.drops.replay += 1
      case .notEncrypted: self.drops.plaintext += 1
      // RTCP without room for a trailer was sent in the clear.
      case .malformed: if isRTCP { self.drops.plaintext += 1 } else { self.drops.unknown += 1 }
      default: self.drops.auth += 1
      }
    }
  }

  private func learn(_ source: SocketAddress, _ component: Component, now: Instant) {
    switch component {
    case .rtp: self.rtpSource.authenticated(source, now: now)
    case .rtcp: self.rtcpSource.authenticated(source, now: now)
    }
  }

  private func deliver(_ packet: borrowing Packet, isRTCP: Bool, now: Instant) {
    let isKnown =
      isRTCP
      ? self.stream.receive(report: packet.bytes, now: now) : self.stream.receive(packet: packet.bytes, now: now)
    if !isKnown { self.drops.unknown += 1 }
    self.keys.roundTrip = self.stream.roundTrip
  }

  private func park(_ packet: borrowing Packet, from source: SocketAddress, on component: Component, now: Instant) {
    switch component {
    case .rtp: self.parkedRTP.park(packet, from: source, now: now)
    case .rtcp: self.parkedRTCP.park(packet, from: source, now: now)
    }
  }

  private func drainParked(now: Instant) {
    guard self.stream.isConfigured, self.parkedRTP.count + self.parkedRTCP.count > 0 else { return }
    var waiting = ParkedPackets()
    swap(&waiting, &self.parkedRTP)
    waiting.drain(now: now) { self.receive(&$0, from: $1, on: .rtp, now: now) }
    self.drops.noKey += waiting.counters.total
    waiting = ParkedPackets()
    swap(&waiting, &self.parkedRTCP)
    waiting.drain(now: now) { self.receive(&$0, from: $1, on: .rtcp, now: now) }
    self.drops.noKey += waiting.counters.total
  }

  /// Packets that will never have a key: too many, too old, or there when the transport stopped.
  private var unkeyed: Int {
    let waiting = self.isRunning ? 0 : self.parkedRTP.count + self.parkedRTCP.count
    return self.parkedRTP.counters.total + self.parkedRTCP.counters.total + waiting
  }

  // MARK: Key exchange

  private func runKeyExchange(now: Instant) {
    while let action = self.keyExchange?.nextAction() {
      switch consume action {
      case .send(let datagram, let address, let component):
        datagram.withRawSpan { self.send($0, to: address, on: component) }
      case .secured(let component, let inbound, let outbound, let by):
        self.secured(component, inbound, outbound, by, now: now)
      case .failed(let reason): self.fail(ModuleError(.peer, reason))
      case .closed: self.outbox.post(.peerLeft)
      }
    }
  }

  private func secured(
    _ component: Component, _ inbound: consuming SRTPKeyMaterial, _ outbound: consuming SRTPKeyMaterial,
    _ by: SecuredBy, now: Instant
  ) {
    do {
      try self.keys.installInbound(inbound, .fresh, for: component, now: now)
      try self.keys.installOutbound(outbound, .fresh, for: component, switchNow: true)
    } catch {
      self.fail(ModuleError(.peer, "\(error)"))
      return
    }
    self.learn(by.source, component, now: now)
    self.securedBy = by
    if case .rtp = component { self.reportSecure() }
    self.drainParked(now: now)
  }

  private func reportSecure() {
    guard !self.hasReportedSecure, let profile = self.keys.profile else { return }
    self.hasReportedSecure = true
    self.stream.outputIsReady(now: self.context.now)
    self.outbox.post(.secured(SecurityReport(profile: profile, dtlsVersion: self.securedBy?.version)))
  }

  private func send(_ bytes: RawSpan, to address: SocketAddress, on component: Component) {
    if self.lossGenerator.drops() { return }
    let port = component == .rtcp ? self.rtcpPort ?? self.rtpPort : self.rtpPort
    if case .sent = port.send(bytes, to: address) { self.sent += 1 } else { self.sendFailures += 1 }
  }

  private var statistics: TransportStatistics {
    var all = self.stream.statistics
    let drops = all.drops
    all.drops = self.drops
    all.drops.noKey += self.unkeyed
    all.drops.unknown += drops.unknown
    all.drops.mailboxFull += drops.mailboxFull + self.outbox.dropCount + self.commands.dropCount
    all.sendFailures = self.sendFailures
    all.sentDatagrams = self.sent
    all.receivedDatagrams = self.received
    all.rekeys = self.keys.rekeys
    if let counters = self.keyExchange?.counters {
      all.drops.source += counters.strangers
      all.drops.unknown += counters.dropped
      all.handshakeDatagrams = counters.taken
      all.handshakeRetransmissions = counters.retransmissions
    }
    return all
  }
}

extension MediaTransport: StreamOutput {
  /// Whether media can leave now: there is an address, and the keys that the security asks for.
  package var canSend: Bool {
    guard let address = self.rtpSource.address, !address.isUnspecified else { return false }
    switch self.security {
    case .undecided: return false
    case .plain: return true
    case .encrypted: return self.keys.hasOutbound(for: .rtp)
    }
  }

  package func send(packet: inout Packet) -> Bool {
    guard self.canSend, let address = self.rtpSource.address else { return false }
    if case .encrypted = self.security {
      guard case .ok = self.keys.protect(&packet, isRTCP: false, on: .rtp) else { return false }
    }
    self.send(packet.bytes, to: address, on: .rtp)
    return true
  }

  package func send(report packet: inout Packet) -> Bool {
    let component: Component = self.usesRTCPMux ? .rtp : .rtcp
    guard self.canSend, let address = self.usesRTCPMux ? self.rtpSource.address : self.rtcpSource.address,
      !address.isUnspecified
    else { return false }
    if case .encrypted = self.security {
      guard self.keys.hasOutbound(for: component),
        case .ok = self.keys.protect(&packet, isRTCP: true, on: component)
      else { return false }
    }
    self.send(packet.bytes, to: address, on: component)
    return true
  }
}

extension ParkingCounters {
  fileprivate var total: Int { self.expired + self.overflowed + self.tooLong }
}
