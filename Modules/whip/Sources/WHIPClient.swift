internal import HTTPClient
internal import ModuleKit
internal import Runtime

/// One session with an endpoint of WHIP (RFC 9725) or WHEP: the offer goes there by POST, the answer comes back, and DELETE
/// ends it. Lives on main.
final class WHIPClient: CallCarrier {
  private let endpoint: HTTPURL
  private let token: ClientToken?
  private let http: HTTPClient
  private var state = State.idle

  private enum State {
    case idle
    case asking
    case session(HTTPURL, token: ClientToken?)
    /// The call was over before its answer came.
    case leaving(told: () -> Void)
    case over
  }

  /// RFC 9110 §15.4: a server that leads in circles is left.
  static let maximumRedirects = 3

  init(_ endpoint: HTTPURL, token: ClientToken?, http: HTTPClient) {
    (self.endpoint, self.token, self.http) = (endpoint, token, http)
  }

  func carry(_ offer: [UInt8], answered: @escaping (Result<[UInt8], ModuleError>) -> Void) {
    self.state = .asking
    self.post(offer, to: self.endpoint, token: self.token, redirects: 0, answered)
  }

  func end(told: @escaping () -> Void) {
    switch self.state {
    case .asking: self.state = .leaving(told: told)
    case .session(let session, let token):
      self.state = .over
      self.delete(session, token, told)
    case .idle, .leaving, .over: told()
    }
  }

  private func post(
    _ offer: [UInt8], to url: HTTPURL, token: ClientToken?, redirects: Int,
    _ answered: @escaping (Result<[UInt8], ModuleError>) -> Void
  ) {
    let headers = [("Content-Type", "application/sdp"), ("Accept", "application/sdp")] + Self.authorization(token)
    self.http.send("POST", to: url, headers: headers, body: offer) { [self] result in
      if case .leaving(let told) = self.state { return self.leave(try? result.get(), url, token, told) }
      do throws(ModuleError) {
        let reply = try result.get()
        switch reply.status {
        case 201: answered(.success(try self.begin(reply, at: url, token)))
        case 307, 308:
          let next = try self.redirection(reply, from: url, redirects)
          // A token is for who was named, and not for whom that one names.
          let kept = next.hasOrigin(of: url) ? token : nil
          self.post(offer, to: next, token: kept, redirects: redirects + 1, answered)
        default: throw Self.refusal(reply.status, url)
        }
      } catch {
        // No session has come of it that would have to be ended.
        if case .asking = self.state { self.state = .over }
        answered(.failure(error))
      }
    }
  }

  /// The answer; its session is kept.
  private func begin(_ reply: HTTPReply, at url: HTTPURL, _ token: ClientToken?) throws(ModuleError) -> [UInt8] {
    guard let session = Self.session(of: reply, at: url) else {
      throw ModuleError(.peer, "\(url) answers without the Location of a session, so there would be no end to it")
    }
    self.state = .session(session, token: token)
    guard reply.contentType == "application/sdp" else {
      throw ModuleError(.peer, "\(url) answers with \(reply.contentType ?? "nothing"), not with application/sdp")
    }
    return reply.body
  }

  private func redirection(_ reply: HTTPReply, from url: HTTPURL, _ redirects: Int) throws(ModuleError) -> HTTPURL {
    guard redirects < Self.maximumRedirects else {
      throw ModuleError(.peer, "\(self.endpoint) redirects more than \(Self.maximumRedirects) times")
    }
    guard let next = reply["Location"].flatMap({ url.resolving($0) }) else {
      throw ModuleError(.peer, "\(url) redirects to what is no URL of http or https")
    }
    guard next.isSecure || !url.isSecure else {
      throw ModuleError(.peer, "\(url) redirects to \(next), which is without TLS")
    }
    return next
  }

  /// A session that nobody wants any more.
  private func leave(_ reply: HTTPReply?, _ url: HTTPURL, _ token: ClientToken?, _ told: @escaping () -> Void) {
    self.state = .over
    guard let reply, reply.status == 201, let session = Self.session(of: reply, at: url) else { return told() }
    self.delete(session, token, told)
  }

  /// Where a session is; nil where that is nowhere, or without the TLS of its endpoint.
  private static func session(of reply: HTTPReply, at url: HTTPURL) -> HTTPURL? {
    reply["Location"].flatMap { url.resolving($0) }.flatMap { $0.isSecure || !url.isSecure ? $0 : nil }
  }

  private func delete(_ session: HTTPURL, _ token: ClientToken?, _ told: @escaping () -> Void) {
    // Whatever it says: there is nothing more to be done.
    self.http.send("DELETE", to: session, headers: Self.authorization(token)) { _ in told() }
  }

  private static func authorization(_ token: ClientToken?) -> [(name: String, value: String)] {
    token.map { [("Authorization", $0.authorization)] } ?? []
  }

  private static func refusal(_ status: Int, _ url: HTTPURL) -> ModuleError {
    switch status {
    case 401, 403: ModuleError(.peer, "\(url) refuses the call (\(status)): whip_client_token has to be its token")
    case 404, 405, 410: ModuleError(.peer, "there is no endpoint at \(url) (\(status)): look at the URL's path")
    case 429, 503: ModuleError(.unavailable, "\(url) takes no call now (\(status)): try again later")
    case 500...: ModuleError(.unavailable, "\(url) fails (\(status))")
    default: ModuleError(.peer, "\(url) refuses the offer (\(status))")
    }
  }
}

/// The bearer token that we show (RFC 6750); it has no description.
struct ClientToken: Sendable, CustomStringConvertible, CustomReflectable {
  private let text: String

  /// Nil where the text is empty.
  init?(_ text: String) {
    guard !text.isEmpty else { return nil }
    self.text = text
  }

  var authorization: String { "Bearer \(self.text)" }
  var description: String { "(token)" }
  var customMirror: Mirror { Mirror(self, children: []) }
}
