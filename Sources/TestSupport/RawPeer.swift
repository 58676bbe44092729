internal import Glibc
package import ModuleKit
package import NetBase
internal import Runtime

/// A plain TCP socket in a test's hands: it sends what it is told and hears bytes.
package struct RawPeer: ~Copyable {
  private let descriptor: Int32

  /// Connects to a literal IPv4 address.
  ///
  /// - Throws: when nothing listens there.
  package init(to address: SocketAddress, from local: SocketAddress? = nil) throws(ModuleError) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    if let local {
      var from = Self.four(local)
      unsafe withUnsafePointer(to: &from) { pointer in
        _ = unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
          unsafe bind(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
    }
    var to = Self.four(address)
    let status = unsafe withUnsafePointer(to: &to) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe connect(descriptor, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard status == 0 else {
      Glibc.close(descriptor)
      throw ModuleError(.unavailable, "nothing listens at \(address)")
    }
    self.init(descriptor)
  }

  private init(_ descriptor: Int32) {
    self.descriptor = descriptor
    Self.limitWaiting(descriptor, seconds: 10)
  }

  private static func limitWaiting(_ descriptor: Int32, seconds: Int) {
    var patience = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
    unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
  }

  deinit { Glibc.close(self.descriptor) }

  /// A socket that listens on loopback.
  package struct Listener: ~Copyable {
    private let descriptor: Int32
    package let address: SocketAddress

    package init() {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var at = RawPeer.four(SocketAddress(ipv4: 0x7F00_0001, port: 0))
      var size = socklen_t(MemoryLayout<sockaddr_in>.size)
      unsafe withUnsafeMutablePointer(to: &at) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
          _ = unsafe bind(descriptor, generic, size)
          _ = unsafe getsockname(descriptor, generic, &size)
        }
      }
      listen(descriptor, 8)
      RawPeer.limitWaiting(descriptor, seconds: 60)
      self.descriptor = descriptor
      self.address = SocketAddress(ipv4: 0x7F00_0001, port: UInt16(bigEndian: at.sin_port))
    }

    deinit { Glibc.close(self.descriptor) }

    /// Who connects next, within a minute. For what connects by threads of its own: the test's is held meanwhile.
    package func accept() -> RawPeer { Self.accept(self.descriptor) }

    /// Tells `body` of who connects, `count` times, on a thread of its own. For what needs the threads that tests run on:
    /// two tests that held both would wait for good.
    package func serve(_ count: Int, _ body: @escaping @Sendable (_ index: Int, _ peer: borrowing RawPeer) -> Void) {
      let descriptor = dup(self.descriptor)
      let isStarted = DetachedThread.start(name: "peers") {
        for index in 0..<count { body(index, Self.accept(descriptor)) }
        Glibc.close(descriptor)
      }
      precondition(isStarted, "no thread is left")
    }

    private static func accept(_ descriptor: Int32) -> RawPeer {
      let accepted = Glibc.accept(descriptor, nil, nil)
      precondition(accepted >= 0, "nobody connected")
      return RawPeer(accepted)
    }
  }

  /// Makes the kernel take little on the peer's behalf, so that a sender soon has to wait.
  package func shrinkReceiveBuffer() {
    var size: Int32 = 4096
    unsafe setsockopt(self.descriptor, SOL_SOCKET, SO_RCVBUF, &size, 4)
  }

  /// - Returns: whether everything was taken.
  @discardableResult
  package func send(_ bytes: [UInt8]) -> Bool {
    var start = 0
    while start < bytes.count {
      let sent = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.send(
          self.descriptor, buffer.baseAddress?.advanced(by: start), bytes.count - start, Int32(MSG_NOSIGNAL))
      }
      guard sent > 0 else { return false }
      start += sent
    }
    return true
  }

  @discardableResult
  package func send(_ text: String) -> Bool { self.send(Array(text.utf8)) }

  /// What comes next, up to 64 KiB; empty when the other side has closed, nil when nothing came for ten seconds.
  package func receive() -> [UInt8]? {
    var room = [UInt8](repeating: 0, count: 65_536)
    let count = unsafe recv(self.descriptor, &room, room.count, 0)
    return count >= 0 ? Array(room[..<count]) : errno == ECONNRESET ? [] : nil
  }

  /// What comes until there are `count` bytes, or the other side closes.
  package func receive(count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count, let more = self.receive(), !more.isEmpty { bytes += more }
    return bytes
  }

  /// Whether the other side closes within ten seconds, whatever it sends before.
  package func isClosedByPeer() -> Bool {
    while let bytes = self.receive() { if bytes.isEmpty { return true } }
    return false
  }

  private static func four(_ address: SocketAddress) -> sockaddr_in {
    var four = sockaddr_in()
    four.sin_family = sa_family_t(AF_INET)
    four.sin_port = address.port.bigEndian
    four.sin_addr.s_addr = UInt32(truncatingIfNeeded: address.high >> 32).bigEndian
    return four
  }
}
