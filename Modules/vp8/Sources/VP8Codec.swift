package import ModuleKit

/// What SDP says about VP8 (RFC 7741 §6).
///
/// The peer's `max-fr` and `max-fs` are wishes to an encoder, and there is none here.
package struct VP8Codec: VideoCodec {
  package let encodingName = "VP8"
  package let offeredParameters: String? = nil

  package init() {}

  package func accepts(remote: String?) -> Bool { true }

  package func answeredParameters(to remote: String?) -> String? { nil }

  package func makePacketizer(remote: String?) -> sending any VideoPacketizer { VP8Packetizer() }

  package func makeDepacketizer() -> sending any VideoDepacketizer { VP8Depacketizer() }
}
