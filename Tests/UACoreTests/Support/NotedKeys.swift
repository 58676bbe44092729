import Handoff
import MemorySearch
import ModuleKit
import NetBase
import SRTPEngine
import dtls_srtp
import srtp

@testable import UACore

/// The inbound keys that modules of media encryption gave to transports, in order; each is the peer's outbound one.
enum NotedKeys {
  static let all = Locked<[SearchedSecret]>([])

  static func note(_ material: borrowing SRTPKeyMaterial) {
    let secret = SearchedSecret(material.keyAndSalt)
    self.all.withLock { $0.append(secret) }
  }

  /// Has the keys noted that an agent's calls get.
  static func note(of settings: inout AgentSettings) {
    settings.available.removeAll { $0 == SRTP.self || $0 == DTLSSRTP.self }
    settings.available += [NotingModule<SRTP>.self, NotingModule<DTLSSRTP>.self]
  }
}

/// A module of media encryption whose keys are noted.
struct NotingModule<Inner: Module>: Module {
  static var name: String { Inner.name }
  static var summary: String { Inner.summary }
  static var configKeys: [ConfigKey] { Inner.configKeys }
  private let inner: Inner

  init(settings: ModuleSettings) throws(ModuleError) { self.inner = try Inner(settings: settings) }

  var facets: [Facet] {
    self.inner.facets.map { facet in
      guard case .encryption(let encryption) = facet.body else { return facet }
      return Facet(.encryption(NotingEncryption(inner: encryption)))
    }
  }
}

private struct NotingEncryption: MediaEncryption {
  let inner: any MediaEncryption
  var id: String { self.inner.id }
  var offeredProtocol: String { self.inner.offeredProtocol }
  var acceptedProtocols: [String] { self.inner.acceptedProtocols }
  var isMandatory: Bool { self.inner.isMandatory }
  func makeSession() throws(ModuleError) -> any MediaEncryptionSession { NotingSession(try self.inner.makeSession()) }
}

private final class NotingSession: MediaEncryptionSession {
  private let inner: any MediaEncryptionSession

  init(_ inner: any MediaEncryptionSession) { self.inner = inner }

  func offerAttributes() throws(ModuleError) -> [DescriptionAttribute] { try self.inner.offerAttributes() }
  func requestRekey() -> Bool { self.inner.requestRekey() }
  func answer(to offer: RemoteSecurity) throws(ModuleError) -> [DescriptionAttribute] {
    try self.inner.answer(to: offer)
  }
  func receive(answer: RemoteSecurity) throws(ModuleError) { try self.inner.receive(answer: answer) }
  func rollback() { self.inner.rollback() }
  func answerConfirmed() { self.inner.answerConfirmed() }
  func answerStands() { self.inner.answerStands() }
  func takeAssociationPath() -> AssociationPath? { self.inner.takeAssociationPath() }
  func associationFailed() { self.inner.associationFailed() }
  var isBoundToAddress: Bool { self.inner.isBoundToAddress }

  func nextCommand() -> KeyingCommand? {
    guard let command = self.inner.nextCommand() else { return nil }
    switch consume command {
    case .installInbound(let material, let continuity):
      NotedKeys.note(material)
      return .installInbound(material, continuity)
    case .makeKeyExchange(let make):
      return .makeKeyExchange { () throws(ModuleError) in NotingExchange(try make()) }
    case let other: return other
    }
  }
}

private final class NotingExchange: KeyExchange {
  private let inner: any KeyExchange

  init(_ inner: any KeyExchange) { self.inner = inner }

  func start(_ remote: KeyExchangeRemote, now: Instant) { self.inner.start(remote, now: now) }
  func claims(_ datagram: RawSpan) -> Bool { self.inner.claims(datagram) }
  func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant) {
    self.inner.receive(datagram, from: source, on: component, now: now)
  }
  func timeout(now: Instant) { self.inner.timeout(now: now) }
  var nextDeadline: Instant? { self.inner.nextDeadline }
  func close(now: Instant) { self.inner.close(now: now) }
  var counters: KeyExchangeCounters { self.inner.counters }

  func nextAction() -> KeyExchangeAction? {
    guard let action = self.inner.nextAction() else { return nil }
    switch consume action {
    case .secured(let component, let inbound, let outbound, let by):
      NotedKeys.note(inbound)
      return .secured(component, inbound: inbound, outbound: outbound, by)
    case let other: return other
    }
  }
}
