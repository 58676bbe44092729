package import ModuleKit
internal import NIOSSL
package import NetBase

/// Where a module serves HTTP, and to whom: on loopback to everybody; elsewhere only by TLS, and to who shows a token.
package struct HTTPAccess: Sendable {
  package var listen: SocketAddress
  /// A file with a certificate and its private key, in PEM form; nil for no TLS.
  package var certificate: String?
  /// Nil: none is asked for.
  package var token: BearerToken?
  /// Pages of other servers that may ask.
  package var origins: [String] = []
  package var limits = HTTPLimits()
  /// What whoever runs it should know: it listens on loopback instead of where it was told to.
  package private(set) var warning: String?
  /// What the names of its keys begin with.
  private let prefix: String

  package init(listen: SocketAddress, prefix: String = "http") { (self.listen, self.prefix) = (listen, prefix) }

  /// The setting that says where to listen.
  var listenKey: String { "\(self.prefix)_listen" }

  /// - Throws: where the certificate can't be used.
  package func rehearse() throws(ModuleError) { _ = try self.makeTLS() }

  /// Nil for no TLS.
  func makeTLS() throws(ModuleError) -> NIOSSLContext? {
    guard let path = self.certificate else { return nil }
    do {
      var configuration = TLSConfiguration.makeServerConfiguration(
        certificateChain: try NIOSSLCertificate.fromPEMFile(path).map { .certificate($0) },
        privateKey: .privateKey(try NIOSSLPrivateKey(file: path, format: .pem)))
      configuration.minimumTLSVersion = .tlsv12
      configuration.applicationProtocols = ["http/1.1"]
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw ModuleError(
        .configuration,
        "\(self.prefix)_certificate: \(path) must be a file with a certificate and its private key, both in PEM form")
    }
  }

  /// What a client is given for a server that listens at `address`.
  package func url(at address: SocketAddress) -> String {
    "\(self.certificate == nil ? "http" : "https")://\(address)/"
  }

  /// Reads the keys `PREFIX_listen`, `PREFIX_certificate`, `PREFIX_token` and, where there is one, `PREFIX_origin`.
  ///
  /// - Parameter staysHome: whether it listens on loopback, with a warning, where everybody in reach could do what
  ///   `danger` says.
  /// - Throws: kind `configuration`, where it does not.
  package init(
    _ prefix: String, port: UInt16, danger: String, hasOrigins: Bool = false, staysHome: Bool = false,
    settings: ModuleSettings
  ) throws(ModuleError) {
    let key = "\(prefix)_listen"
    let text = settings.string(key)
    guard let address = SocketAddress(text, defaultPort: port) else {
      throw ModuleError(
        .configuration, "\(key) \(text): it takes an address and a port, for example 127.0.0.1:\(port)")
    }
    let (certificate, token) = (settings.string("\(prefix)_certificate"), settings.string("\(prefix)_token"))
    let isSafe = address.isLoopback || (!certificate.isEmpty && !token.isEmpty)
    let why = "who can reach it can \(danger), so it takes \(prefix)_certificate and \(prefix)_token"
    let home = SocketAddress(ipv4: 0x7F00_0001, port: address.port)
    guard isSafe || staysHome else {
      throw ModuleError(
        .configuration, "\(key) \(text): \(why); \(key) 127.0.0.1:\(port) keeps it on this machine")
    }
    self.init(listen: isSafe ? address : home, prefix: prefix)
    if !isSafe { self.warning = "\(key) \(text): \(why); without them it stays on \(home)" }
    self.certificate = certificate.isEmpty ? nil : certificate
    self.token = BearerToken(token)
    if hasOrigins {
      self.origins = settings.string("\(prefix)_origin").split { $0 == "," || $0 == " " }.map { String($0) }
    }
  }

  /// The keys of a module that reads them so.
  package static func keys(_ prefix: String, port: UInt16) -> [ConfigKey] {
    [
      ConfigKey(
        "\(prefix)_listen", .string, default: "127.0.0.1:\(port)",
        help: "Address and port of the HTTP server; elsewhere than on loopback it needs a certificate and a token."),
      ConfigKey(
        "\(prefix)_certificate", .string, default: "",
        help: "File with the certificate and private key of the HTTP server, in PEM form; without it there is no TLS."),
      ConfigKey(
        "\(prefix)_token", .string, default: "", isSecret: true,
        help: "What a client must send as its bearer token (RFC 6750); empty for none, on loopback only."),
    ]
  }
}
