internal import COpenSSL
public import ModuleKit
internal import SRTPEngine

/// Media encryption with keys from a DTLS handshake in the media path (RFC 5763, RFC 5764): `mediaenc=dtls_srtp`.
public struct DTLSSRTP: Module {
  /// As in the config file.
  public static let name = "dtls_srtp"
  /// One line for `apus modules`.
  public static let summary = "DTLS-SRTP media encryption (RFC 5764)"
  public static var libraryVersion: String? { unsafe String(cString: OpenSSL_version(0)) }
  /// The certificate's curve, the protection profiles, and the ports of new associations.
  public static let configKeys = [
    ConfigKey(
      "dtls_srtp_use_ec", .choice(["prime256v1"]), default: "prime256v1", help: "Curve of the certificate's key"),
    ConfigKey(
      "dtls_srtp_profiles", .string, default: SRTPProfile.preferredForDTLS.map(\.shortDTLSName).joined(separator: ","),
      help: "SRTP protection profiles, the preferred one first"),
    ConfigKey(
      "dtls_srtp_rekey_ports", .choice(["same", "new"]), default: "same",
      help: "Ports of a new association with a peer that can tell its records from the old one's"),
  ]

  private let encryption: DTLSSRTPEncryption

  /// - Throws: when `dtls_srtp_profiles` names a profile that is not ours, or OpenSSL can make no certificate.
  public init(settings: ModuleSettings) throws(ModuleError) {
    let list = settings.string("dtls_srtp_profiles")
    guard let profiles = SRTPProfile.parseDTLSNames(list) else {
      let known = SRTPProfile.preferredForDTLS.map(\.shortDTLSName).joined(separator: ", ")
      throw ModuleError(
        .configuration, "module dtls_srtp: dtls_srtp_profiles \"\(list)\" has a name other than \(known)")
    }
    do throws(LibraryError) {
      self.encryption = DTLSSRTPEncryption(
        certificate: try Certificate(profiles: profiles), profiles: profiles,
        keepsPorts: settings.string("dtls_srtp_rekey_ports") == "same")
    } catch {
      throw ModuleError(.unavailable, "module dtls_srtp: \(error)")
    }
  }

  /// `dtls_srtp`.
  public var facets: [Facet] { [Facet(.encryption(self.encryption))] }
}
