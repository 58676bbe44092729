import HTTPClient
import HTTPServer

/// What HTTP brings beside bodies: NIO reads its bytes, and we read what is in its lines.
enum Web {
  /// The first line is a URL, the next a reference that is met there.
  static func url(_ bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).prefix(2).map(String.init)
    guard let first = lines.first, let url = HTTPURL(first) else { return }
    Self.check(url)
    require(url.hasOrigin(of: url), "a server is not itself")
    guard lines.count > 1, let there = url.resolving(lines[1]) else { return }
    Self.check(there)
    // A path of its own is taken without its dots (RFC 3986 §5.2.4).
    guard lines[1].hasPrefix("/"), !lines[1].hasPrefix("//") else { return }
    require(there.hasOrigin(of: url), "a path leads to another server")
    let segments = there.target.prefix { $0 != "?" }.split(separator: "/")
    require(!segments.contains(".") && !segments.contains(".."), "dots are left in a path")
  }

  private static func check(_ url: HTTPURL) {
    let written = "\(url.isSecure ? "https" : "http")://\(url.authority)\(url.target)"
    require(HTTPURL(written) == url, "a URL that was read is written as another")
    require(!"\(url)".contains("?"), "a query is shown")
  }

  private static let secret = "s3cret"
  private static let page = "https://page.example"

  /// Lines are header fields: nobody gets in with another token, and no page of elsewhere.
  static func request(_ bytes: [UInt8]) {
    let lines = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
    let fields = lines.compactMap { line -> (name: String, value: String)? in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
    }
    let request = HTTPRequest("POST", "/whip", headers: fields, peer: "127.0.0.1")
    let reply = HTTPReply(status: 201, headers: fields, body: [])
    require(request.contentType == reply.contentType, "a type is read in two ways")
    require(request.contentType?.contains(";") != true, "a type with parameters")
    let shown = request["Authorization"]
    if let token = BearerToken(Self.secret), token.isShown(in: shown) {
      require(shown.map { Array($0.utf8.suffix(Self.secret.utf8.count)) } == Array(Self.secret.utf8), "another token")
      require(shown?.utf8.count == "Bearer ".utf8.count + Self.secret.utf8.count, "more than a token")
    }
    for isOpen in [true, false] {
      guard let told = OriginPolicy(origins: [Self.page], isOpen: isOpen).admit(request) else { continue }
      guard let origin = request["Origin"] else {
        require(told.isEmpty, "a page is told of that does not ask")
        continue
      }
      let isOwn = origin == "http://\(request["Host"] ?? "")"
      require(isOwn || origin == Self.page, "a page of elsewhere may ask")
      require(isOwn == told.isEmpty, "a page is told of, or is not, as it should be")
    }
  }
}
