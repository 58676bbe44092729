package import ModuleKit

/// VP8 (RFC 6386) over RTP (RFC 7741), passed on as it was encoded.
package struct VP8: Module {
  package static let name = "vp8"
  package static let summary = "VP8 video as it was encoded (RFC 7741)"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] { [.videoCodec(VP8Codec())] }
}
