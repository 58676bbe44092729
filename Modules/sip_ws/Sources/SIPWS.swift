public import ModuleKit
internal import SIPStack
package import SIPStreams

/// SIP over WebSocket (RFC 7118).
public struct SIPWS: Module {
  public static let name = "sip_ws"
  public static let summary = "SIP over WebSocket (RFC 7118), as client and server"
  public static let configKeys =
    [StreamKeys.listen(of: "sip_ws"), StreamKeys.path(of: "sip_ws")] + StreamKeys.keys(of: "sip_ws")

  package let provider: StreamProvider

  public init(settings: ModuleSettings) throws(ModuleError) {
    var limits = StreamKeys.limits(of: Self.name, settings)
    limits.resource = try StreamKeys.path(of: Self.name, settings)
    self.provider = StreamProvider(
      .ws, module: Self.name, limits: limits, listen: try StreamKeys.listen(of: Self.name, settings))
  }

  public var facets: [Facet] { [Facet(.sipTransport(self.provider))] }
}
