internal import COpenSSL
internal import ModuleKit
internal import NetBase

/// TLS towards one server (RFC 8446): an SSL between two queues of bytes, which knows no socket and no time.
///
/// `confined`: whoever calls it first owns it. OpenSSL wipes its keys with it.
@safe final class RelayCipher: StreamCipher {
  /// Keeps what the SSL refers to.
  private let context: RelayTLSContext
  private let ssl: OpaquePointer
  /// Owned by the SSL.
  private let inbound: OpaquePointer
  private let outbound: OpaquePointer
  private(set) var isSecured = false
  private(set) var failure: String?
  private var stamp = OwnerStamp("the TLS of a relay")

  /// - Parameter name: what the server's certificate has to be for: a name, or an address.
  init(_ context: RelayTLSContext, name: String) throws(ModuleError) {
    ERR_clear_error()
    self.context = context
    guard let ssl = unsafe SSL_new(context.handle) else {
      throw ModuleError(.exhausted, "OpenSSL has no room for TLS")
    }
    unsafe self.ssl = ssl
    let (first, second) = unsafe (BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()))
    guard let inbound = unsafe first, let outbound = unsafe second else {
      unsafe BIO_free(first)
      unsafe BIO_free(second)
      unsafe SSL_free(ssl)
      throw ModuleError(.exhausted, "OpenSSL has no room for TLS")
    }
    unsafe (self.inbound, self.outbound) = (inbound, outbound)
    unsafe SSL_set_bio(ssl, inbound, outbound)
    unsafe SSL_set_connect_state(ssl)
    let isNamed: Bool
    if SocketAddress(host: name, port: 0) != nil {
      isNamed = unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
    } else {
      unsafe SSL_set_hostflags(
        ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT))
      // The name is for servers of many (RFC 6066 §3), too.
      var sent = Array(name.utf8CString)
      isNamed =
        unsafe SSL_set1_host(ssl, name) == 1
        && SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, Int(TLSEXT_NAMETYPE_host_name), &sent) == 1
    }
    guard isNamed else { throw ModuleError(.configuration, "\(name) is no name that a certificate can have") }
  }

  deinit {
    self.stamp.touch()
    unsafe SSL_free(self.ssl)
  }

  func start() { self.handshake() }

  func feed(_ bytes: RawSpan) {
    self.stamp.touch()
    guard self.failure == nil else { return }
    let count = Int32(bytes.byteCount)
    let taken = unsafe bytes.withUnsafeBytes { unsafe BIO_write(self.inbound, $0.baseAddress, count) }
    if taken != count { self.failure = "says more than there is room for" }
    if taken == count, !self.isSecured { self.handshake() }
  }

  func read(into room: inout [UInt8], at offset: Int) -> Int {
    guard self.isSecured, self.failure == nil else { return 0 }
    self.stamp.touch()
    ERR_clear_error()
    let count = unsafe room.withUnsafeMutableBytes { bytes in
      unsafe SSL_read(self.ssl, bytes.baseAddress?.advanced(by: offset), Int32(bytes.count - offset))
    }
    if count > 0 { return Int(count) }
    switch unsafe SSL_get_error(self.ssl, count) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
    case SSL_ERROR_ZERO_RETURN: self.failure = "has closed the connection"
    default: self.failure = "breaks TLS: \(Self.reason)"
    }
    return 0
  }

  func write(_ bytes: RawSpan) -> Bool {
    guard self.isSecured, self.failure == nil, bytes.byteCount > 0 else { return false }
    self.stamp.touch()
    ERR_clear_error()
    let count = Int32(bytes.byteCount)
    return unsafe bytes.withUnsafeBytes { unsafe SSL_write(self.ssl, $0.baseAddress, count) } == count
  }

  func drain(into room: inout [UInt8]) -> Int {
    self.stamp.touch()
    let count = unsafe room.withUnsafeMutableBytes { bytes in
      unsafe BIO_read(self.outbound, bytes.baseAddress, Int32(bytes.count))
    }
    return max(0, Int(count))
  }

  func close() {
    guard self.isSecured, self.failure == nil else { return }
    self.stamp.touch()
    ERR_clear_error()
    unsafe SSL_shutdown(self.ssl)
  }

  private func handshake() {
    self.stamp.touch()
    ERR_clear_error()
    let result = unsafe SSL_do_handshake(self.ssl)
    guard result != 1 else { return self.complete() }
    switch unsafe SSL_get_error(self.ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
    default:
      let verdict = unsafe SSL_get_verify_result(self.ssl)
      let isDistrusted = self.context.isVerifying && verdict != X509_V_OK
      self.failure = isDistrusted ? Self.sentence(verdict) : "refuses TLS: \(Self.reason)"
    }
  }

  /// The certificate is looked at again, though the handshake fails without it.
  private func complete() {
    let verdict = unsafe SSL_get_verify_result(self.ssl)
    let isShown = unsafe SSL_get0_peer_certificate(self.ssl) != nil
    self.isSecured = !self.context.isVerifying || isShown && verdict == X509_V_OK
    if !self.isSecured { self.failure = Self.sentence(verdict) }
  }

  private static func sentence(_ verdict: Int) -> String {
    switch Int32(verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: "has a certificate for another name"
    case X509_V_ERR_CERT_HAS_EXPIRED: "has a certificate that has expired"
    default:
      "has a certificate of no authority that is trusted here (\(unsafe String(cString: X509_verify_cert_error_string(verdict)))): "
        + "name its authority in sip_cafile"
    }
  }

  /// Takes everything off this thread's error stack.
  private static var reason: String {
    var reasons: [String] = []
    while case let code = ERR_get_error(), code != 0 {
      guard let text = unsafe ERR_reason_error_string(code) else { continue }
      unsafe reasons.append(String(cString: text))
    }
    return reasons.isEmpty ? "no reason is given" : reasons.joined(separator: ", ")
  }
}
