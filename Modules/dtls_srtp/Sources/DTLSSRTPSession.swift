internal import ModuleKit
internal import NetBase
internal import SRTPEngine

/// The negotiation of one media section (RFC 5763 §5, RFC 8842 §5): fingerprints, roles and associations. Lives on main.
///
/// A new association (new keys) comes with a new path, unless both ends can tell its records from the old one's by a
/// mark; until its handshake is done the old one stays at work, and an offer that was refused leaves no trace.
final class DTLSSRTPSession: MediaEncryptionSession {
  /// What our description says of our end.
  private struct Local {
    let certificate: Certificate
    /// `tls-id` (RFC 8842 §4).
    let associationID: String
    /// The offerer chooses it, for both ends.
    var mark = AssociationMark.none
  }

  /// The association that the descriptions agreed on.
  private struct Agreement {
    let fingerprints: Set<Fingerprint>
    /// Whether this side is the client.
    let isActive: Bool
    /// As in the peer's last description; appearing or changing asks for a new association.
    let associationID: String?

    func isSame(as remote: RemoteIdentity, isActive: Bool) -> Bool {
      // Without tls-id, the same fingerprints and roles mean the same association (RFC 8842 §3.1, §5).
      self.fingerprints == remote.fingerprints && self.isActive == isActive
        && self.associationID == remote.associationID
    }
  }

  private let acceptedProtocols: [String]
  private let profiles: [SRTPProfile]
  /// Whether a new association may run on the ports in use.
  private let keepsPorts: Bool
  private var local: Local
  private var agreement: Agreement?
  /// Our end of the association that our offer asks for.
  private var offered: Local?
  /// What was in force before an answer that does not stand yet: ours, which the peer does not have, or the peer's.
  private var before: (local: Local, agreement: Agreement)?
  private var hasExchange = false
  /// Whether the agreement is of an answer to the offer that was made last: another fork's may take its place.
  private var isOfLastOffer = false
  private var wantsAssociation = false
  /// Whether the peer's last description says that it knows marks.
  private var peerKnowsMarks = false
  /// Where it receives, by that.
  private var peerAddresses: [SocketAddress?] = []
  /// What its connectivity checks go by (`ice-ufrag`); nil without any.
  private var peerChecks: String?
  /// Whether a handshake with a mark failed: something between us may not let such records through.
  private var distrustsMarks = false
  private var path: AssociationPath?
  private var commands = Queue<KeyingCommand>()

