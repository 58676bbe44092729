/// What a server has answered, whole.
package struct HTTPReply: Sendable {
  package let status: Int
  package let headers: [(name: String, value: String)]
  package let body: [UInt8]

  package init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
    (self.status, self.headers, self.body) = (status, headers, body)
  }

  /// The first header of that name; nil where there is none.
  package subscript(_ name: String) -> String? {
    let wanted = name.lowercased()
    return self.headers.first { $0.name.lowercased() == wanted }?.value
  }

  /// Without parameters, in small letters.
  package var contentType: String? { self["Content-Type"]?.prefix { $0 != ";" && $0 != " " }.lowercased() }
}
