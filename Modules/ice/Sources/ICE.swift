public import ModuleKit

/// Media through NATs by connectivity checks (RFC 8445): `medianat=ice`.
public struct ICE: Module {
  /// As in the config file.
  public static let name = "ice"
  /// One line for `apus modules`.
  public static let summary = "Interactive Connectivity Establishment (RFC 8445)"

  /// There are no settings.
  public init(settings: ModuleSettings) throws(ModuleError) {}

  /// `ice`.
  public var facets: [Facet] { [Facet(.nat(ICENAT()))] }
}

/// `medianat=ice`: host candidates of our own, and checks of all that the peer names.
package struct ICENAT: MediaNAT {
  package init() {}

  package var id: String { "ice" }

  package func makeSession() throws(ModuleError) -> any MediaNATSession { try ICENegotiation() }
}
