package import HTTPServer
public import ModuleKit
package import NetBase
internal import Runtime

/// Calls by HTTP: a browser, or whatever else speaks WHIP (RFC 9725) or WHEP, sends its offer and gets the answer.
public struct WHIP: Module {
  public static let name = "whip"
  public static let summary = "calls of browsers by HTTP: WHIP (RFC 9725) and WHEP"
  public static let configKeys = [
    ConfigKey(
      "whip_listen", .string, default: "127.0.0.1:8090",
      help: "Address and port of the HTTP server; elsewhere than on loopback it needs a certificate and a token."),
    ConfigKey(
      "whip_certificate", .string, default: "",
      help: "File with the certificate and private key of the HTTP server, in PEM form; without it there is no TLS."),
    ConfigKey(
      "whip_token", .string, default: "",
      help: "What a client must send as its bearer token (RFC 6750); empty for none, on loopback only."),
    ConfigKey(
      "whip_origin", .string, default: "",
      help: "Origins of pages that may call, with commas between them; a page of this server itself always may."),
  ]

  private let settings: WHIPSettings
  private let tally = HTTPTally()

  public init(settings: ModuleSettings) throws(ModuleError) {
    let text = settings.string("whip_listen")
    guard let address = SocketAddress(text, defaultPort: 8090) else {
      throw ModuleError(
        .configuration, "whip_listen \(text): it takes an address and a port, for example 127.0.0.1:8090")
    }
    let (certificate, token) = (settings.string("whip_certificate"), settings.string("whip_token"))
    guard address.isLoopback || (!certificate.isEmpty && !token.isEmpty) else {
      throw ModuleError(
        .configuration,
        "whip_listen \(text): who can reach it can make calls, so it takes whip_certificate and whip_token; "
          + "whip_listen 127.0.0.1:8090 keeps it on this machine")
    }
    self.settings = WHIPSettings(
      listen: address, certificate: certificate.isEmpty ? nil : certificate, token: BearerToken(token),
      origins: settings.string("whip_origin").split { $0 == "," || $0 == " " }.map { String($0) })
  }

  public var facets: [Facet] {
    let tally = self.tally
    return [
      Facet(.application(WHIPProvider(settings: self.settings, tally: tally))),
      .command(
        ModuleCommand(CommandDescription("whipstat", help: "what the HTTP server did not serve, and why")) {
          _ throws(CommandFailure) in
          let counted = tally.counters
          return "connections refused \(counted.refused), malformed \(counted.malformed), slow \(counted.slow); "
            + "requests too long \(counted.oversize), forbidden \(counted.forbidden)"
        }),
    ]
  }
}

/// What the config says of the server.
package struct WHIPSettings: Sendable {
  package var listen: SocketAddress
  package var certificate: String?
  /// Nil: none is asked for.
  package var token: BearerToken?
  package var origins: [String]
  package var limits: HTTPLimits

  package init(
    listen: SocketAddress, certificate: String? = nil, token: BearerToken? = nil, origins: [String] = [],
    limits: HTTPLimits = HTTPLimits()
  ) {
    (self.listen, self.certificate, self.token) = (listen, certificate, token)
    (self.origins, self.limits) = (origins, limits)
  }
}

/// Starts the server of one agent.
struct WHIPProvider: ApplicationProvider {
  let settings: WHIPSettings
  let tally: HTTPTally

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    try WHIPServer(self.settings, tally: self.tally, host: host)
  }
}
