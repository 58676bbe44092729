internal import HTTPClient
internal import Testing

/// RFC 9110 §4.2 and RFC 3986 §5.
@Suite struct HTTPURLTests {
  @Test(
    "host, port and target of a URL",
    arguments: [
      ("http://example.com", "example.com", 80, "/", "http://example.com/"),
      ("HTTPS://example.com/whip", "example.com", 443, "/whip", "https://example.com/whip"),
      (
        "https://[2001:db8::1]:8443/a/b?token=x#y", "2001:db8::1", 8443, "/a/b?token=x",
        "https://[2001:db8::1]:8443/a/b"
      ),
      ("http://127.0.0.1:8090?x", "127.0.0.1", 8090, "/?x", "http://127.0.0.1:8090/"),
    ])
  func parsing(text: String, host: String, port: UInt16, target: String, shown: String) throws {
    let url = try #require(HTTPURL(text))
    #expect(url.host == host && url.port == port && url.target == target && url.description == shown)
    #expect(url.isSecure == shown.hasPrefix("https"))
  }

  @Test(
    "what is no URL, or has a user in it",
    arguments: [
      "", "example.com", "http:", "http:/a", "http://", "http://:80/", "http://a:b/", "http://a:0/", "http://a:+80/",
      "http://a:70000/",
      "http://u@a/", "http://u:p@a/", "http://[::1", "http://[a]/", "ftp://a/", "http://a/\r\nX: y", "http://a/ b",
      "http://ä/",
    ])
  func refused(text: String) { #expect(HTTPURL(text) == nil) }

  @Test(
    "references, as RFC 3986 §5.4 has them",
    arguments: [
      ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
      ("//g", "http://g/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../../g", "http://a/g"),
      ("g/./h", "http://a/b/c/g/h"), ("g/../h", "http://a/b/c/h"), (".", "http://a/b/c/"), ("#s", "http://a/b/c/d;p"),
      ("https://other:1/x", "https://other:1/x"),
    ])
  func resolving(reference: String, expected: String) throws {
    let base = try #require(HTTPURL("http://a/b/c/d;p?q"))
    #expect(try #require(base.resolving(reference)).description == expected)
  }

  @Test("queries of references; other schemes lead nowhere")
  func queries() throws {
    let base = try #require(HTTPURL("http://a/b/c/d;p?q"))
    #expect(base.resolving("?y")?.target == "/b/c/d;p?y" && base.resolving("g?y/../x")?.target == "/b/c/g?y/../x")
    #expect(base.resolving("#s") == base && base.resolving("") == nil && base.resolving("mailto:a") == nil)
    #expect(base.hasOrigin(of: try #require(HTTPURL("http://A:80/"))))
    for other in ["https://a/", "http://a:81/", "http://b/"] {
      #expect(!base.hasOrigin(of: try #require(HTTPURL(other))))
    }
  }
}
