internal import HTTPServer
public import ModuleKit
internal import Runtime

/// Calls by HTTP: a browser, or whatever else speaks WHIP (RFC 9725) or WHEP, sends its offer and gets the answer.
public struct WHIP: Module {
  public static let name = "whip"
  public static let summary = "calls of browsers by HTTP: WHIP (RFC 9725) and WHEP"
  public static let configKeys =
    HTTPAccess.keys("whip", port: 8090) + [
      ConfigKey(
        "whip_origin", .string, default: "",
        help: "Origins of pages that may call, with commas between them; a page of this server itself always may.")
    ]

  private let access: HTTPAccess
  private let tally = HTTPTally()

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.access = try HTTPAccess("whip", port: 8090, danger: "make calls", hasOrigins: true, settings: settings)
  }

  public var facets: [Facet] {
    [
      Facet(.application(WHIPProvider(access: self.access, tally: self.tally))),
      self.tally.facet(command: "whipstat"),
    ]
  }
}

/// Starts the server of one agent.
struct WHIPProvider: ApplicationProvider {
  let access: HTTPAccess
  let tally: HTTPTally

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    try WHIPServer(self.access, tally: self.tally, host: host)
  }
}
