public import ModuleKit
internal import SIPStack
package import SIPStreams

/// SIP over TCP (RFC 3261 §18).
public struct SIPTCP: Module {
  public static let name = "sip_tcp"
  public static let summary = "SIP over TCP; connections are kept and used again"
  public static let configKeys = StreamKeys.keys(of: "sip_tcp")

  package let provider: StreamProvider

  public init(settings: ModuleSettings) {
    self.provider = StreamProvider(.tcp, module: Self.name, limits: StreamKeys.limits(of: Self.name, settings))
  }

  public var facets: [Facet] { [Facet(.sipTransport(self.provider))] }
}
