internal import ModuleKit
internal import NetBase
internal import SRTPEngine

/// The negotiation of one media section's keys (RFC 4568 §5, §7). Lives on main.
final class SDESSession: MediaEncryptionSession {
  private struct Keys {
    /// The peer's.
    let inbound: MasterKey
    /// Ours.
    let outbound: MasterKey
  }

  /// What the descriptions agreed on.
  private enum Agreement {
    case none
    case plain
    case encrypted(Keys)
  }

  /// An answer of ours that the peer may not have yet.
  private struct Unconfirmed {
    let before: Agreement
    let isRekey: Bool
  }

  private let isMandatory: Bool
  private let suites: [SRTPProfile]
  private let acceptedProtocols: [String]
  private var agreement = Agreement.none
  private var unconfirmed: Unconfirmed?
  /// What was agreed before an answer of the peer's that does not stand yet.
  private var unsettled: Agreement?
  /// The lines of our last offer, the preferred one first.
  private var lines: [CryptoAttribute] = []
  /// The lines before an offer that is not answered yet; nil when none is open.
  private var linesBefore: [CryptoAttribute]?
  private var wantsNewKeys = false
  private var commands = Queue<KeyingCommand>()

  init(isMandatory: Bool, suites: [SRTPProfile], acceptedProtocols: [String]) {
    self.isMandatory = isMandatory
    self.suites = suites
    self.acceptedProtocols = acceptedProtocols
  }

