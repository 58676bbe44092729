internal import ModuleKit
internal import NetBase

/// The negotiation of one media section (RFC 5763 §5, RFC 8842 §5): fingerprints and roles. Lives on main.
final class DTLSSRTPSession: MediaEncryptionSession {
  /// The association that the descriptions agreed on.
  private struct Agreement {
    let fingerprints: Set<Fingerprint>
    /// Whether this side is the client.
    let isActive: Bool
    /// As in the peer's last description; appearing or changing asks for a new association.
    let associationID: String?
  }

  private let certificate: Certificate
  private let acceptedProtocols: [String]
  private var agreement: Agreement?
  private var hasExchange = false
  private var commands = Queue<KeyingCommand>()

  init(certificate: Certificate, acceptedProtocols: [String]) {
    self.certificate = certificate
    self.acceptedProtocols = acceptedProtocols
  }

  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] {
    // Before the answer: its sender's ClientHello may be here first.
    self.makeExchange()
    return self.attributes(.actpass)
  }

  func requestRekey() -> Bool { false }

  func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] {
    let remote = try self.identity(offer)
    // RFC 4145 §4: active is the default of an offer.
    let isActive: Bool
    switch remote.setup ?? .active {
    case .actpass: isActive = self.agreement?.isActive ?? true
    case .passive: isActive = true
    case .active: isActive = false
    case .holdconn: throw ModuleError(.peer, "the peer offers a=setup:holdconn, which is not for DTLS (RFC 8842 §5.1)")
    }
    try self.agree(remote, isActive: isActive, offer)
    return self.attributes(isActive ? .active : .passive)
  }

  func receive(answer: RemoteSecurity) throws(ModuleError) {
    let remote = try self.identity(answer)
    let isActive: Bool
    switch remote.setup ?? .passive {
    case .passive: isActive = true
    case .active: isActive = false
    case .actpass, .holdconn:
      throw ModuleError(.peer, "the peer's answer has neither a=setup:active nor a=setup:passive (RFC 5763 §5)")
    }
    try self.agree(remote, isActive: isActive, answer)
  }

  /// An offer changes nothing before its answer.
  func rollback() {}

  func answerConfirmed() {}

  func nextCommand() -> KeyingCommand? { self.commands.removeFirst() }

  private func identity(_ description: RemoteSecurity) throws(ModuleError) -> RemoteIdentity {
    guard self.acceptedProtocols.contains(description.protocolToken) else {
      throw ModuleError(.peer, "the peer's media line is \(description.protocolToken): dtls_srtp is mandatory here")
    }
    return try RemoteIdentity(description)
  }

  private func agree(_ remote: RemoteIdentity, isActive: Bool, _ description: RemoteSecurity) throws(ModuleError) {
    if let current = self.agreement {
      // Without tls-id, the same fingerprints and roles mean the same association (RFC 8842 §3.1, §5).
      guard current.fingerprints == remote.fingerprints, current.isActive == isActive,
        current.associationID == remote.associationID
      else {
        throw ModuleError(
          .peer, "the peer's new description asks for another DTLS association, and that needs a new transport")
      }
      return
    }
    self.makeExchange()
    self.agreement = Agreement(
      fingerprints: remote.fingerprints, isActive: isActive, associationID: remote.associationID)
    self.commands.append(
      .startKeyExchange(
        KeyExchangeRemote(
          isActive: isActive, fingerprints: remote.values, rtpAddress: description.rtpAddress,
          rtcpAddress: description.rtcpAddress)))
  }

  private func makeExchange() {
    guard !self.hasExchange else { return }
    self.hasExchange = true
    let certificate = self.certificate
    self.commands.append(.makeKeyExchange { () throws(ModuleError) in DTLSKeyExchange(certificate: certificate) })
  }

  private func attributes(_ setup: SetupRole) -> [DescriptionAttribute] {
    [
      DescriptionAttribute("fingerprint", self.certificate.fingerprint.description),
      DescriptionAttribute("setup", setup.rawValue),
    ]
  }
}
