internal import COpenSSL
internal import Glibc
package import SRTPEngine

/// A self-signed ECDSA P-256 certificate with the SSL context that all associations under it share.
///
/// One per user agent. Nothing in it changes after `init`, so any thread may make an association from it.
@safe package final class Certificate: @unchecked Sendable {  // the C objects are never written after init
  /// The DTLS context: version, ciphers, profiles, certificate.
  let context: OpaquePointer
  let method: MemoryBIOMethod
  /// SHA-256 of the DER form (RFC 8122 §5).
  package let fingerprint: Fingerprint

  /// Makes a key and signs a certificate with it, valid for a year.
  ///
  /// - Parameter profiles: those of use_srtp, in the order of preference.
  package init(profiles: [SRTPProfile] = SRTPProfile.preferredForDTLS) throws(LibraryError) {
    LibraryError.clear()
    self.method = try MemoryBIOMethod()
    let key = try unsafe Self.makeKey()
    defer { unsafe EVP_PKEY_free(key) }
    let certificate = try unsafe Self.makeCertificate(signedWith: key)
    defer { unsafe X509_free(certificate) }
    guard let digest = unsafe HashFunction.sha256.digest(of: certificate) else { throw .drained("no fingerprint") }
    self.fingerprint = Fingerprint(function: .sha256, digest: digest)
    guard let context = unsafe SSL_CTX_new(DTLS_method()) else { throw .drained("no DTLS context") }
    do throws(LibraryError) {
      try unsafe Self.configure(context, key, certificate, profiles)
    } catch {
      unsafe SSL_CTX_free(context)
      throw error
    }
    unsafe self.context = context
  }

  deinit { unsafe SSL_CTX_free(self.context) }

  private static func makeKey() throws(LibraryError) -> OpaquePointer {
    guard let maker = unsafe EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nil) else { throw .drained("no key generator") }
    defer { unsafe EVP_PKEY_CTX_free(maker) }
    var key: OpaquePointer?
    guard unsafe EVP_PKEY_keygen_init(maker) == 1,
      unsafe EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1) == 1,
      unsafe EVP_PKEY_keygen(maker, &key) == 1, let made = unsafe key
    else { throw .drained("no P-256 key") }
    return unsafe made
  }

  private static func makeCertificate(signedWith key: OpaquePointer) throws(LibraryError) -> OpaquePointer {
    guard let certificate = unsafe X509_new() else { throw .drained("no certificate") }
    var serial: UInt64 = 0
    let name = unsafe X509_get_subject_name(certificate)
    let day = 24 * 60 * 60
    guard unsafe RAND_bytes(&serial, 8) == 1,
      unsafe X509_set_version(certificate, 2) == 1,
      unsafe ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial >> 1 | 1) == 1,
      // A day back: clocks of peers that do look at the dates are not all right.
      unsafe X509_gmtime_adj(X509_getm_notBefore(certificate), -day) != nil,
      unsafe X509_gmtime_adj(X509_getm_notAfter(certificate), 365 * day) != nil,
      unsafe X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, "dtls@apus", -1, -1, 0) == 1,
      unsafe X509_set_issuer_name(certificate, name) == 1,
      unsafe X509_set_pubkey(certificate, key) == 1,
      unsafe X509_sign(certificate, key, EVP_sha256()) > 0
    else {
      unsafe X509_free(certificate)
      throw .drained("the certificate could not be signed")
    }
    return unsafe certificate
  }

  private static func configure(
    _ context: OpaquePointer, _ key: OpaquePointer, _ certificate: OpaquePointer, _ profiles: [SRTPProfile]
  ) throws(LibraryError) {
    let names = profiles.compactMap(\.dtlsName).joined(separator: ":")
    guard
      unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, Int(DTLS1_2_VERSION), nil) == 1,
      unsafe SSL_CTX_set_cipher_list(context, ciphers) == 1,
      unsafe SSL_CTX_use_certificate(context, certificate) == 1,
      unsafe SSL_CTX_use_PrivateKey(context, key) == 1,
      unsafe SSL_CTX_check_private_key(context) == 1,
      // This one returns 0 for success.
      unsafe SSL_CTX_set_tlsext_use_srtp(context, names) == 0
    else { throw .drained("the DTLS context could not be set up") }
    // No tickets and no cache: without resumption the server always has the last flight, and always sees a certificate.
    unsafe SSL_CTX_set_options(context, Option.noQueryMTU | Option.noTicket | Option.noRenegotiation)
    unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, Int(SSL_SESS_CACHE_OFF), nil)
    unsafe SSL_CTX_ctrl(context, SSL_CTRL_SET_MAX_CERT_LIST, 16 * 1024, nil)
    unsafe SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nil)
    unsafe Association.setCallbacks(of: context)
  }

  /// AEAD first, CBC for older peers; RSA for servers with an RSA certificate, since ours is ECDSA.
  private static let ciphers = [
    "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA", "ECDHE-RSA-AES256-SHA",
  ].joined(separator: ":")

  /// SSL_OP_…, which are macros that Swift can't see.
  enum Option {
    static let noQueryMTU: UInt64 = 1 << 12
    static let cookieExchange: UInt64 = 1 << 13
    static let noTicket: UInt64 = 1 << 14
    static let noRenegotiation: UInt64 = 1 << 30
  }
}
