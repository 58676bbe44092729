package import HTTPServer
package import ModuleKit
package import NetBase
internal import SDPCodec

/// The endpoints `/whip`, to which a client sends media, and `/whep`, from which it gets some, and a resource for each
/// session (RFC 9725 §4). Lives on main.
///
/// A session's media goes as that of a call: DTLS-SRTP and ICE, in the receive mode of the agent. Every candidate of ours is
/// in the answer; a client brings later ones, and begins ICE anew, by PATCH.
package final class WHIPServer: Application {
  private let access: HTTPAccess
  private let entry: HTTPGuard
  private unowned let host: any ApplicationHost
  private var server: HTTPServer?
  /// By the path of their resource.
  private var sessions: [String: Session] = [:]

  private struct Session {
    let call: UInt64
    /// What the client has said of itself until now.
    var offer: SessionDescription
    /// Names what ICE has begun with (RFC 9725 §4.3.1).
    var tag: String
  }

  package init(_ access: HTTPAccess, tally: HTTPTally, host: any ApplicationHost) throws(ModuleError) {
    self.access = access
    self.entry = HTTPGuard(access, tally: tally, originKey: "whip_origin")
    self.host = host
    do throws(ModuleError) {
      self.server = try HTTPServer(access, tally: tally, on: host.main) { [unowned self] in
        self.entry.answer($0, self.route, $1)
      }
    } catch { throw ModuleError(error.kind, "module whip: \(error.message)") }
  }

  /// Where it listens.
  package var address: SocketAddress { self.server?.address ?? self.access.listen }

  package func take(_ notice: AgentNotice) {}

  package func stop() {
    self.server?.stop()
    self.server = nil
  }

  private func route(_ request: HTTPRequest, _ reply: @escaping HTTPServer.Reply) {
    let endpoint = Endpoint(rawValue: request.path)
    let session = self.sessions[request.path].flatMap { self.host.isOpen($0.call) ? $0 : nil }
    // A browser asks before it sends, without the token.
    if request.method == "OPTIONS", endpoint != nil || session != nil { return reply(Self.allowed) }
    if let refusal = self.entry.refusal(of: request) { return reply(refusal) }
    switch (endpoint, session, request.method) {
    case (.some(let endpoint), _, "POST"): self.begin(request, at: endpoint, reply)
    case (.some, _, _):
      reply(HTTPResponse(405, "an endpoint takes an offer, by POST", headers: [("Allow", "POST, OPTIONS")]))
    case (nil, .some(let session), "DELETE"):
      self.sessions[request.path] = nil
      self.host.hangUp(session.call)
      reply(HTTPResponse(200))
    case (nil, .some(let session), "PATCH"): self.change(session, by: request, reply)
    case (nil, .some, _):
      reply(
        HTTPResponse(405, "a session takes PATCH and DELETE", headers: [("Allow", "PATCH, DELETE, OPTIONS")]))
    case (nil, nil, _): reply(HTTPResponse(404, "there is nothing here: /whip and /whep take offers"))
    }
  }

  private static let allowed = HTTPResponse(
    204,
    headers: [
      ("Accept-Post", "application/sdp"), ("Accept-Patch", WHIPServer.fragmentType),
      ("Access-Control-Allow-Methods", "POST, PATCH, DELETE, OPTIONS"),
      ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match"),
    ])
  private static let fragmentType = "application/trickle-ice-sdpfrag"

  private enum Endpoint: String {
    case whip = "/whip"
    case whep = "/whep"
  }

  private func begin(_ request: HTTPRequest, at endpoint: Endpoint, _ reply: @escaping HTTPServer.Reply) {
    self.sessions = self.sessions.filter { self.host.isOpen($0.value.call) }
    guard request.contentType == "application/sdp" else {
      return reply(HTTPResponse(415, "an offer is application/sdp", headers: [("Accept-Post", "application/sdp")]))
    }
    guard let offer = try? SessionDescription(parsing: request.body) else {
      return reply(HTTPResponse(400, "the offer is no session description"))
    }
    guard offer.media.contains(where: { Self.fits($0, endpoint) }) else {
      return reply(
        HTTPResponse(
          400,
          endpoint == .whip
            ? "the offer sends no audio: /whep is for that" : "the offer receives no audio: /whip is for that"))
    }
    self.host.answer(request.body, from: request.peer, sound: nil) { [weak self] result in
      switch result {
      case .success(let answered): reply(self?.created(answered, offer, below: request.path) ?? HTTPResponse(503))
      case .failure(let error): reply(HTTPResponse(refusing: error))
      }
    }
  }

  private func created(_ answered: AnsweredCall, _ offer: SessionDescription, below path: String) -> HTTPResponse {
    let path = "\(path)/\(HTTPServer.unguessable())"
    let session = Session(call: answered.call, offer: offer, tag: Self.tag(of: answered.answer))
    self.sessions[path] = session
    return HTTPResponse(
      201,
      headers: [
        ("Content-Type", "application/sdp"), ("Location", path), ("ETag", session.tag),
        ("Accept-Patch", Self.fragmentType),
      ], body: answered.answer)
  }

  /// Candidates that the client found later, or a new beginning, for which no matter what went before (RFC 9725 §4.3).
  private func change(_ session: Session, by request: HTTPRequest, _ reply: @escaping HTTPServer.Reply) {
    guard request.contentType == Self.fragmentType else {
      return reply(
        HTTPResponse(415, "a session takes \(Self.fragmentType)", headers: [("Accept-Patch", Self.fragmentType)]))
    }
    guard let fragment = ICEFragment(parsing: request.body) else {
      return reply(HTTPResponse(400, "the fragment has no ice-ufrag and ice-pwd that ICE allows"))
    }
    guard let wanted = request["If-Match"] else {
      return reply(HTTPResponse(428, "If-Match says which ICE session is meant: its ETag, or * for a new one"))
    }
    let continues = fragment.continues(session.offer)
    // `*` is true of whatever exists (RFC 9110 §13.1.1), so some clients send nothing else.
    guard wanted == "*" || (continues && wanted == session.tag) else {
      return reply(HTTPResponse(412, "the ICE session is another one by now"))
    }
    guard let offer = fragment.merged(into: session.offer) else {
      return reply(HTTPResponse(413, "a session takes \(ICEFragment.maximumCandidates) candidates, not more"))
    }
    var session = session
    session.offer = offer
    self.host.answerAgain(session.offer.bytes, in: session.call) { [weak self, session] result in
      switch result {
      case .success(let answer):
        var session = session
        if !continues { session.tag = Self.tag(of: answer) }
        // It may have ended meanwhile.
        guard self?.sessions.updateValue(session, forKey: request.path) != nil else { return reply(HTTPResponse(404)) }
        guard !continues, let answer = try? SessionDescription(parsing: answer) else { return reply(HTTPResponse(204)) }
        reply(
          HTTPResponse(
            200, headers: [("Content-Type", Self.fragmentType), ("ETag", session.tag)], body: ICEFragment.of(answer)))
      case .failure(let error): reply(HTTPResponse(refusing: error))
      }
    }
  }

  private static func tag(of answer: [UInt8]) -> String {
    let media = (try? SessionDescription(parsing: answer))?.media.first { $0.port != 0 }
    return "\"\(media?.iceUfrag ?? "")\""
  }

  /// RFC 9725 §4.2: who publishes sends; WHEP: who views receives.
  private static func fits(_ media: MediaDescription, _ endpoint: Endpoint) -> Bool {
    guard media.kind == .audio, media.port != 0 else { return false }
    let direction = media.direction ?? .sendrecv
    return switch endpoint {
    case .whip: direction.sends
    case .whep: direction.receives
    }
  }
}
