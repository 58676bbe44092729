internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SRTPEngine

/// A pair of sockets, and the DTLS association that runs over it where there is one.
///
/// A transport has one path for most of its life. A new association comes with a new path (RFC 8842 §3.1 wants another
/// 5-tuple), so a datagram belongs to the association of the port that it came to, and two handshakes never meet. The
/// path before it still receives for a while: packets under the old keys are on their way. Owned by the transport.
final class MediaPath {
  /// Nil once the path has closed.
  private var rtpPort: (any DatagramPort)?
  private var rtcpPort: (any DatagramPort)?
  var rtpSource = RemoteSource()
  var rtcpSource = RemoteSource()
  var keyExchange: (any KeyExchange)?
  /// Whether the association's keys are there, component by component; packets that outrun them are parked.
  private var secured = (rtp: false, rtcp: false)
  /// When a path that was replaced is closed.
  var end: Instant? { didSet { self.noteDeadline() } }
  private(set) var parkedRTP = ParkedPackets()
  private(set) var parkedRTCP = ParkedPackets()
  /// When `timeout` is due; kept, for every packet asks. Whatever may change it ends with `noteDeadline`.
  private(set) var nextDeadline: Instant?
  private(set) var isOpen = false

  init(rtpPort: any DatagramPort, rtcpPort: (any DatagramPort)?) {
    self.rtpPort = rtpPort
    self.rtcpPort = rtcpPort
  }

  /// Calls the handlers whenever their socket has something, until the path is closed: the loop keeps them for so long.
  func open(in context: LoopContext, rtp: @escaping () -> Void, rtcp: @escaping () -> Void) {
    self.isOpen = true
    self.rtpPort?.attach(to: context, rtp)
    self.rtcpPort?.attach(to: context, rtcp)
  }

  /// After this nothing is received, and the sockets are closed.
  func close(in context: LoopContext) {
    guard self.isOpen else { return }
    self.isOpen = false
    self.rtpPort.take()?.detach(from: context)
    self.rtcpPort.take()?.detach(from: context)
  }

  func port(_ component: Component) -> (any DatagramPort)? { component == .rtp ? self.rtpPort : self.rtcpPort }

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
  func signal(_ settings: StreamSettings) {
    self.rtpSource.signal(settings.remoteRTP)
    self.rtcpSource.signal(settings.usesRTCPMux ? settings.remoteRTP : settings.remoteRTCP)
  }

  /// An authenticated packet came from `source`.
  func learn(_ source: SocketAddress, _ component: Component, now: Instant) {
    switch component {
    case .rtp: self.rtpSource.authenticated(source, now: now)
    case .rtcp: self.rtcpSource.authenticated(source, now: now)
    }
  }

  func send(_ bytes: RawSpan, to address: SocketAddress, on component: Component) -> SendResult {
    let port = component == .rtcp ? self.rtcpPort ?? self.rtpPort : self.rtpPort
    return port?.send(bytes, to: address) ?? .failed(EBADF)
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

  /// Packets that will never have a key: too many, or too old.
  var unkeyed: Int { self.parkedRTP.counters.total + self.parkedRTCP.counters.total }

  /// Packets that still wait for a key.
  var waiting: Int { self.parkedRTP.count + self.parkedRTCP.count }

  /// To be called when the key exchange has done something.
  func noteDeadline() {
    var next = self.end
    if let deadline = self.keyExchange?.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTP.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTCP.nextDeadline { next = min(next ?? deadline, deadline) }
    self.nextDeadline = next
  }
}

extension ParkingCounters {
  var total: Int { self.expired + self.overflowed + self.tooLong }
}
