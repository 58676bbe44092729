internal import COpenSSL
public import ModuleKit
internal import SRTPEngine

/// Media encryption with keys from a DTLS handshake in the media path (RFC 5763, RFC 5764): `mediaenc=dtls_srtp`.
public struct DTLSSRTP: Module {
  public static let name = "dtls_srtp"
  public static let summary = "DTLS-SRTP media encryption (RFC 5764)"
  public static var libraryVersion: String? { unsafe String(cString: OpenSSL_version(0)) }
  public static let configKeys = [
    ConfigKey(
      "dtls_srtp_use_ec", .choice(["prime256v1"]), default: "prime256v1", help: "Curve of the certificate's key"),
    ConfigKey(
      "dtls_srtp_profiles", .string, default: SRTPProfile.preferredForDTLS.map(\.shortDTLSName).joined(separator: ","),
      help: "SRTP protection profiles, the preferred one first"),
  ]

  private let encryption: DTLSSRTPEncryption

  public init(settings: ModuleSettings) throws(ModuleError) {
    let list = settings.string("dtls_srtp_profiles")
    guard let profiles = SRTPProfile.parseDTLSNames(list) else {
      let known = SRTPProfile.preferredForDTLS.map(\.shortDTLSName).joined(separator: ", ")
      throw ModuleError(
        .configuration, "module dtls_srtp: dtls_srtp_profiles \"\(list)\" has a name other than \(known)")
    }
    do throws(LibraryError) {
      self.encryption = DTLSSRTPEncryption(certificate: try Certificate(profiles: profiles))
    } catch {
      throw ModuleError(.unavailable, "module dtls_srtp: \(error)")
    }
  }

  public var facets: [Facet] { [Facet(.encryption(self.encryption))] }
}
