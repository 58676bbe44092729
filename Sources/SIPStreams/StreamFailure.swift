internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL

/// Why a connection ended, in words for the user.
package struct StreamFailure: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// What `error` means, and what to change where something of ours can be.
  package static func sentence(_ error: any Error) -> String {
    switch error {
    case let failure as StreamFailure: failure.description
    case let failure as IOError: words(failure.errnoCode)
    case let failure as NIOConnectionError:
      failure.connectionErrors.last.map { sentence($0.error) } ?? "the connection failed"
    case let failure as ChannelError: sentence(failure)
    case let failure as NIOSSLError: sentence(failure)
    case let failure as NIOSSLExtraError: sentence(failure)
    case let failure as BoringSSLError: tls("\(failure)")
    default: "\(error)"
    }
  }

  private static func words(_ code: CInt) -> String { unsafe String(cString: strerror(code)).lowercased() }

  private static func sentence(_ error: ChannelError) -> String {
    if case .connectTimeout = error { return "the connection timed out" }
    return "the connection is closed"
  }

  private static func sentence(_ error: NIOSSLError) -> String {
    switch error {
    case .handshakeFailed(let cause): tls("\(cause)")
    case .uncleanShutdown: "the peer closed the connection"
    case .unableToValidateCertificate, .noCertificateToValidate:
      "the peer's certificate can't be verified: name its authority in sip_cafile"
    default: "TLS failed: \(error)"
    }
  }

  private static func sentence(_ error: NIOSSLExtraError) -> String {
    if error == .failedToValidateHostname || error == .serverHostnameImpossibleToMatch {
      return "the peer's certificate is for another name: call the peer by the name in it"
    }
    return "TLS failed: \(error)"
  }

  private static func tls(_ text: String) -> String {
    let known: [(word: String, sentence: String)] = [
      (
        "CERTIFICATE_VERIFY_FAILED",
        "the peer's certificate is of no authority that is trusted here: name its authority in sip_cafile"
      ),
      (
        "ALERT_CERTIFICATE_REQUIRED",
        "the peer wants a certificate of ours: name one in sip_certificate, or in the account's cert"
      ),
      ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "the peer has no certificate, and sip_verify_client asks for one"),
      ("ALERT_UNKNOWN_CA", "the peer does not trust the authority of our certificate (sip_certificate)"),
      ("ALERT_BAD_CERTIFICATE", "the peer refused our certificate (sip_certificate)"),
      ("ALERT_PROTOCOL_VERSION", "the peer speaks no TLS version that is safe: 1.2 is the oldest"),
      ("UNSUPPORTED_PROTOCOL", "the peer speaks no TLS version that is safe: 1.2 is the oldest"),
      ("ALERT_HANDSHAKE_FAILURE", "the peer found nothing in common with us: it may want a certificate of ours"),
      ("WRONG_VERSION_NUMBER", "the peer does not speak TLS at this port"),
      ("HTTP_REQUEST", "the peer does not speak TLS at this port"),
    ]
    return known.first { text.contains($0.word) }?.sentence ?? "the TLS handshake failed: \(text)"
  }
}
