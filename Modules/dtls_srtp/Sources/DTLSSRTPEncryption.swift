package import ModuleKit

/// `mediaenc=dtls_srtp`: nothing in the clear, keys per call, the certificate's fingerprint in SDP.
package struct DTLSSRTPEncryption: MediaEncryption {
  private let certificate: Certificate

  package init(certificate: Certificate) { self.certificate = certificate }

  package var id: String { "dtls_srtp" }
  package var offeredProtocol: String { "UDP/TLS/RTP/SAVPF" }
  package var acceptedProtocols: [String] { ["UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP"] }
  package var isMandatory: Bool { true }

  package func makeSession() throws(ModuleError) -> any MediaEncryptionSession {
    DTLSSRTPSession(certificate: self.certificate, acceptedProtocols: self.acceptedProtocols)
  }
}
