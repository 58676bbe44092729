package import HTTPServer
package import ModuleKit
package import NetBase
internal import SDPCodec

/// The endpoints `/whip`, to which a client sends media, and `/whep`, from which it gets some, and a resource for each
/// session (RFC 9725 §4). Lives on main.
///
/// A session's media goes as that of a call: DTLS-SRTP and ICE, in the receive mode of the agent. Every candidate is in the
/// answer; a client's later ones (PATCH) are not needed, for it is found by its checks.
package final class WHIPServer: Application {
  private let access: HTTPAccess
  private let entry: HTTPGuard
  private unowned let host: any ApplicationHost
  private var server: HTTPServer?
  /// The calls, by the path of their resource.
  private var sessions: [String: UInt64] = [:]

  package init(_ access: HTTPAccess, tally: HTTPTally, host: any ApplicationHost) throws(ModuleError) {
    self.access = access
    self.entry = HTTPGuard(access, tally: tally, originKey: "whip_origin")
    self.host = host
    do throws(ModuleError) {
      self.server = try HTTPServer(
        listen: access.listen, certificate: access.certificate, limits: access.limits, tally: tally,
        key: "whip_listen", on: host.main
      ) { [unowned self] in self.entry.answer($0, self.route) }
    } catch { throw ModuleError(error.kind, "module whip: \(error.message)") }
  }

  /// Where it listens.
  package var address: SocketAddress { self.server?.address ?? self.access.listen }

  package func take(_ notice: AgentNotice) {}

  package func stop() {
    self.server?.stop()
    self.server = nil
  }

  private func route(_ request: HTTPRequest) -> HTTPResponse {
    let endpoint = Endpoint(rawValue: request.path)
    let session = endpoint == nil ? self.sessions[request.path] : nil
    // A browser asks before it sends, without the token.
    if request.method == "OPTIONS", endpoint != nil || session != nil { return Self.allowed }
    if let refusal = self.entry.refusal(of: request) { return refusal }
    switch (endpoint, session, request.method) {
    case (.some(let endpoint), _, "POST"): return self.begin(request, at: endpoint)
    case (.some, _, _):
      return HTTPResponse(405, "an endpoint takes an offer, by POST", headers: [("Allow", "POST, OPTIONS")])
    case (nil, .some(let call), "DELETE"):
      self.sessions[request.path] = nil
      self.host.hangUp(call)
      return HTTPResponse(200)
    case (nil, .some, _):
      return HTTPResponse(
        405, "a session takes DELETE; all candidates are in its answer", headers: [("Allow", "DELETE, OPTIONS")])
    case (nil, nil, _): return HTTPResponse(404, "there is nothing here: /whip and /whep take offers")
    }
  }

  private static let allowed = HTTPResponse(
    204,
    headers: [
      ("Accept-Post", "application/sdp"), ("Access-Control-Allow-Methods", "POST, DELETE, OPTIONS"),
      ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
    ])

  private enum Endpoint: String {
    case whip = "/whip"
    case whep = "/whep"
  }

  private func begin(_ request: HTTPRequest, at endpoint: Endpoint) -> HTTPResponse {
    self.sessions = self.sessions.filter { self.host.isOpen($0.value) }
    let type = request["Content-Type"]?.prefix { $0 != ";" }.lowercased()
    guard type == "application/sdp" else {
      return HTTPResponse(415, "an offer is application/sdp", headers: [("Accept-Post", "application/sdp")])
    }
    guard let offer = try? SessionDescription(parsing: request.body) else {
      return HTTPResponse(400, "the offer is no session description")
    }
    guard offer.media.contains(where: { Self.fits($0, endpoint) }) else {
      return HTTPResponse(
        400,
        endpoint == .whip
          ? "the offer sends no audio: /whep is for that" : "the offer receives no audio: /whip is for that")
    }
    do throws(ModuleError) {
      let (call, answer) = try self.host.answer(request.body, from: request.peer, sound: nil)
      let path = "\(request.path)/\(HTTPServer.unguessable())"
      self.sessions[path] = call
      return HTTPResponse(201, headers: [("Content-Type", "application/sdp"), ("Location", path)], body: answer)
    } catch { return HTTPResponse(refusing: error) }
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
