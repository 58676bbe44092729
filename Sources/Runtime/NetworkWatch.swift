internal import CLinux
internal import Glibc
package import NetBase

/// An address of one of this host's network interfaces.
package struct InterfaceAddress: Hashable, Sendable {
  package let interface: String
  /// With port 0.
  package let address: SocketAddress

  package init(interface: String, address: SocketAddress) {
    (self.interface, self.address) = (interface, address)
  }

  /// Those of all interfaces that are up; nil when the kernel does not tell, which is not the same as none.
  ///
  /// - Parameters:
  ///   - withCarrier: whether only interfaces count that have a network now: a cable, a cell.
  ///   - withLoopback: whether that of this host to itself counts.
  package static func current(withCarrier: Bool = false, withLoopback: Bool = false) -> Set<InterfaceAddress>? {
    let wanted = UInt32(IFF_UP) | (withCarrier ? UInt32(IFF_RUNNING) : 0)
    let unwanted = withLoopback ? 0 : UInt32(IFF_LOOPBACK)
    var list: UnsafeMutablePointer<ifaddrs>?
    guard unsafe getifaddrs(&list) == 0 else { return nil }
    defer { unsafe freeifaddrs(list) }
    var found: Set<InterfaceAddress> = []
    var next = unsafe list
    while let entry = unsafe next?.pointee {
      unsafe next = entry.ifa_next
      guard unsafe entry.ifa_flags & wanted == wanted,
        unsafe entry.ifa_flags & unwanted == 0, let address = unsafe entry.ifa_addr,
        let numeric = unsafe Self.numeric(address)
      else { continue }
      unsafe found.insert(InterfaceAddress(interface: String(cString: entry.ifa_name), address: numeric))
    }
    return found
  }

  private static func numeric(_ address: UnsafeMutablePointer<sockaddr>) -> SocketAddress? {
    let size: Int
    switch Int32(unsafe address.pointee.sa_family) {
    case AF_INET: size = MemoryLayout<sockaddr_in>.size
    case AF_INET6: size = MemoryLayout<sockaddr_in6>.size
    default: return nil
    }
    var text = [CChar](repeating: 0, count: 64)
    guard
      unsafe getnameinfo(
        address, socklen_t(size), &text, socklen_t(text.count), nil, 0, Int32(NI_NUMERICHOST)) == 0
    else { return nil }
    return SocketAddress(
      host: String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self), port: 0)
  }
}

/// Tells when this host gets or loses an address; lives on one loop.
package final class NetworkWatch {
  private let context: LoopContext
  private let descriptor: Int32
  private let settling: Duration
  private let changed: (Set<InterfaceAddress>) -> Void
  private var watch: WatchID?
  private var timer: TimerID?
  /// What there was when it was looked at last.
  package private(set) var addresses: Set<InterfaceAddress>

  /// - Parameters:
  ///   - settling: how long addresses may still change after the first change; a network seldom changes at once.
  ///   - changed: told of all addresses, on the loop, when there are others than before.
  /// - Returns: nil when the kernel does not tell.
  package init?(
    on context: LoopContext, settling: Duration = .milliseconds(300),
    changed: @escaping (Set<InterfaceAddress>) -> Void
  ) {
    let descriptor = clinux_interface_watch()
    guard descriptor >= 0 else { return nil }
    self.context = context
    self.descriptor = descriptor
    self.settling = settling
    self.changed = changed
    self.addresses = InterfaceAddress.current() ?? []
    self.timer = context.makeTimer { [unowned self] in self.look() }
    self.watch = context.watch(descriptor) { [unowned self] in self.noticed() }
  }

  deinit { Glibc.close(self.descriptor) }

  /// After this `changed` is not called again.
  package func close() {
    if let watch { self.context.unwatch(watch, self.descriptor) }
    if let timer { self.context.remove(timer) }
    (self.watch, self.timer) = (nil, nil)
  }

  private func noticed() {
    clinux_drain(self.descriptor)
    self.lookSoon()
  }

  private func lookSoon() {
    if let timer { self.context.arm(timer, at: self.context.now.advanced(by: self.settling)) }
  }

  private func look() {
    guard let now = InterfaceAddress.current() else { return self.lookSoon() }
    guard now != self.addresses else { return }
    self.addresses = now
    self.changed(now)
  }
}
