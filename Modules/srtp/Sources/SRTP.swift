public import ModuleKit
internal import SRTPEngine

/// Media encryption with keys in SDP (RFC 4568): `mediaenc=srtp`, `srtp-mand`, `srtp-mandf`.
public struct SRTP: Module {
  /// As in the config file.
  public static let name = "srtp"
  /// One line for `apus modules`.
  public static let summary = "SRTP media encryption with keys in SDP (RFC 4568)"
  public static var libraryVersion: String? { srtpLibraryVersion }
  /// The crypto suites of offers and answers.
  public static let configKeys = [
    ConfigKey(
      "srtp_suites", .string, default: defaultSuites.map(\.rawValue).joined(separator: ","),
      help: "Crypto suites, the preferred one first")
  ]

  private static let defaultSuites: [SRTPProfile] = [
    .aesCM128HMACSHA1Tag80, .aesCM128HMACSHA1Tag32, .aes256CMHMACSHA1Tag80, .aeadAES128GCM, .aeadAES256GCM,
  ]

  private let suites: [SRTPProfile]

  /// - Throws: when `srtp_suites` is empty or names a suite that is not ours.
  public init(settings: ModuleSettings) throws(ModuleError) {
    var suites: [SRTPProfile] = []
    for word in settings.string("srtp_suites").split(whereSeparator: { $0 == "," || $0 == " " }) {
      guard let suite = SRTPProfile(rawValue: String(word)) else {
        let known = Self.defaultSuites.map(\.rawValue).joined(separator: ", ")
        throw ModuleError(.configuration, "module srtp: srtp_suites has \"\(word)\", which is none of \(known)")
      }
      if !suites.contains(suite) { suites.append(suite) }
    }
    guard !suites.isEmpty else { throw ModuleError(.configuration, "module srtp: srtp_suites is empty") }
    self.suites = suites
  }

  /// `srtp`, `srtp-mand` and `srtp-mandf`.
  public var facets: [Facet] {
    SDESEncryption.Mode.allCases.map { Facet(.encryption(SDESEncryption($0, suites: self.suites))) }
  }
}
