package import HTTPServer
package import ModuleKit
package import NetBase

/// The page, and what its script asks for: the calls, a talk, a recording. Lives on main.
///
/// | request | answer |
/// |---|---|
/// | `GET /`, `/page.css`, `/page.js` | the page, which needs no token: it has nothing to tell |
/// | `GET /calls` | every call as `--json` prints it, with its levels |
/// | `DELETE /calls/N` | ends one |
/// | `POST /talks` `{"with": "echo"|"record"|"sip", "to": URI, "offer": SDP}` | 201, `{"id": …, "answer": SDP}` |
/// | `GET`, `DELETE /talks/ID` | how it is; ends it |
/// | `GET /recordings`, `/recordings/NAME` | names; a WAV file |
/// | `/raw/`, baresip's way to give a command | 404, and who takes commands |
package final class PageServer: Application {
  private let access: HTTPAccess
  private let entry: HTTPGuard
  private let levels: LevelBoard
  private let talks: Talks
  private unowned let host: any ApplicationHost
  private var server: HTTPServer?

  package init(
    _ access: HTTPAccess, tally: HTTPTally, levels: LevelBoard, talks: Talks, host: any ApplicationHost
  ) throws(ModuleError) {
    (self.access, self.levels, self.talks, self.host) = (access, levels, talks, host)
    self.entry = HTTPGuard(access, tally: tally)
    do throws(ModuleError) {
      self.server = try HTTPServer(access, tally: tally, on: host.main) { [unowned self] in
        self.entry.answer($0, self.route, $1)
      }
    } catch { throw ModuleError(error.kind, "module httpd: \(error.message)") }
  }

  /// Where it listens.
  package var address: SocketAddress { self.server?.address ?? self.access.listen }

  package func take(_ notice: AgentNotice) { if case .callClosed = notice.kind { self.talks.look() } }

  package func stop() {
    self.server?.stop()
    self.server = nil
    self.talks.endAll()
  }

  private func route(_ request: HTTPRequest, _ reply: @escaping HTTPServer.Reply) {
    if request.method == "GET", let file = PageFile(path: request.path) { return reply(file.response) }
    if let refusal = self.entry.refusal(of: request) { return reply(refusal) }
    let parts = request.path.split(separator: "/").map(String.init)
    let reply: HTTPServer.Reply = { response in
      var response = response
      response.headers.append(("Cache-Control", "no-store"))
      reply(response)
    }
    if case ("POST", "talks", 1) = (request.method, parts.first, parts.count) { return self.begin(request, reply) }
    let response =
      switch (request.method, parts.first, parts.count) {
      case ("GET", "calls", 1): self.calls()
      case ("DELETE", "calls", 2): self.hangUp(parts[1])
      case ("GET", "talks", 2): self.talk(parts[1])
      case ("DELETE", "talks", 2): self.talks.end(parts[1]) ? HTTPResponse(204) : Self.nothing
      case ("GET", "recordings", 1): self.recordings()
      case ("GET", "recordings", 2): self.recording(parts[1])
      case (_, "calls", _), (_, "talks", _), (_, "recordings", _): HTTPResponse(405, "this can't be done here")
      case (_, "raw", _): HTTPResponse(404, "commands do not come by HTTP here: module ctrl_tcp takes them")
      default: Self.nothing
      }
    reply(response)
  }

  private static var nothing: HTTPResponse { HTTPResponse(404, "there is nothing here, or no more") }

  private func calls() -> HTTPResponse {
    let calls = self.host.callReports.map { call, report -> JSON in
      let levels = self.levels.levels(of: StreamID(number: call))
      return [
        "id": .integer(Int(call)), "report": report,
        "level_tx_db": levels.transmit.map { .number($0) } ?? .null,
        "level_rx_db": levels.receive.map { .number($0) } ?? .null,
      ]
    }
    return HTTPResponse(200, json: ["calls": .array(calls)])
  }

  private func hangUp(_ number: String) -> HTTPResponse {
    guard let call = UInt64(number), self.host.isOpen(call) else { return Self.nothing }
    self.host.hangUp(call)
    return HTTPResponse(204)
  }

  private func begin(_ request: HTTPRequest, _ reply: @escaping HTTPServer.Reply) {
    // A page of elsewhere may send other types without asking first.
    guard request["Content-Type"]?.prefix(while: { $0 != ";" }).lowercased() == "application/json" else {
      return reply(HTTPResponse(415, "this takes application/json"))
    }
    guard let asked = try? JSON(parsing: request.body), let offer = asked["offer"]?.text else {
      return reply(HTTPResponse(400, #"this takes {"with": "echo", "record" or "sip", "to": URI, "offer": SDP}"#))
    }
    let partner: TalkPartner
    switch (asked["with"]?.text, asked["to"]?.text) {
    case ("echo", _): partner = .echo
    case ("record", _): partner = .recording
    case ("sip", .some(let target)) where !target.isEmpty: partner = .sip(target)
    case ("sip", _):
      return reply(HTTPResponse(400, #""to" is missing: whom to call, for example sip:bob@192.0.2.1"#))
    default: return reply(HTTPResponse(400, #""with" is echo, record or sip"#))
    }
    self.talks.begin(partner, offer: Array(offer.utf8), from: request.peer) { result in
      switch result {
      case .success((let id, let answer)):
        reply(
          HTTPResponse(
            201, json: ["id": .string(id), "answer": .string(String(decoding: answer, as: UTF8.self))],
            headers: [("Location", "/talks/\(id)")]))
      case .failure(let error): reply(HTTPResponse(refusing: error))
      }
    }
  }

  private func talk(_ id: String) -> HTTPResponse {
    guard let talk = self.talks.calls(of: id) else { return Self.nothing }
    return HTTPResponse(
      200,
      json: [
        "call": .integer(Int(talk.call)), "partner": talk.partner.map { .integer(Int($0)) } ?? .null,
        "failure": talk.failure.map { .string($0) } ?? .null,
      ])
  }

  private func recordings() -> HTTPResponse {
    HTTPResponse(200, json: ["recordings": .array(self.talks.recordings.names.map { .string($0) })])
  }

  private func recording(_ name: String) -> HTTPResponse {
    guard let path = self.talks.recordings.path(of: name) else { return Self.nothing }
    return HTTPResponse(200, headers: [("Content-Type", "audio/wav")], file: path)
  }
}