  init(
    certificate: Certificate, profiles: [SRTPProfile], acceptedProtocols: [String], keepsPorts: Bool
  ) throws(ModuleError) {
    self.acceptedProtocols = acceptedProtocols
    self.profiles = profiles
    self.keepsPorts = keepsPorts
    self.local = Local(certificate: certificate, associationID: try Self.makeAssociationID())
  }

  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] {
    self.isOfLastOffer = false
    if self.wantsAssociation, let agreement {
      // A peer that knows no tls-id tells a new association by a new fingerprint.
      let certificate = agreement.associationID == nil ? try self.makeCertificate() : self.local.certificate
      let mark = self.peerKnowsMarks && !self.distrustsMarks ? try Self.makeMark() : .none
      let local = Local(certificate: certificate, associationID: try Self.makeAssociationID(), mark: mark)
      self.wantsAssociation = false
      self.offered = local
      self.begin(local, on: mark == .none ? .another : .inUse)
    }
    // Before the answer: its sender's ClientHello may be here first.
    self.makeExchange()
    return self.attributes(self.offered ?? self.local, .actpass, showsID: true)
  }

  func requestRekey() -> Bool {
    guard self.agreement != nil, self.offered == nil else { return false }
    self.wantsAssociation = true
    return true
  }

  func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] {
    let remote = try self.identity(offer)
    self.isOfLastOffer = false
    // RFC 4145 §4: active is the default of an offer.
    let isActive: Bool
    switch remote.setup ?? .active {
    case .actpass: isActive = self.agreement?.isActive ?? true
    case .passive: isActive = true
    case .active: isActive = false
    case .holdconn: throw ModuleError(.peer, "the peer offers a=setup:holdconn, which is not for DTLS (RFC 8842 §5.1)")
    }
    let hasMoved = self.note(remote, offer)
    if let agreement, !agreement.isSame(as: remote, isActive: isActive) {
      let mark = self.peerKnowsMarks && remote.mark != self.local.mark ? remote.mark ?? .none : .none
      let local = Local(
        certificate: self.local.certificate, associationID: try Self.makeAssociationID(), mark: mark)
      self.before = (self.local, agreement)
      // Where the peer has other ports, so have we: it takes what comes to them for the new association's.
      self.begin(local, on: mark == .none || hasMoved ? .another : .inUse)
      self.local = local
      self.agree(remote, isActive: isActive, offer)
    } else if self.agreement == nil {
      self.makeExchange()
      self.agree(remote, isActive: isActive, offer)
    }
    return self.attributes(self.local, isActive ? .active : .passive, showsID: remote.associationID != nil)
  }

  func receive(answer: RemoteSecurity) throws(ModuleError) {
    let remote = try self.identity(answer)
    _ = self.note(remote, answer)
    let isActive: Bool
    switch remote.setup ?? .passive {
    case .passive: isActive = true
    case .active: isActive = false
    case .actpass, .holdconn:
      throw ModuleError(.peer, "the peer's answer has neither a=setup:active nor a=setup:passive (RFC 5763 §5)")
    }
    if let offered = self.offered {
      if let old = self.agreement?.associationID, old == remote.associationID ?? old {
        throw ModuleError(
          .peer, "the peer answers an offer of a new DTLS association with the a=tls-id of the old one, or with none")
      }
      guard offered.mark == .none || remote.mark == offered.mark else {
        throw ModuleError(
          .peer, "the peer answers an offer of a new DTLS association on the same ports without its mark")
      }
      self.before = self.agreement.map { (self.local, $0) }
      self.offered = nil
      self.local = offered
      self.agree(remote, isActive: isActive, answer)
    } else if let agreement = self.agreement {
      if agreement.isSame(as: remote, isActive: isActive) { return }
      guard self.isOfLastOffer else {
        throw ModuleError(.peer, "the peer's answer names another DTLS association, and only an offer may ask for one")
      }
      // Another end answers what an announcement, or a fork, has answered before.
      self.hasExchange = false
      self.makeExchange()
      self.agree(remote, isActive: isActive, answer)
    } else {
      self.makeExchange()
      self.agree(remote, isActive: isActive, answer)
      self.isOfLastOffer = true
    }
  }

  func rollback() {
    self.wantsAssociation = false
    self.path = nil
    self.commands.removeAll()
    if self.offered != nil || self.before != nil { self.commands.append(.withdrawKeyExchange) }
    self.offered = nil
    if let before = self.before.take() {
      self.local = before.local
      self.agreement = before.agreement
    }
  }

  func answerConfirmed() { self.before = nil }

  func answerStands() { self.before = nil }

  var isBoundToAddress: Bool { true }

  func takeAssociationPath() -> AssociationPath? { self.path.take() }

  func associationFailed() {
    if self.local.mark != .none { self.distrustsMarks = true }
    _ = self.requestRekey()
  }

  func nextCommand() -> KeyingCommand? { self.commands.removeFirst() }

  private func identity(_ description: RemoteSecurity) throws(ModuleError) -> RemoteIdentity {
    guard self.acceptedProtocols.contains(description.protocolToken) else {
      throw ModuleError(.peer, "the peer's media line is \(description.protocolToken): dtls_srtp is mandatory here")
    }
    return try RemoteIdentity(description)
  }

  /// What any description of the peer's tells; true where it receives elsewhere than it did.
  private func note(_ remote: RemoteIdentity, _ description: RemoteSecurity) -> Bool {
    self.peerKnowsMarks = self.keepsPorts && remote.mark != nil
    let addresses = [description.rtpAddress, description.rtcpAddress]
    let checks = description.values(of: "ice-ufrag").first
    defer { (self.peerAddresses, self.peerChecks) = (addresses, checks) }
    // With the checks that it had it has their sockets, whichever of them it names now.
    return addresses != self.peerAddresses && (checks == nil || checks != self.peerChecks)
  }

  private func agree(_ remote: RemoteIdentity, isActive: Bool, _ description: RemoteSecurity) {
    self.agreement = Agreement(
      fingerprints: remote.fingerprints, isActive: isActive, associationID: remote.associationID)
    self.commands.append(
      .startKeyExchange(
        KeyExchangeRemote(
          isActive: isActive, fingerprints: remote.values, rtpAddress: description.rtpAddress,
          rtcpAddress: description.rtcpAddress)))
  }

  /// The next association's exchange.
  private func begin(_ local: Local, on path: AssociationPath) {
    self.path = path
    self.hasExchange = false
    self.makeExchange(local)
  }

  private func makeExchange(_ local: Local? = nil) {
    guard !self.hasExchange else { return }
    self.hasExchange = true
    let (certificate, mark) = ((local ?? self.local).certificate, (local ?? self.local).mark)
    self.commands.append(
      .makeKeyExchange { () throws(ModuleError) in DTLSKeyExchange(certificate: certificate, mark: mark) })
  }

  private func makeCertificate() throws(ModuleError) -> Certificate {
    do throws(LibraryError) {
      return try Certificate(profiles: self.profiles)
    } catch { throw ModuleError(.unavailable, "module dtls_srtp: \(error)") }
  }

  private static func makeMark() throws(ModuleError) -> AssociationMark {
    do throws(LibraryError) {
      return try .makeRandom()
    } catch { throw ModuleError(.unavailable, "module dtls_srtp: \(error)") }
  }

  /// 128 random bits.
  private static func makeAssociationID() throws(ModuleError) -> String {
    do throws(LibraryError) {
      return try Association.makeCookie().map { byte in
        let digits = String(byte, radix: 16)
        return digits.utf8.count < 2 ? "0\(digits)" : digits
      }.joined()
    } catch { throw ModuleError(.unavailable, "module dtls_srtp: \(error)") }
  }

  private func attributes(_ local: Local, _ setup: SetupRole, showsID: Bool) -> [DescriptionAttribute] {
    // A peer that was silent about marks in its last description is not told of them.
    let showsMark = self.keepsPorts && (self.peerKnowsMarks || self.agreement == nil && setup == .actpass)
    return [
      DescriptionAttribute("fingerprint", local.certificate.fingerprint.description),
      DescriptionAttribute("setup", setup.rawValue),
    ] + (showsID ? [DescriptionAttribute("tls-id", local.associationID)] : [])
      + (showsMark ? [DescriptionAttribute(AssociationMark.attribute, local.mark.description)] : [])
  }
}
