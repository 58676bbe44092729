package import ModuleKit
package import SRTPEngine

/// Keys in the description (RFC 4568): `mediaenc=srtp`, `srtp-mand` or `srtp-mandf`.
package struct SDESEncryption: MediaEncryption {
  /// How much is insisted on, and under which protocol it is offered.
  package enum Mode: String, CaseIterable, Sendable {
    /// Encrypted where the peer can, in the clear where it can't.
    case optional = "srtp"
    case mandatory = "srtp-mand"
    /// With RTCP feedback's profile (RFC 5124).
    case mandatoryFeedback = "srtp-mandf"
  }

  package let mode: Mode
  private let suites: [SRTPProfile]

  /// - Parameter suites: the preferred one first; not empty.
  package init(_ mode: Mode, suites: [SRTPProfile]) {
    self.mode = mode
    self.suites = suites
  }

  package var id: String { self.mode.rawValue }

  package var offeredProtocol: String {
    switch self.mode {
    case .optional: "RTP/AVP"
    case .mandatory: "RTP/SAVP"
    case .mandatoryFeedback: "RTP/SAVPF"
    }
  }

  /// RTP/AVP with a crypto line is an offer of encryption too; without one the mandatory modes refuse it.
  package var acceptedProtocols: [String] { ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"] }

  package var isMandatory: Bool {
    switch self.mode {
    case .optional: false
    case .mandatory, .mandatoryFeedback: true
    }
  }

  package func makeSession() throws(ModuleError) -> any MediaEncryptionSession {
    SDESSession(isMandatory: self.isMandatory, suites: self.suites, acceptedProtocols: self.acceptedProtocols)
  }
}
