internal import COpenSSL
internal import Handoff
internal import ModuleKit

/// The TLS contexts of an agent's relays, made once for each set of authorities; any thread.
final class RelayTLS: Sendable {
  private let contexts = Locked<[SIPSecurity: RelayTLSContext]>([:])

  /// A failure is not kept: the file may be there the next time.
  func context(_ trust: SIPSecurity) -> Result<RelayTLSContext, ModuleError> {
    self.contexts.withLock { contexts in
      if let known = contexts[trust] { return .success(known) }
      do throws(ModuleError) {
        let context = try RelayTLSContext(trust)
        contexts[trust] = context
        return .success(context)
      } catch { return .failure(error) }
    }
  }
}

/// Whom TLS to a server trusts (RFC 8446, RFC 8656 §3.1): an SSL_CTX that nobody changes any more. Any thread.
@safe final class RelayTLSContext: @unchecked Sendable {  // written by its initialiser only
  let handle: OpaquePointer
  /// Whether a server has to prove its name.
  let isVerifying: Bool

  /// - Throws: where authorities can't be read.
  init(_ trust: SIPSecurity) throws(ModuleError) {
    ERR_clear_error()
    guard let handle = unsafe SSL_CTX_new(TLS_client_method()) else {
      throw ModuleError(.unavailable, "OpenSSL has no room for TLS")
    }
    unsafe self.handle = handle
    self.isVerifying = trust.verifiesServer
    unsafe SSL_CTX_ctrl(handle, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(TLS1_2_VERSION), nil)
    unsafe SSL_CTX_ctrl(handle, SSL_CTRL_MODE, Int(SSL_MODE_RELEASE_BUFFERS), nil)
    unsafe SSL_CTX_set_verify(handle, trust.verifiesServer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nil)
    if let file = trust.authorityFile, unsafe SSL_CTX_load_verify_file(handle, file) != 1 {
      throw ModuleError(
        .configuration, "sip_cafile \(file): it can't be read, or has no certificate in PEM form")
    }
    if let folder = trust.authorityPath, unsafe SSL_CTX_load_verify_dir(handle, folder) != 1 {
      throw ModuleError(.configuration, "sip_capath \(folder): it can't be used")
    }
    if trust.authorityFile == nil, trust.authorityPath == nil {
      unsafe SSL_CTX_set_default_verify_paths(handle)
    }
  }

  deinit { unsafe SSL_CTX_free(self.handle) }
}
