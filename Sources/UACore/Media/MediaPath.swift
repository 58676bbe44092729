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
  var end: Instant?
  var parkedRTP = ParkedPackets()
  var parkedRTCP = ParkedPackets()
  private(set) var isOpen = false

  init(rtpPort: any DatagramPort, rtcpPort: (any DatagramPort)?) {
    self.rtpPort = rtpPort
    self.rtcpPort = rtcpPort
  }

  /// Calls `receive` whenever a socket has something.
  func open(in context: LoopContext, _ receive: @escaping (MediaPath, Component) -> Void) {
    self.isOpen = true
    self.rtpPort?.attach(to: context) { [unowned self] in receive(self, .rtp) }
    self.rtcpPort?.attach(to: context) { [unowned self] in receive(self, .rtcp) }
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
  }

  /// Packets that will never have a key: too many, too old, or there when the path closed.
  var unkeyed: Int {
    let waiting = self.isOpen ? 0 : self.parkedRTP.count + self.parkedRTCP.count
    return self.parkedRTP.counters.total + self.parkedRTCP.counters.total + waiting
  }

  var nextDeadline: Instant? {
    var next = self.end
    if let deadline = self.keyExchange?.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTP.nextDeadline { next = min(next ?? deadline, deadline) }
    if let deadline = self.parkedRTCP.nextDeadline { next = min(next ?? deadline, deadline) }
    return next
  }
}

extension ParkingCounters {
  var total: Int { self.expired + self.overflowed + self.tooLong }
}
