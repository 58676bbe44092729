package import ModuleKit

/// What SDP says about H.264 (RFC 6184 §8).
///
/// Every profile is passed on, for none is decoded here. The offer names the one that all browsers take.
package struct H264Codec: VideoCodec {
  package let encodingName = "H264"
  package let offeredParameters: String? = "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1"

  package init() {}

  package func accepts(remote: String?) -> Bool { H264Parameters(remote) != nil }

  package func answeredParameters(to remote: String?) -> String? { H264Parameters(remote)?.text }

  package func makePacketizer(remote: String?) -> sending any VideoPacketizer {
    H264Packetizer(isSingle: H264Parameters(remote)?.packetizationMode != 1)
  }

  package func makeDepacketizer() -> sending any VideoDepacketizer { H264Depacketizer() }
}
