/// Lets in who may ask, by page and by token; counts the others.
package struct HTTPGuard {
  private let policy: OriginPolicy
  private let token: BearerToken?
  private let tally: HTTPTally
  private let originKey: String

  /// - Parameter originKey: the setting that lets other pages in, for what a refusal says; empty for none.
  package init(_ access: HTTPAccess, tally: HTTPTally, originKey: String = "") {
    self.policy = OriginPolicy(origins: access.origins, isOpen: access.token == nil)
    (self.token, self.tally, self.originKey) = (access.token, tally, originKey)
  }

  /// Answers a request of a page that may ask, with what tells its browser so.
  package func answer(
    _ request: HTTPRequest, _ body: (HTTPRequest, @escaping HTTPServer.Reply) -> Void,
    _ reply: @escaping HTTPServer.Reply
  ) {
    guard let origin = self.policy.admit(request) else {
      self.tally.addForbidden()
      let more = self.originKey.isEmpty ? "" : ": \(self.originKey) names the origins that may"
      return reply(HTTPResponse(403, "this page may not call\(more)"))
    }
    body(request) { response in
      var response = response
      response.headers += origin
      reply(response)
    }
  }

  /// What a request without the token gets; nil where it has it, or none is asked for.
  package func refusal(of request: HTTPRequest) -> HTTPResponse? {
    guard let token, !token.isShown(in: request["Authorization"]) else { return nil }
    self.tally.addForbidden()
    return HTTPResponse(401, "the token is missing or wrong", headers: [("WWW-Authenticate", "Bearer")])
  }
}
