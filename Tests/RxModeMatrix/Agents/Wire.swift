import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import Synchronization
import udp

/// The kernel's UDP under one agent's media, watched: who uses each socket and when, what leaves where; and a cut.
///
/// Relaxed atomics and no lock on the packets' way: a lock would order threads that nothing else orders, and hide from
/// ThreadSanitizer what the matrix is there to show.
final class Wire: DatagramTransport {
  private let noted = Locked<[String]>([])
  private let sentOnRTP = Atomic(0)
  private let sentOnRTCP = Atomic(0)
  private let cutting = Atomic(false)
  private let sockets = Atomic(0)

  /// What a media socket must never see.
  var violations: [String] { self.noted.withLock { $0 } }
  /// Datagrams that left from even ports, and from odd ones.
  var sent: (rtp: Int, rtcp: Int) {
    (self.sentOnRTP.load(ordering: .relaxed), self.sentOnRTCP.load(ordering: .relaxed))
  }
  /// Sockets that exist.
  var openSockets: Int { self.sockets.load(ordering: .relaxed) }

  /// Whether nothing passes, either way.
  var isCut: Bool {
    get { self.cutting.load(ordering: .relaxed) }
    set { self.cutting.store(newValue, ordering: .relaxed) }
  }

  fileprivate func note(_ violation: String) { self.noted.withLock { $0.append(violation) } }

  fileprivate func opened(_ change: Int) { self.sockets.add(change, ordering: .relaxed) }

  fileprivate func sent(on address: SocketAddress) {
    if address.port.isMultiple(of: 2) {
      self.sentOnRTP.add(1, ordering: .relaxed)
    } else {
      self.sentOnRTCP.add(1, ordering: .relaxed)
    }
  }

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    WirePort(try UDPTransport().open(address, typeOfService: typeOfService), self)
  }
}

private final class WirePort: DatagramPort {
  private let inner: any DatagramPort
  private let wire: Wire
  private var thread: pthread_t?
  private var wasDetached = false

  init(_ inner: any DatagramPort, _ wire: Wire) {
    self.inner = inner
    self.wire = wire
    wire.opened(1)
  }

  deinit { self.wire.opened(-1) }

  var localAddress: SocketAddress { self.inner.localAddress }

  private func check(_ what: String) {
    if let thread, pthread_equal(thread, pthread_self()) == 0 { self.wire.note("\(what) on another thread") }
    if self.wasDetached { self.wire.note("\(what) after the end") }
  }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    self.thread = pthread_self()
    self.inner.attach(to: context) { [unowned self] in
      self.check("a handler")
      handler()
    }
  }

  func detach(from context: LoopContext) {
    self.check("detach")
    self.wasDetached = true
    self.inner.detach(from: context)
  }

  func fill(_ batch: PacketBatch) {
    self.check("a receive")
    self.inner.fill(batch)
    // What arrived is lost.
    if self.wire.isCut { batch.clear() }
  }

  var unsent: Int { self.inner.unsent }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    self.check("a send")
    guard !self.wire.isCut else { return .sent }
    self.wire.sent(on: self.localAddress)
    return self.inner.send(bytes, to: address)
  }
}