  // MARK: Our offer

  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] {
    self.settle()
    if self.linesBefore == nil || self.wantsNewKeys {
      let lines = try self.makeLines()
      if self.linesBefore == nil { self.linesBefore = self.lines }
      self.lines = lines
      self.wantsNewKeys = false
    }
    if case .encrypted = self.agreement { self.commands.append(.expectInbound(true)) }
    return self.lines.map { DescriptionAttribute("crypto", $0.serialized()) }
  }

  func requestRekey() -> Bool {
    guard case .encrypted = self.agreement else { return false }
    self.wantsNewKeys = true
    return true
  }

  func receive(answer: RemoteSecurity) throws(ModuleError) {
    try self.checkProtocol(answer)
    let values = answer.values(of: "crypto")
    let before = self.agreement
    guard !values.isEmpty else {
      try self.agreeOnPlain(answer)
      self.unsettled = before
      return
    }
    var refusals: [String] = []
    for value in values {
      let line: CryptoAttribute
      do throws(CryptoError) {
        line = try CryptoAttribute(value)
      } catch {
        refusals.append(error.description)
        continue
      }
      guard let offered = self.line(answeredBy: line) else {
        refusals.append("\(line.profile.rawValue) was not offered")
        continue
      }
      try self.agree(Keys(inbound: line.keys[0], outbound: offered.keys[0]), isAnswerer: false)
      self.unsettled = before
      self.commands.append(.expectInbound(false))
      return
    }
    throw ModuleError(.peer, "the peer's answer has no usable crypto line: \(refusals.joined(separator: "; "))")
  }

  /// The line with the answer's tag; some peers give a wrong tag, and a suite that was offered once is as clear.
  private func line(answeredBy answer: CryptoAttribute) -> CryptoAttribute? {
    self.lines.first { $0.tag == answer.tag && $0.profile == answer.profile }
      ?? self.lines.first { $0.profile == answer.profile }
  }

  /// One line per suite. The suite in force goes first, with its key, so that a re-offer changes nothing.
  private func makeLines() throws(ModuleError) -> [CryptoAttribute] {
    var lines: [CryptoAttribute] = []
    var inForce: MasterKey?
    if case .encrypted(let keys) = self.agreement { inForce = keys.outbound }
    for (index, suite) in self.suites.enumerated() {
      let known = suite == inForce?.profile ? inForce : self.lines.first { $0.profile == suite }?.keys[0]
      let key: MasterKey
      if let known, !self.wantsNewKeys { key = known } else { key = try .random(for: suite) }
      let line = CryptoAttribute(tag: index + 1, key: key)
      if suite == inForce?.profile { lines.insert(line, at: 0) } else { lines.append(line) }
    }
    return lines
  }

  // MARK: The peer's offer

  func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] {
    self.settle()
    try self.checkProtocol(offer)
    let values = offer.values(of: "crypto")
    guard !values.isEmpty else {
      let before = self.agreement
      try self.agreeOnPlain(offer)
      self.unconfirmed = Unconfirmed(before: before, isRekey: false)
      return []
    }
    var usable: [CryptoAttribute] = []
    var refusals: [String] = []
    for value in values {
      do throws(CryptoError) {
        let line = try CryptoAttribute(value)
        guard self.suites.contains(line.profile) else { throw .suiteNotConfigured(line.profile) }
        usable.append(line)
      } catch {
        refusals.append(error.description)
      }
    }
    guard let preferred = usable.first else {
      throw ModuleError(.peer, "the peer's offer has no usable crypto line: \(refusals.joined(separator: "; "))")
    }
    if case .encrypted(let keys) = self.agreement,
      let same = usable.first(where: { $0.keys[0].isSame(as: keys.inbound) })
    {
      self.unconfirmed = Unconfirmed(before: self.agreement, isRekey: false)
      return [DescriptionAttribute("crypto", CryptoAttribute(tag: same.tag, key: keys.outbound).serialized())]
    }
    let own = try MasterKey.random(for: preferred.profile)
    try self.agree(Keys(inbound: preferred.keys[0], outbound: own), isAnswerer: true)
    return [DescriptionAttribute("crypto", CryptoAttribute(tag: preferred.tag, key: own).serialized())]
  }

  // MARK: What became of it

  func rollback() {
    self.commands.removeAll()
    if let unconfirmed = self.unconfirmed.take() { self.agreement = unconfirmed.before }
    if let before = self.unsettled.take() { self.agreement = before }
    if let lines = self.linesBefore.take() {
      self.lines = lines
      self.commands.append(.expectInbound(false))
    }
    self.wantsNewKeys = false
  }

  func answerConfirmed() {
    guard let unconfirmed = self.unconfirmed.take(), unconfirmed.isRekey else { return }
    self.commands.append(.switchOutbound)
  }

  /// The transport switches when it hears the peer under its new key.
  func answerStands() {
    self.unconfirmed = nil
    self.settle()
  }

  /// The answer to our last offer stands.
  private func settle() { if self.unsettled.take() != nil { self.linesBefore = nil } }

  func nextCommand() -> KeyingCommand? { self.commands.removeFirst() }

  private func checkProtocol(_ description: RemoteSecurity) throws(ModuleError) {
    guard self.acceptedProtocols.contains(description.protocolToken) else {
      throw ModuleError(.peer, "the peer's media line is \(description.protocolToken), which has no keys in SDP")
    }
  }

  private func agreeOnPlain(_ description: RemoteSecurity) throws(ModuleError) {
    guard !self.isMandatory, description.protocolToken == "RTP/AVP" else {
      throw ModuleError(.peer, "the peer's description has no crypto line, and encryption is mandatory here")
    }
    switch self.agreement {
    case .none:
      self.agreement = .plain
      self.commands.append(.plain)
    case .plain: break
    case .encrypted:
      throw ModuleError(.peer, "the peer's new description has no crypto line, and the call is encrypted")
    }
  }

  private func agree(_ keys: Keys, isAnswerer: Bool) throws(ModuleError) {
    // The same key both ways would give both directions one key stream (RFC 3711 §9.1).
    guard !keys.inbound.sharesSecret(with: keys.outbound) else {
      throw ModuleError(.peer, "the peer answers with our own key")
    }
    let before = self.agreement
    var continuity = KeyContinuity.fresh
    var changes = (inbound: true, outbound: true)
    if case .encrypted(let old) = before {
      continuity = .carried
      changes = (!old.inbound.isSame(as: keys.inbound), !old.outbound.isSame(as: keys.outbound))
    }
    let isRekey = changes.outbound && continuity == .carried
    if changes.inbound { self.commands.append(.installInbound(keys.inbound.material.duplicate(), continuity)) }
    if changes.outbound {
      // An answerer's new key is of no use to a peer that does not have the answer yet.
      let switchNow = !(isAnswerer && isRekey)
      self.commands.append(.installOutbound(keys.outbound.material.duplicate(), continuity, switchNow: switchNow))
    }
    self.agreement = .encrypted(keys)
    if isAnswerer { self.unconfirmed = Unconfirmed(before: before, isRekey: isRekey) }
  }
}
