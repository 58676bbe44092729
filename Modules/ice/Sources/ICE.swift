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
      help: "Which candidates are told and used; relay takes a TURN server"),
    ConfigKey(
      "ice_lite", .bool, default: "no",
      help: "Whether only the peer checks, for a host that everyone can reach"),
  ]

  private let isRelayOnly: Bool
  private let isLite: Bool

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.isRelayOnly = settings.string("ice_policy") == "relay"
    self.isLite = settings.bool("ice_lite")
    if self.isRelayOnly, self.isLite {
      throw ModuleError(.configuration, "ice_lite yes tells no relays: it goes with ice_policy all")
    }
  }

  /// `ice`.
  public var facets: [Facet] { [Facet(.nat(ICENAT(isRelayOnly: self.isRelayOnly, isLite: self.isLite)))] }
}

/// `medianat=ice`: candidates of our own, and checks of all that the peer names.
package struct ICENAT: MediaNAT {
  /// Whether nothing but relays is told and used.
  private let isRelayOnly: Bool
  /// Whether we only answer checks (RFC 8445 §2.5).
  private let isLite: Bool
  private let tls = RelayTLS()

  package init(isRelayOnly: Bool = false, isLite: Bool = false) {
    (self.isRelayOnly, self.isLite) = (isRelayOnly, isLite)
  }

  package var id: String { "ice" }

  package var sessionAttributes: [DescriptionAttribute] { self.isLite ? [DescriptionAttribute("ice-lite")] : [] }

  package func makeSession(trust: SIPSecurity) throws(ModuleError) -> any MediaNATSession {
    try ICENegotiation(isRelayOnly: self.isRelayOnly, isLite: self.isLite, tls: self.tls, trust: trust)
  }
}
