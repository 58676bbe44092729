internal import HTTPServer
public import ModuleKit
internal import Runtime

/// A web page that shows the calls as they are, and on which one talks to Apus.
public struct HTTPD: Module {
  public static let name = "httpd"
  public static let summary =
    "web page: the calls with their levels, loss and jitter; echo, recording, a browser's calls by SIP"
  public static let configKeys =
    HTTPAccess.keys("http", port: 8000) + [
      ConfigKey(
        "http_recordings", .string, default: "",
        help: "Folder of what is recorded on the page; without it a new one, which is removed at the end.")
    ]

  private let access: HTTPAccess
  private let recordings: String
  private let tally = HTTPTally()
  let levels = LevelBoard()

  public init(settings: ModuleSettings) throws(ModuleError) {
    self.access = try HTTPAccess("http", port: 8000, danger: "hear and make calls", staysHome: true, settings: settings)
    self.recordings = settings.string("http_recordings")
  }

  public var facets: [Facet] {
    let (levels, tally) = (self.levels, self.tally)
    return [
      Facet(.application(PageProvider(access: self.access, recordings: self.recordings, levels: levels, tally: tally))),
      .filter(
        .confined { request throws(ModuleError) in
          { () throws(ModuleError) in LevelMeter(request, board: levels) }
        }),
      tally.facet(command: "httpstat"),
    ]
  }
}

/// Starts the server of one agent.
struct PageProvider: ApplicationProvider {
  let access: HTTPAccess
  let recordings: String
  let levels: LevelBoard
  let tally: HTTPTally

  var warning: String? { self.access.warning }

  func rehearse() throws(ModuleError) { try self.access.rehearse() }

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    let recordings = try Recordings(folder: self.recordings)
    let server = try PageServer(
      self.access, tally: self.tally, levels: self.levels, talks: Talks(host: host, recordings: recordings, loop: loop),
      host: host)
    host.warn("module httpd is listening on \(self.access.url(at: server.address))")
    return server
  }
}
