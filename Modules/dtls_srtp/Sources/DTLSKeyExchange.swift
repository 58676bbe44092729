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
  private var state = State.waiting
  private var components: [ComponentExchange]
  private var actions = Queue<KeyExchangeAction>()
  private var giveUp: Instant?
  /// Datagrams that came when all was over.
  private var belated = 0

  /// - Parameter usesCookies: whether a client must prove its address first; not needed behind ICE.
  package init(certificate: Certificate, usesCookies: Bool = true) {
    self.certificate = certificate
    self.usesCookies = usesCookies
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
        component.end()
        continue
      }
      let terms = HandshakeTerms(
        certificate: self.certificate, role: remote.isActive ? .client : .server, fingerprints: remote.fingerprints,
        address: address, usesCookies: self.usesCookies)
      component.start(terms, now: now, &self.actions)
    }
    self.review()
  }

  package func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant) {
    if case .over = self.state {
      self.belated += 1
      return
    }
    self.components[component.rawValue].receive(datagram, from: source, now: now, &self.actions)
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

  package func nextAction() -> KeyExchangeAction? { self.actions.removeFirst() }

  package func close(now: Instant) {
    if case .running = self.state {
      for component in self.components { component.close(now: now, &self.actions) }
    }
    self.end()
  }

  package var counters: KeyExchangeCounters {
    var all = KeyExchangeCounters()
    all.dropped = self.belated
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
