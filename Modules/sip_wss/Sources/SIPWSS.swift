public import ModuleKit
internal import SIPStack
package import SIPStreams

/// SIP over WebSocket on TLS (RFC 7118).
public struct SIPWSS: Module {
  public static let name = "sip_wss"
  public static let summary = "SIP over WebSocket on TLS (RFC 7118), as client and server"
  public static let configKeys =
    [StreamKeys.listen(of: "sip_wss"), StreamKeys.path(of: "sip_wss")] + StreamKeys.keys(of: "sip_wss")

  package let provider: StreamProvider

  public init(settings: ModuleSettings) throws(ModuleError) {
    var limits = StreamKeys.limits(of: Self.name, settings)
    limits.resource = try StreamKeys.path(of: Self.name, settings)
    self.provider = StreamProvider(
      .wss, module: Self.name, limits: limits, listen: try StreamKeys.listen(of: Self.name, settings))
  }

  public var facets: [Facet] { [Facet(.sipTransport(self.provider))] }
}
