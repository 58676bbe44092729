package import ModuleKit

/// H.264 over RTP (RFC 6184), passed on as it was encoded.
package struct H264: Module {
  package static let name = "h264"
  package static let summary = "H.264 video as it was encoded (RFC 6184, packetization modes 0 and 1)"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] { [.videoCodec(H264Codec())] }
}
