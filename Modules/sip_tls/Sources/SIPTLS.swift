public import ModuleKit
internal import SIPStack
package import SIPStreams

/// SIP over TLS (RFC 3261 §26, RFC 5922).
public struct SIPTLS: Module {
  public static let name = "sip_tls"
  public static let summary = "SIP over TLS 1.2 and 1.3; servers are verified by name"
  public static let configKeys = StreamKeys.keys(of: "sip_tls")

  package let provider: StreamProvider

  public init(settings: ModuleSettings) {
    self.provider = StreamProvider(.tls, module: Self.name, limits: StreamKeys.limits(of: Self.name, settings))
  }

  public var facets: [Facet] { [Facet(.sipTransport(self.provider))] }
}
