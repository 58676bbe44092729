internal import HTTPServer

/// A file of the page, as it was when Apus was built.
enum PageFile: String {
  case page = "/"
  case style = "/page.css"
  case script = "/page.js"

  init?(path: String) { self.init(rawValue: path) }

  var response: HTTPResponse {
    HTTPResponse(
      200,
      headers: [
        ("Content-Type", "\(self.type); charset=utf-8"), ("Cache-Control", "no-cache"),
        // Nothing from outside, and nobody's frame.
        (
          "Content-Security-Policy",
          "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src blob:; "
            + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(self)"),
      ], body: self.bytes)
  }

  private var type: String {
    switch self {
    case .page: "text/html"
    case .style: "text/css"
    case .script: "text/javascript"
    }
  }

  private var bytes: [UInt8] {
    switch self {
    case .page: PackageResources.page_html
    case .style: PackageResources.page_css
    case .script: PackageResources.page_js
    }
  }
}
