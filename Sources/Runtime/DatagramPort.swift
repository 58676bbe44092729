package import NetBase

/// A bound socket of a media transport: owned by the transport, used on its executor.
package protocol DatagramPort: AnyObject {
  var localAddress: SocketAddress { get }
  /// Calls `handler` on the loop whenever there is something to receive.
  func attach(to context: LoopContext, _ handler: @escaping () -> Void)
  /// After this `handler` is not called again, and is released.
  func detach(from context: LoopContext)
  /// From now on the loop's batch tells when the kernel took each datagram in; where there is no kernel, nothing does.
  func stampArrivals(in context: LoopContext)
  /// Replaces what `batch` holds with what has arrived; never blocks.
  func fill(_ batch: inout PacketBatch)
  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult
}

extension DatagramPort {
  package func stampArrivals(in context: LoopContext) {}
}
