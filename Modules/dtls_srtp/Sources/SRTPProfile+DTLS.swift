package import SRTPEngine

extension SRTPProfile {
  /// The profiles of use_srtp (RFC 5764 §4.1.2, RFC 7714 §14.2), in the order of preference when the configuration
  /// has none.
  package static let preferredForDTLS: [SRTPProfile] = [
    .aeadAES128GCM, .aesCM128HMACSHA1Tag80, .aeadAES256GCM, .aesCM128HMACSHA1Tag32,
  ]

  /// Parses a list with commas or colons, of names as in `dtls_srtp_profiles`, with or without `SRTP_` before each; nil
  /// when a name is unknown or there is none.
  package static func parseDTLSNames(_ list: String) -> [SRTPProfile]? {
    var profiles: [SRTPProfile] = []
    for word in list.split(whereSeparator: { $0 == "," || $0 == ":" || $0 == " " }) {
      guard let profile = SRTPProfile(dtlsName: word.hasPrefix("SRTP_") ? String(word) : "SRTP_" + word) else {
        return nil
      }
      if !profiles.contains(profile) { profiles.append(profile) }
    }
    return profiles.isEmpty ? nil : profiles
  }

  /// As in `dtls_srtp_profiles`: the name in IANA's registry without `SRTP_`.
  var shortDTLSName: String { self.dtlsName.map { String($0.dropFirst(5)) } ?? "" }
}
