public import ModuleKit

/// Media through NATs by connectivity checks (RFC 8445): `medianat=ice`.
public struct ICE: Module {
  /// As in the config file.
  public static let name = "ice"
  /// One line for `apus modules`.
  public static let summary = "Interactive Connectivity Establishment (RFC 8445)"

  /// Which candidates may be used.
  public static let configKeys = [
    ConfigKey(
      "ice_policy", .choice(["all", "relay"]), default: "all",
      help: "Which candidates are told and used; relay takes a TURN server")
  ]

  private let isRelayOnly: Bool

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.isRelayOnly = settings.string("ice_policy") == "relay"
  }

  /// `ice`.
  public var facets: [Facet] { [Facet(.nat(ICENAT(isRelayOnly: self.isRelayOnly)))] }
}

/// `medianat=ice`: candidates of our own, and checks of all that the peer names.
package struct ICENAT: MediaNAT {
  /// Whether nothing but relays is told and used.
  private let isRelayOnly: Bool
  private let tls = RelayTLS()

  package init(isRelayOnly: Bool = false) { self.isRelayOnly = isRelayOnly }

  package var id: String { "ice" }

  package func makeSession(trust: SIPSecurity) throws(ModuleError) -> any MediaNATSession {
    try ICENegotiation(isRelayOnly: self.isRelayOnly, tls: self.tls, trust: trust)
  }
}
