package import NetBase

/// Where a stream's packets leave: its transport, which protects and sends them.
package protocol StreamOutput: AnyObject {
  /// Whether media can leave now: there is an address, and the keys that the security asks for.
  var canSend: Bool { get }
  /// Whether a report can leave now: media can, and RTCP has its address and keys too.
  var canReport: Bool { get }
  /// Protects and sends one RTP packet; false when it could not leave.
  func send(packet: inout Packet) -> Bool
  /// Sends a packet once more, as it left before.
  func send(again packet: RawSpan)
  /// Protects and sends one compound RTCP packet; false when it could not leave.
  func send(report packet: inout Packet) -> Bool
}
