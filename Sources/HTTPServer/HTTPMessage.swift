package import ModuleKit

/// A request with its whole body (RFC 9112), no longer than the server's limits allow.
package struct HTTPRequest: Sendable {
  /// In capitals.
  package let method: String
  /// Without the query.
  package let path: String
  /// In the order of the message.
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]
  /// The peer's address, without its port.
  package let peer: String
  /// Whether TLS brought it.
  package let isSecure: Bool

  package init(
    _ method: String, _ path: String, headers: [(name: String, value: String)] = [], body: [UInt8] = [], peer: String,
    isSecure: Bool = false
  ) {
    (self.method, self.path, self.headers, self.body) = (method, path, headers, body)
    (self.peer, self.isSecure) = (peer, isSecure)
  }

  /// The first header of that name; nil where there is none.
  package subscript(_ name: String) -> String? {
    let wanted = name.lowercased()
    return self.headers.first { $0.name.lowercased() == wanted }?.value
  }
}

extension HTTPRequest {
  /// Without parameters, in small letters.
  package var contentType: String? { self["Content-Type"]?.prefix { $0 != ";" && $0 != " " }.lowercased() }
}

/// What a response carries.
package enum HTTPBody: Sendable {
  case bytes([UInt8])
  /// A file's path. The connection's thread opens and reads it, piece by piece as the peer takes it; without the file the
  /// response is 404.
  case file(String)
}

/// What a request is answered with. Its length is told by the server.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: [(name: String, value: String)]
  package var body: HTTPBody

  package init(_ status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    (self.status, self.headers, self.body) = (status, headers, .bytes(body))
  }

  package init(_ status: Int, headers: [(name: String, value: String)] = [], file: String) {
    (self.status, self.headers, self.body) = (status, headers, .file(file))
  }

  /// With a sentence for whoever reads it.
  package init(_ status: Int, _ sentence: String, headers: [(name: String, value: String)] = []) {
    self.init(
      status, headers: [("Content-Type", "text/plain; charset=utf-8")] + headers, body: Array("\(sentence)\n".utf8))
  }
  /// Why there is no call.
  package init(refusing error: ModuleError) {
    switch error.kind {
    case .peer: self.init(400, error.message)
    case .unavailable, .exhausted: self.init(503, error.message, headers: [("Retry-After", "30")])
    case .configuration, .noInput, .cannotCreate: self.init(500, error.message)
    }
  }

  package init(_ status: Int, json: JSON, headers: [(name: String, value: String)] = []) {
    self.init(
      status, headers: [("Content-Type", "application/json")] + headers, body: Array(json.description.utf8))
  }
}
