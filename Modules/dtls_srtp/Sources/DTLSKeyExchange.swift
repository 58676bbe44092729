package import ModuleKit
package import NetBase

/// DTLS-SRTP in the media path (RFC 5764): a set of handshakes per component, told the time.
///
/// `confined`: made by its transport's executor and used nowhere else.
package final class DTLSKeyExchange: KeyExchange {
  /// How long the handshakes may take from `start` on.
  package static let patience: Int64 = 30_000

  private enum State {
    case waiting
    case running
    case over
  }

  private let certificate: Certificate
  private let usesCookies: Bool
  private let mark: AssociationMark
  private var state = State.waiting
  private var components: [ComponentExchange]
  private var actions = Queue<KeyExchangeAction>()
  private var giveUp: Instant?
  /// Datagrams that came when all was over.
  private var belated = 0
  /// Datagrams with another mark, or malformed.
  private var foreign = 0

  /// - Parameter usesCookies: whether a client must prove its address first; not needed behind ICE.
  package convenience init(certificate: Certificate, usesCookies: Bool = true) {
    self.init(certificate: certificate, usesCookies: usesCookies, mark: .none)
  }

  /// - Parameter mark: what this association's records have, and no others on the same 5-tuple.
  init(certificate: Certificate, usesCookies: Bool = true, mark: AssociationMark) {
    self.certificate = certificate
    self.usesCookies = usesCookies
    self.mark = mark
    self.components = Component.allCases.map { ComponentExchange($0) }
  }

  /// What the peer's description says; a second call changes nothing.
  package func start(_ remote: KeyExchangeRemote, now: Instant) {
    guard case .waiting = self.state else { return }
    self.state = .running
    self.giveUp = now.advanced(byMilliseconds: Self.patience)
    for component in self.components {
      let address = component.component == .rtp ? remote.rtpAddress : remote.rtcpAddress
      guard let address else {
        component.leaveOut()
        continue
      }
      let terms = HandshakeTerms(
        certificate: self.certificate, role: remote.isActive ? .client : .server, fingerprints: remote.fingerprints,
        address: address, usesCookies: self.usesCookies)
      component.start(terms, now: now, &self.actions)
    }
    self.review()
  }

  package func claims(_ datagram: RawSpan) -> Bool { AssociationMark(of: datagram) == self.mark }

  package func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant) {
    if case .over = self.state {
      self.belated += 1
      return
    }
    let component = self.components[component.rawValue]
    if self.mark == .none {
      component.receive(datagram, from: source, now: now, &self.actions)
    } else if self.claims(datagram) {
      AssociationMark.unmarking(datagram).withRawSpan {
        component.receive($0, from: source, now: now, &self.actions)
      }
    } else {
      self.foreign += 1
    }
    self.review()
  }

  package func timeout(now: Instant) {
    guard case .running = self.state else { return }
    if let giveUp = self.giveUp, giveUp <= now {
      self.fail(self.components.lazy.compactMap(\.delay).first ?? "the DTLS handshake took too long")
      return
    }
    for component in self.components { component.timeout(now: now, &self.actions) }
    self.review()
  }

  /// Asked after every packet, so nothing is allocated.
  package var nextDeadline: Instant? {
    guard case .running = self.state else { return nil }
    var next = self.giveUp
    for component in self.components { next = Instant.earlier(next, component.nextDeadline) }
    return next
  }

  package func nextAction() -> KeyExchangeAction? {
    guard let action = self.actions.removeFirst() else { return nil }
    guard self.mark != .none else { return action }
    switch consume action {
    case .send(let datagram, let address, let component):
      return .send(datagram: self.mark.marking(datagram), to: address, on: component)
    case .secured(let component, let inbound, let outbound, let by):
      return .secured(component, inbound: inbound, outbound: outbound, by)
    case .failed(let reason): return .failed(reason)
    case .closed(let component): return .closed(component)
    }
  }

  package func close(now: Instant) {
    if case .running = self.state {
      for component in self.components { component.close(now: now, &self.actions) }
    }
    self.end()
  }

  package var counters: KeyExchangeCounters {
    var all = KeyExchangeCounters()
    all.dropped = self.belated + self.foreign
    return self.components.reduce(into: all) { $0.add($1.counted) }
  }

  /// After each event: whether a component failed for good, or all are secured.
  private func review() {
    guard case .running = self.state else { return }
    if let failure = self.components.lazy.compactMap(\.failure).first {
      self.fail(failure)
    } else if self.components.allSatisfy(\.isDone) {
      self.giveUp = nil
    }
  }

  private func fail(_ sentence: String) {
    self.actions.append(.failed(sentence))
    self.end()
  }

  private func end() {
    self.state = .over
    self.giveUp = nil
    for component in self.components { component.end() }
  }
}

extension Instant {
  /// The earlier of two deadlines, either of which may not be set.
  static func earlier(_ one: Instant?, _ other: Instant?) -> Instant? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
  }
}
