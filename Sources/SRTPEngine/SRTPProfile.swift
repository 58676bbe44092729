/// A protection profile: the cipher, the authentication and their lengths; the raw value is the SDES suite's name.
///
/// RFC 4568 §6.2 (AES-CM), RFC 6188 §7 (AES-256-CM), RFC 7714 §12 and §14 (AEAD).
package enum SRTPProfile: String, CaseIterable, Sendable {
  case aesCM128HMACSHA1Tag80 = "AES_CM_128_HMAC_SHA1_80"
  case aesCM128HMACSHA1Tag32 = "AES_CM_128_HMAC_SHA1_32"
  case aes256CMHMACSHA1Tag80 = "AES_256_CM_HMAC_SHA1_80"
  case aeadAES128GCM = "AEAD_AES_128_GCM"
  case aeadAES256GCM = "AEAD_AES_256_GCM"

  /// The profile that DTLS negotiated (RFC 5764 §4.1.2, RFC 7714 §14.2); nil for an identifier that is not ours.
  package init?(dtlsIdentifier: UInt16) {
    guard let profile = Self.allCases.first(where: { $0.dtlsIdentifier == dtlsIdentifier }) else { return nil }
    self = profile
  }

  /// The profile of OpenSSL's name, for example `SRTP_AEAD_AES_128_GCM`; nil for any other.
  package init?(dtlsName: some StringProtocol) {
    guard let profile = Self.allCases.first(where: { $0.dtlsName.map { $0 == dtlsName } ?? false }) else { return nil }
    self = profile
  }

  /// Whether one algorithm both encrypts and authenticates (RFC 7714); the MKI then comes last in the packet.
  package var isAEAD: Bool {
    switch self {
    case .aesCM128HMACSHA1Tag80, .aesCM128HMACSHA1Tag32, .aes256CMHMACSHA1Tag80: false
    case .aeadAES128GCM, .aeadAES256GCM: true
    }
  }

  /// Bytes of the master key.
  package var keyLength: Int {
    switch self {
    case .aesCM128HMACSHA1Tag80, .aesCM128HMACSHA1Tag32, .aeadAES128GCM: 16
    case .aes256CMHMACSHA1Tag80, .aeadAES256GCM: 32
    }
  }

  /// Bytes of the master salt.
  package var saltLength: Int { self.isAEAD ? 12 : 14 }

  /// Bytes of master key and master salt together, which is what `inline:` and the DTLS exporter carry.
  package var keyAndSaltLength: Int { self.keyLength + self.saltLength }

  /// Bytes of the authentication tag of an SRTP packet.
  package var rtpTagLength: Int {
    switch self {
    case .aesCM128HMACSHA1Tag80, .aes256CMHMACSHA1Tag80: 10
    case .aesCM128HMACSHA1Tag32: 4
    case .aeadAES128GCM, .aeadAES256GCM: 16
    }
  }

  /// Bytes of the authentication tag of an SRTCP packet: 80 bits also where RTP has 32 (RFC 4568 §6.2.2).
  package var rtcpTagLength: Int { self.isAEAD ? 16 : 10 }

  /// The identifier in the `use_srtp` extension; nil where DTLS has none (AES_256_CM).
  package var dtlsIdentifier: UInt16? {
    switch self {
    case .aesCM128HMACSHA1Tag80: 0x0001
    case .aesCM128HMACSHA1Tag32: 0x0002
    case .aes256CMHMACSHA1Tag80: nil
    case .aeadAES128GCM: 0x0007
    case .aeadAES256GCM: 0x0008
    }
  }

  /// The name that `SSL_CTX_set_tlsext_use_srtp` takes; nil where DTLS has none.
  package var dtlsName: String? {
    switch self {
    case .aesCM128HMACSHA1Tag80: "SRTP_AES128_CM_SHA1_80"
    case .aesCM128HMACSHA1Tag32: "SRTP_AES128_CM_SHA1_32"
    case .aes256CMHMACSHA1Tag80: nil
    case .aeadAES128GCM: "SRTP_AEAD_AES_128_GCM"
    case .aeadAES256GCM: "SRTP_AEAD_AES_256_GCM"
    }
  }
}
