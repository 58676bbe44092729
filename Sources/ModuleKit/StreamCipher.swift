/// What secures one connection: sans I/O, owned by the executor that owns the connection.
///
/// After each call its owner sends what `drain` gives.
package protocol StreamCipher: AnyObject {
  /// Begins the handshake.
  func start()
  /// Takes what came from the peer.
  func feed(_ bytes: RawSpan)
  /// Whether the peer is who it has to be, so that something may be written.
  var isSecured: Bool { get }
  /// Why it is over: goes on a sentence that begins with the peer. Nil while it is not.
  var failure: String? { get }
  /// Writes what the peer said into `room`, from `offset` on: how many bytes, 0 while there is nothing.
  func read(into room: inout [UInt8], at offset: Int) -> Int
  /// Takes what is for the peer; false where nothing may be written.
  func write(_ bytes: RawSpan) -> Bool
  /// Writes what is to leave to `room`: how many bytes, 0 when that was all.
  func drain(into room: inout [UInt8]) -> Int
  /// Says good-bye.
  func close()
}
