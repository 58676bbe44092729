/// What encrypts and authenticates: chosen when a context is made, for that context's life.
package enum SRTPTransform: String, CaseIterable, Sendable {
  /// Our own, on OpenSSL's libcrypto.
  case openssl
  /// The reference implementation.
  case libsrtp2

  /// Where nothing else is asked for.
  package static let standard = SRTPTransform.openssl

  /// Makes it ready now, so that the first call need not wait: libsrtp2 takes some 25 ms.
  package func start() throws(SRTPError) {
    switch self {
    case .openssl: break
    case .libsrtp2: try SRTPLibrary.start()
    }
  }
}
