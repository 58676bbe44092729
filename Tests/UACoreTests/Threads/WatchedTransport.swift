import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import udp

/// What a media socket must never see.
final class Violations: Sendable {
  private let list = Locked<[String]>([])
  private let handled = Locked(0)
  private let stamped = Locked(0)

  var all: [String] { self.list.withLock { $0 } }
  /// How often a handler was called.
  var handledCount: Int { self.handled.withLock { $0 } }

  /// How many sockets were asked to note when datagrams came.
  var stampedCount: Int { self.stamped.withLock { $0 } }

  func stamp() { self.stamped.withLock { $0 += 1 } }
  func note(_ text: String) { self.list.withLock { $0.append(text) } }
  func count() { self.handled.withLock { $0 += 1 } }
}

/// The kernel's UDP, with a watch on who uses each socket, and when.
struct WatchedTransport: DatagramTransport {
  let violations: Violations

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    WatchedPort(try UDPTransport().open(address, typeOfService: typeOfService), self.violations)
  }
}

private final class WatchedPort: DatagramPort {
  private let inner: any DatagramPort
  private let violations: Violations
  private var thread: pthread_t?
  private var isAttached = false
  private var wasDetached = false

  init(_ inner: any DatagramPort, _ violations: Violations) {
    self.inner = inner
    self.violations = violations
  }

  var localAddress: SocketAddress { self.inner.localAddress }

  private func check(_ what: String) {
    if let thread, pthread_equal(thread, pthread_self()) == 0 { self.violations.note("\(what) on another thread") }
    if self.wasDetached { self.violations.note("\(what) after the end") }
  }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    self.thread = pthread_self()
    self.isAttached = true
    self.inner.attach(to: context) { [unowned self] in
      self.check("a handler")
      self.violations.count()
      handler()
    }
  }

  func detach(from context: LoopContext) {
    self.check("detach")
    self.wasDetached = true
    self.inner.detach(from: context)
  }

  func stampArrivals(in context: LoopContext) {
    self.violations.stamp()
    self.inner.stampArrivals(in: context)
  }

  func fill(_ batch: PacketBatch) {
    self.check("a receive")
    self.inner.fill(batch)
  }

  var unsent: Int { self.inner.unsent }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    self.check("a send")
    return self.inner.send(bytes, to: address)
  }
}
