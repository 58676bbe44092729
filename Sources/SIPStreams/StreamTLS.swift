package import ModuleKit
internal import NIOCore
package import NIOSSL

/// The TLS contexts of one transport, made once each; lives on main.
package final class StreamTLS {
  private let module: String
  private let security: SIPSecurity
  /// By the file of the client's certificate; the empty name for none.
  private var clients: [String: NIOSSLContext] = [:]

  package init(module: String, security: SIPSecurity) {
    self.module = module
    self.security = security
  }

  /// Throws what either of the two would.
  func rehearse() throws(ModuleError) {
    _ = try self.client(certificate: nil)
    _ = try self.server()
  }

  /// For connections that we open (RFC 5922 §7.1: the server must bear the name it was asked for).
  ///
  /// - Parameter certificate: our own, with its key, in place of `sip_certificate`.
  package func client(certificate: String?) throws(ModuleError) -> NIOSSLContext {
    let path = certificate ?? self.security.certificate
    if let known = self.clients[path ?? ""] { return known }
    var configuration = TLSConfiguration.makeClientConfiguration()
    configuration.minimumTLSVersion = .tlsv12
    configuration.certificateVerification = self.security.verifiesServer ? .fullVerification : .none
    try self.trust(&configuration)
    if let path {
      let (chain, key) = try self.identity(path)
      configuration.certificateChain = chain.map { .certificate($0) }
      configuration.privateKey = .privateKey(key)
    }
    let context = try self.context(configuration)
    self.clients[path ?? ""] = context
    return context
  }

  /// For connections that peers open; nil without a certificate.
  func server() throws(ModuleError) -> NIOSSLContext? {
    guard let path = self.security.certificate else { return nil }
    let (chain, key) = try self.identity(path)
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    if self.security.verifiesClient {
      configuration.certificateVerification = .noHostnameVerification
      try self.trust(&configuration)
    }
    return try self.context(configuration)
  }

  private func trust(_ configuration: inout TLSConfiguration) throws(ModuleError) {
    let files = [("sip_cafile", self.security.authorityFile), ("sip_capath", self.security.authorityPath)]
    var roots: [NIOSSLAdditionalTrustRoots] = []
    for (key, path) in files {
      guard let path else { continue }
      do {
        if key == "sip_cafile" { _ = try NIOSSLCertificate.fromPEMFile(path) }
      } catch {
        throw ModuleError(.configuration, "\(key) \(path): it can't be read, or has no certificate in PEM form")
      }
      roots.append(.file(path))
    }
    guard let first = roots.first else { return }
    if case .file(let path) = first { configuration.trustRoots = .file(path) }
    configuration.additionalTrustRoots = Array(roots.dropFirst())
  }

  private func identity(
    _ path: String
  ) throws(ModuleError) -> (chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) {
    do {
      return (try NIOSSLCertificate.fromPEMFile(path), try NIOSSLPrivateKey(file: path, format: .pem))
    } catch {
      let key = path == self.security.certificate ? "sip_certificate" : "cert"
      throw ModuleError(
        .configuration, "\(key): \(path) must be a file with a certificate and its private key, both in PEM form")
    }
  }

  private func context(_ configuration: TLSConfiguration) throws(ModuleError) -> NIOSSLContext {
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw ModuleError(
        .configuration,
        "module \(self.module): the certificates can't be used (sip_certificate, sip_cafile, sip_capath): "
          + StreamFailure.sentence(error))
    }
  }
}
