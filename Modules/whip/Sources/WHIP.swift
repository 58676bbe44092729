internal import HTTPClient
internal import HTTPServer
public import ModuleKit
internal import Runtime

/// Calls by HTTP: a browser, or whatever else speaks WHIP (RFC 9725) or WHEP, sends its offer and gets the answer; and calls of
/// ours to endpoints of that kind.
public struct WHIP: Module {
  public static let name = "whip"
  public static let summary = "calls by HTTP, of browsers and to servers: WHIP (RFC 9725) and WHEP"
  public static let configKeys =
    HTTPAccess.keys("whip", port: 8090) + [
      ConfigKey(
        "whip_origin", .string, default: "",
        help: "Origins of pages that may call, with commas between them; a page of this server itself always may."),
      ConfigKey(
        "whip_client_token", .string, default: "", isSecret: true,
        help: "What /whip and /whep show to an endpoint as bearer token (RFC 6750); empty for none."),
    ]

  private let access: HTTPAccess
  private let tally = HTTPTally()
  private let token: ClientToken?

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.access = try HTTPAccess("whip", port: 8090, danger: "make calls", hasOrigins: true, settings: settings)
    self.token = ClientToken(settings.string("whip_client_token"))
  }

  public var facets: [Facet] {
    [
      Facet(.application(WHIPProvider(access: self.access, tally: self.tally))),
      self.tally.facet(command: "whipstat"),
      self.command("whip", "send, and receive what comes back: a call to an endpoint of WHIP", receivesOnly: false),
      self.command("whep", "receive only: a call to an endpoint of WHEP", receivesOnly: true),
    ]
  }

  private func command(_ name: String, _ help: String, receivesOnly: Bool) -> Facet {
    let token = self.token
    return .command(
      ModuleCommand(CommandDescription(name, parameters: "URL", help: help)) { text, host throws(CommandFailure) in
        guard let endpoint = HTTPURL(text) else {
          throw CommandFailure(
            "/\(name) takes the URL of an endpoint, for example https://example.com/\(name); "
              + "a token is whip_client_token's")
        }
        let http = HTTPClient(module: Self.name, security: host.security, on: host.main)
        return try host.call(
          "\(endpoint)", receivesOnly: receivesOnly, by: WHIPClient(endpoint, token: token, http: http))
      })
  }
}

/// Starts the server of one agent.
struct WHIPProvider: ApplicationProvider {
  let access: HTTPAccess
  let tally: HTTPTally

  func rehearse() throws(ModuleError) { try self.access.rehearse() }

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    let server = try WHIPServer(self.access, tally: self.tally, host: host)
    host.warn("module whip is listening on \(self.access.url(at: server.address))")
    return server
  }
}
