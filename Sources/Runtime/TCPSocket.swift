internal import CLinux
internal import Glibc
package import NetBase

/// A TCP socket that never blocks: one that listens, or one connection. One owner, on one loop.
package final class TCPSocket {
  package let descriptor: Int32
  private var isOpen = true
  /// Whether the kernel took all of what was sent last.
  package private(set) var isWritable = true
  /// Whether a connection waits for which the process has no descriptor left.
  package private(set) var lacksDescriptors = false

  private init(descriptor: Int32) { self.descriptor = descriptor }

  /// Listens; port 0 is any free one.
  package init(listening address: SocketAddress) throws(SocketError) {
    let descriptor = clinux_tcp_listen(address.clinux)
    guard descriptor >= 0 else { throw SocketError(code: -descriptor, address: address) }
    self.descriptor = descriptor
  }

  /// Begins to connect, from any port of `local`'s host. The socket can be written to once it has come to something, which
  /// `connectionError` then says.
  package init(connecting address: SocketAddress, from local: SocketAddress) throws(SocketError) {
    let descriptor = clinux_tcp_connect(local.with(port: 0).clinux, address.clinux)
    guard descriptor >= 0 else { throw SocketError(code: -descriptor, address: address) }
    self.descriptor = descriptor
  }

  deinit { self.close() }

  /// What has become of the connection since this was asked last; 0 for nothing bad.
  package var connectionError: Int32 { clinux_tcp_error(self.descriptor) }

  package var localAddress: SocketAddress { SocketAddress(clinux_local_address(self.descriptor)) }

  /// The next connection that waits; nil when there is none.
  package func accept() -> TCPSocket? {
    let connection = clinux_tcp_accept(self.descriptor)
    self.lacksDescriptors = connection == -EMFILE || connection == -ENFILE
    return connection < 0 ? nil : TCPSocket(descriptor: connection)
  }

  /// How many bytes the kernel took, 0 when its buffer is full; nil when the connection is gone.
  package func send(_ bytes: ArraySlice<UInt8>) -> Int? { self.send(unsafe bytes.span.bytes) }

  /// What has arrived, 16 KiB at most, empty when nothing has; nil when the peer has closed, or the connection is gone.
  package func receive() -> ArraySlice<UInt8>? {
    var bytes = [UInt8](repeating: 0, count: 16_384)
    let count = unsafe bytes.withUnsafeMutableBytes {
      unsafe clinux_tcp_receive(self.descriptor, $0.baseAddress, $0.count)
    }
    if count > 0 { return bytes[..<count] }
    return count == -Int(EAGAIN) || count == -Int(EINTR) ? [] : nil
  }

  /// The same of bytes that need no copy for it.
  package func send(_ bytes: RawSpan) -> Int? {
    let sent = unsafe bytes.withUnsafeBytes { unsafe clinux_tcp_send(self.descriptor, $0.baseAddress, $0.count) }
    self.isWritable = sent == bytes.byteCount
    return Self.count(sent)
  }

  /// Writes what has arrived into `room`, from `offset` on: how many bytes, 0 when nothing has; nil as `receive()`.
  package func receive(into room: inout [UInt8], at offset: Int) -> Int? {
    let count = unsafe room.withUnsafeMutableBytes { bytes in
      unsafe clinux_tcp_receive(self.descriptor, bytes.baseAddress?.advanced(by: offset), bytes.count - offset)
    }
    return count == 0 ? nil : Self.count(count)
  }

  private static func count(_ result: Int) -> Int? {
    if result >= 0 { return result }
    return result == -Int(EAGAIN) || result == -Int(EINTR) ? 0 : nil
  }

  package func close() {
    guard self.isOpen else { return }
    self.isOpen = false
    Glibc.close(self.descriptor)
  }
}
