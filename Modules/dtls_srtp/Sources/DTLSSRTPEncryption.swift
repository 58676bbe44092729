package import ModuleKit
package import SRTPEngine

/// `mediaenc=dtls_srtp`: nothing in the clear, keys per call, the certificate's fingerprint in SDP.
package struct DTLSSRTPEncryption: MediaEncryption {
  private let certificate: Certificate
  private let profiles: [SRTPProfile]
  private let keepsPorts: Bool

  /// - Parameters:
  ///   - profiles: those that `certificate` was made with.
  ///   - keepsPorts: whether a new association may run on the ports in use, with a peer that knows how.
  package init(
    certificate: Certificate, profiles: [SRTPProfile] = SRTPProfile.preferredForDTLS, keepsPorts: Bool = true
  ) {
    self.certificate = certificate
    self.profiles = profiles
    self.keepsPorts = keepsPorts
  }

  package var id: String { "dtls_srtp" }
  package var offeredProtocol: String { "UDP/TLS/RTP/SAVPF" }
  package var acceptedProtocols: [String] { ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"] }
  package var isMandatory: Bool { true }

  package func makeSession() throws(ModuleError) -> any MediaEncryptionSession {
    try DTLSSRTPSession(
      certificate: self.certificate, profiles: self.profiles, acceptedProtocols: self.acceptedProtocols,
      keepsPorts: self.keepsPorts)
  }
}
