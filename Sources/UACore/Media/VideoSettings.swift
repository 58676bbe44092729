package import ModuleKit
package import RTPStack

/// What was negotiated for a stream of video.
package struct VideoSettings: Sendable {
  package var codec: any VideoCodec
  /// The peer's `a=fmtp`.
  package var remoteParameters: String?
  package var sendType: UInt8
  package var receiveType: UInt8
  /// Of packets that are sent again (RFC 4588); nil: the packets themselves are.
  package var repairSendType: UInt8?
  package var repairReceiveType: UInt8?
  package var canSend: Bool
  package var canReceive: Bool
  /// Whether lost packets are asked for, and the peer may ask for ours (generic NACK, RFC 4585 §6.2.1).
  package var asksForLost: Bool
  /// Whether key frames are asked for by PLI (RFC 4585 §6.3.1).
  package var asksForKeyFrames: Bool
  /// Whether the peer also, or only, takes FIR for that (RFC 5104 §4.3.1).
  package var asksByFullIntraRequest = false
  /// Whether feedback goes without a report before it (RFC 5506).
  package var usesReducedSize: Bool
  package var ssrc: UInt32
  package var repairSSRC: UInt32
  package var canonicalName: String
  /// The header extension with the line that a packet is of, where several share a transport.
  package var mediaID: SentMediaID?
  /// Nil: nothing is sent.
  package var source: VideoSourceFactory?
  /// Nil: what is received goes nowhere.
  package var sink: VideoSinkFactory?
}
