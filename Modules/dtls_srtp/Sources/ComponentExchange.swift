internal import ModuleKit
internal import NetBase

/// What the descriptions settled for one component.
struct HandshakeTerms {
  let certificate: Certificate
  let role: AssociationRole
  let fingerprints: [KeyExchangeRemote.Fingerprint]
  /// Where the peer's description says that it is.
  let address: SocketAddress
  let usesCookies: Bool
}

/// The handshakes of one component, until one of them is the verified one.
///
/// Without ICE nobody vouches for a source. A server therefore keeps up to four handshakes, keyed by source; a client has
/// one, with the address that was described. Where that is silent it follows an answer from another one (a NAT), for a while:
/// no answer of a stranger's ever ends it. The first that proves the fingerprint pins its source; all else is a stranger
/// from then on.
final class ComponentExchange {
  static let maximumHandshakes = 4
  /// Handshakes that may be begun with others than the described address, failed ones included; with cookies those count
  /// that have proven their address, for anyone can fill the places of the others for `unprovenTenure`.
  static let maximumAttempts = 32
  /// A client's fresh starts after an answer from a wrong address; after these it follows none.
  static let maximumRestarts = 4
  /// How long the described address has the client for itself.
  static let describedTenure: Int64 = 1000
  /// How long another one that answered has it then.
  static let followedTenure: Int64 = 5000
  /// How long a client that has not proven its address keeps its place when others come.
  static let unprovenTenure: Int64 = 500
  /// After how long a repeated first ClientHello begins its handshake anew: each costs an association, and a peer does
  /// not repeat it sooner.
  static let repetitionInterval: Int64 = 50
  /// How long nothing else may come of a handshake before an alert in the clear is believed: it may be anyone's, and a
  /// peer that did not send it repeats its flight.
  static let alertPatience: Int64 = 2000

  private struct Handshake {
    let association: Association
    let source: SocketAddress
    let begin: Instant
  }

  private struct Alert {
    let bytes: [UInt8]
    let end: Instant
  }

  private enum State {
    case waiting(EarlyDatagrams)
    /// RTCP shares the RTP socket, or the exchange is over.
    case idle
    case client(HandshakeTerms, Handshake)
    case server(HandshakeTerms, [Handshake])
    case secured(Handshake)
    case failed(String)
  }

  let component: Component
  private var state: State = .waiting(EarlyDatagrams())
  private var attempts = 0
  /// When handshakes began, not longer than `unprovenTenure` ago, with others than the described address: one that fails at once
  /// leaves no room for the next.
  private var begun: [Instant] = []
  private var banned: Set<SocketAddress> = []
  /// Alerts in the clear that are not believed yet, by their source: one for each handshake at most.
  private var alerts: [SocketAddress: Alert] = [:]
  /// A client's answers from others than the described address, while that may still speak.
  private var answers = EarlyDatagrams()
  /// Why the last handshake failed that was not with the described address.
  private var lastRefusal: String?
  private(set) var counters = KeyExchangeCounters()

  /// The counters, with what waits at this moment.
  var counted: KeyExchangeCounters {
    var all = self.counters
    all.waiting = self.alerts.count + self.answers.count
    if case .waiting(let early) = self.state { all.waiting += early.count }
    return all
  }

  init(_ component: Component) { self.component = component }

  func start(_ terms: HandshakeTerms, now: Instant, _ actions: inout Queue<KeyExchangeAction>) {
    guard case .waiting(var early) = self.state else { return }
    switch terms.role {
    case .client:
      self.counters.dropped += early.count
      self.beginClient(terms, to: terms.address, now: now, &actions)
    case .server:
      self.state = .server(terms, [])
      for datagram in early.take(now: now, &self.counters) {
        datagram.bytes.withRawSpan { self.receive($0, from: datagram.source, now: now, &actions) }
      }
    }
  }

  func receive(
    _ datagram: RawSpan, from source: SocketAddress, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    guard let kind = HandshakeDatagram(datagram) else {
      self.counters.dropped += 1
      return
    }
    switch self.state {
    case .waiting(var early):
      self.state = .idle
      early.keep(datagram, kind, from: source, now: now, &self.counters)
      self.state = .waiting(early)
    case .idle, .failed: self.counters.dropped += 1
    case .client(let terms, let handshake):
      self.receiveAsClient(datagram, kind, from: source, terms, handshake, now: now, &actions)
    case .server(let terms, let handshakes):
      self.receiveAsServer(datagram, kind, from: source, terms, handshakes, now: now, &actions)
    case .secured(let handshake):
      guard source == handshake.source else {
        self.counters.strangers += 1
        return
      }
      if case .plainAlert = kind {
        self.counters.dropped += 1
      } else {
        self.feed(datagram, handshake, now: now, &actions)
      }
    }
  }

  func timeout(now: Instant, _ actions: inout Queue<KeyExchangeAction>) {
    for handshake in self.handshakes {
      if let alert = self.alerts[handshake.source], alert.end <= now {
        self.alerts[handshake.source] = nil
        self.counters.taken += 1
        let outcome = alert.bytes.withRawSpan { handshake.association.feed($0, now: now) }
        self.settle(outcome, handshake, now: now, &actions)
        continue
      }
      guard let deadline = handshake.association.nextDeadline, deadline <= now else { continue }
      let before = handshake.association.retransmissions
      let outcome = handshake.association.timeout(now: now)
      self.counters.retransmissions += handshake.association.retransmissions - before
      self.settle(outcome, handshake, now: now, &actions)
    }
    // What is left is of handshakes that are no more.
    self.forgetAlerts { $0.end <= now }
    if case .client(let terms, let handshake) = self.state, let end = self.tenureEnd(terms, handshake), end <= now {
      if handshake.source == terms.address {
        self.follow(terms, handshake, now: now, &actions)
      } else {
        self.abandon(handshake.source, terms, now: now, &actions)
      }
    }
  }

  private func forgetAlerts(where isOver: (Alert) -> Bool = { _ in true }) {
    guard !self.alerts.isEmpty else { return }
    let before = self.alerts.count
    self.alerts = self.alerts.filter { !isOver($0.value) }
    self.counters.dropped += before - self.alerts.count
  }

  /// Says good-bye to a peer that was verified.
  func close(now: Instant, _ actions: inout Queue<KeyExchangeAction>) {
    guard case .secured(let handshake) = self.state else { return }
    handshake.association.close(now: now)
    self.flush(handshake, &actions)
  }

  /// The association has no such component: nothing that came for it was right.
  func leaveOut() {
    if case .waiting(let early) = self.state { self.counters.dropped += early.count }
    self.state = .idle
  }

  /// Lets go of everything. What still waited was right, and came before its time: a call may end while its keys change.
  func end() {
    if case .waiting(let early) = self.state { self.counters.ended += early.count }
    self.forgetAlerts()
    self.forgetAnswers()
    self.state = .idle
  }

  /// Asked after every packet, so nothing is allocated.
  var nextDeadline: Instant? {
    switch self.state {
    case .secured(let handshake): handshake.association.nextDeadline
    case .client(let terms, let handshake):
      Instant.earlier(
        Instant.earlier(handshake.association.nextDeadline, self.alertDeadline), self.tenureEnd(terms, handshake))
    case .server(_, let handshakes):
      handshakes.reduce(self.alertDeadline) { Instant.earlier($0, $1.association.nextDeadline) }
    case .waiting, .idle, .failed: nil
    }
  }

  private var alertDeadline: Instant? { self.alerts.values.reduce(nil) { Instant.earlier($0, $1.end) } }

  /// Whether nothing more is awaited here.
  var isDone: Bool {
    switch self.state {
    case .idle, .secured, .waiting: true
    case .client, .server, .failed: false
    }
  }

  /// Why this component can't be secured any more.
  var failure: String? {
    if case .failed(let reason) = self.state { return reason }
    return nil
  }

  /// Why it took too long; nil for a component that is secured or not in use.
  var delay: String? {
    let peer: String
    switch self.state {
    case .client(_, let handshake): peer = "\(handshake.source)"
    case .server(let terms, _): peer = "\(terms.address)"
    case .waiting, .idle, .secured, .failed: return nil
    }
    let seconds = DTLSKeyExchange.patience / 1000
    return self.lastRefusal ?? "no DTLS handshake with \(peer) within \(seconds) s"
  }

  private var handshakes: [Handshake] {
    switch self.state {
    case .client(_, let handshake), .secured(let handshake): [handshake]
    case .server(_, let handshakes): handshakes
    case .waiting, .idle, .failed: []
    }
  }

  // MARK: Client

  private func beginClient(
    _ terms: HandshakeTerms, to target: SocketAddress, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    self.attempts += 1
    do throws(LibraryError) {
      let association = try Association(.client, certificate: terms.certificate, fingerprints: terms.fingerprints)
      let handshake = Handshake(association: association, source: target, begin: now)
      self.state = .client(terms, handshake)
      self.settle(association.start(now: now), handshake, now: now, &actions)
    } catch {
      self.state = .failed("DTLS with \(target) could not start: \(error)")
    }
  }

  private func receiveAsClient(
    _ datagram: RawSpan, _ kind: HandshakeDatagram, from source: SocketAddress, _ terms: HandshakeTerms,
    _ current: Handshake, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    guard source != current.source else {
      if case .plainAlert = kind {} else { self.forgetAnswers() }
      return self.take(datagram, kind, current, now: now, &actions)
    }
    var isAnswer = self.answers.has(source)
    if case .serverHello = kind { isAnswer = true }
    if isAnswer, source == terms.address {
      // It has precedence over whoever was followed: start anew with it.
      self.counters.strangers += 1
      return self.abandon(current.source, terms, now: now, &actions)
    }
    guard isAnswer, current.source == terms.address, !current.association.hasHeard, !self.banned.contains(source),
      self.attempts <= Self.maximumRestarts
    else {
      self.counters.strangers += 1
      return
    }
    self.answers.keep(datagram, kind, from: source, now: now, &self.counters)
    if let end = self.tenureEnd(terms, current), end <= now { self.follow(terms, current, now: now, &actions) }
  }

  /// When the described address has to share the client with those that answered, or the one that is followed is given up.
  private func tenureEnd(_ terms: HandshakeTerms, _ handshake: Handshake) -> Instant? {
    guard handshake.source == terms.address else {
      return handshake.begin.advanced(byMilliseconds: Self.followedTenure)
    }
    return self.answers.count == 0 ? nil : handshake.begin.advanced(byMilliseconds: Self.describedTenure)
  }

  /// Goes on with the first that answered in the described address's place.
  private func follow(
    _ terms: HandshakeTerms, _ handshake: Handshake, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    let answers = self.answers.take(now: now, &self.counters)
    guard let source = answers.first?.source else { return }
    self.state = .client(terms, Handshake(association: handshake.association, source: source, begin: now))
    for answer in answers {
      answer.bytes.withRawSpan { self.receive($0, from: answer.source, now: now, &actions) }
    }
  }

  private func forgetAnswers() {
    guard self.answers.count > 0 else { return }
    self.counters.strangers += self.answers.count
    self.answers = EarlyDatagrams()
  }

  /// Never listens to `source` again, and begins anew with the described address.
  private func abandon(
    _ source: SocketAddress, _ terms: HandshakeTerms, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    self.banned.insert(source)
    self.forgetAnswers()
    self.beginClient(terms, to: terms.address, now: now, &actions)
  }

  // MARK: Server

  private func receiveAsServer(
    _ datagram: RawSpan, _ kind: HandshakeDatagram, from source: SocketAddress, _ terms: HandshakeTerms,
    _ handshakes: [Handshake], now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    var handshakes = handshakes
    var cookie: [UInt8]?
    switch (kind, handshakes.firstIndex { $0.source == source }) {
    case (.firstClientHello, let index?) where terms.usesCookies && !handshakes[index].association.isAddressProven:
      // Our HelloVerifyRequest was lost. OpenSSL would take the repeated ClientHello for a stale one, so it gets a new
      // association with the old cookie: should both answers arrive, either will do.
      guard now.milliseconds(since: handshakes[index].begin) >= Self.repetitionInterval else {
        // It has its answer, which crosses what a peer repeats; so this is none that was dropped.
        self.counters.taken += 1
        return
      }
      cookie = handshakes.remove(at: index).association.cookie
    case (.firstClientHello, nil):
      guard self.makeRoom(for: source, terms, &handshakes, now: now) else {
        self.counters.strangers += 1
        return
      }
    case (_, let index?):
      let handshake = handshakes[index]
      // OpenSSL would end the handshake over a forged ClientHello with a wrong cookie.
      if case .laterClientHello(let cookie) = kind, terms.usesCookies, cookie != handshake.association.cookie {
        self.counters.dropped += 1
        return
      }
      let wasProven = handshake.association.isAddressProven
      self.take(datagram, kind, handshake, now: now, &actions)
      if terms.usesCookies, !wasProven, handshake.association.isAddressProven { self.attempts += 1 }
      return
    case (_, nil):
      self.counters.strangers += 1
      return
    }
    do throws(LibraryError) {
      let fresh = terms.usesCookies ? try Association.makeCookie() : []
      let association = try Association(
        .server, certificate: terms.certificate, fingerprints: terms.fingerprints, cookie: cookie ?? fresh)
      let handshake = Handshake(association: association, source: source, begin: now)
      handshakes.append(handshake)
      self.state = .server(terms, handshakes)
      self.feed(datagram, handshake, now: now, &actions)
    } catch {
      self.state = .failed("DTLS with \(source) could not start: \(error)")
    }
  }

  /// Whether one more handshake may begin; the described address takes an unproven one's place at once.
  private func makeRoom(
    for source: SocketAddress, _ terms: HandshakeTerms, _ handshakes: inout [Handshake], now: Instant
  ) -> Bool {
    let isDescribed = source == terms.address
    guard isDescribed || (self.attempts < Self.maximumAttempts && !self.banned.contains(source)) else { return false }
    let countsBegun = terms.usesCookies && !isDescribed
    if countsBegun {
      self.begun.removeAll { now.milliseconds(since: $0) >= Self.unprovenTenure }
      guard self.begun.count < Self.maximumHandshakes else { return false }
    }
    if handshakes.count >= Self.maximumHandshakes {
      let oldest = handshakes.firstIndex {
        !$0.association.isAddressProven && $0.source != terms.address
          && (isDescribed || now.milliseconds(since: $0.begin) >= Self.unprovenTenure)
      }
      guard let oldest else { return false }
      handshakes.remove(at: oldest)
    }
    if countsBegun { self.begun.append(now) }
    if !terms.usesCookies { self.attempts += 1 }
    return true
  }

  // MARK: What came of it

  /// Keeps an alert in the clear; anything else says that the peer goes on, and that one was not the peer's.
  private func take(
    _ datagram: RawSpan, _ kind: HandshakeDatagram, _ handshake: Handshake, now: Instant,
    _ actions: inout Queue<KeyExchangeAction>
  ) {
    guard case .plainAlert = kind else {
      if self.alerts.removeValue(forKey: handshake.source) != nil { self.counters.dropped += 1 }
      return self.feed(datagram, handshake, now: now, &actions)
    }
    guard self.alerts[handshake.source] == nil else {
      self.counters.dropped += 1
      return
    }
    self.alerts[handshake.source] = Alert(
      bytes: datagram.copied(), end: now.advanced(byMilliseconds: Self.alertPatience))
  }

  private func feed(
    _ datagram: RawSpan, _ handshake: Handshake, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    self.counters.taken += 1
    self.settle(handshake.association.feed(datagram, now: now), handshake, now: now, &actions)
  }

  private func settle(
    _ outcome: consuming AssociationOutcome, _ handshake: Handshake, now: Instant,
    _ actions: inout Queue<KeyExchangeAction>
  ) {
    switch consume outcome {
    case .nothing: self.flush(handshake, &actions)
    case .secured(let keys):
      // Keys first: the peer uses its own as soon as it has our last flight.
      let by = SecuredBy(
        source: handshake.source, version: handshake.association.version,
        isClient: handshake.association.role == .client)
      actions.append(.secured(self.component, inbound: keys.inbound, outbound: keys.outbound, by))
      self.flush(handshake, &actions)
      self.forgetAlerts()
      self.forgetAnswers()
      self.state = .secured(handshake)
    case .closed:
      self.flush(handshake, &actions)
      actions.append(.closed(self.component))
    case .failed(let error):
      self.flush(handshake, &actions)
      self.drop(handshake, Self.sentence(error, handshake.source), now: now, &actions)
    }
  }

  private func drop(
    _ handshake: Handshake, _ sentence: String, now: Instant, _ actions: inout Queue<KeyExchangeAction>
  ) {
    let isProven = handshake.association.isAddressProven
    switch self.state {
    case .server(let terms, let handshakes) where handshake.source != terms.address || (terms.usesCookies && !isProven):
      // Whoever has not proven its address may be anyone: nobody is banned or given up for its sake.
      self.lastRefusal = sentence
      if isProven || !terms.usesCookies { self.banned.insert(handshake.source) }
      self.state = .server(terms, handshakes.filter { $0.source != handshake.source })
    case .client(let terms, _) where handshake.source != terms.address:
      self.lastRefusal = sentence
      self.abandon(handshake.source, terms, now: now, &actions)
    case .client, .server: self.state = .failed(sentence)
    case .waiting, .idle, .secured, .failed: break
    }
  }

  private func flush(_ handshake: Handshake, _ actions: inout Queue<KeyExchangeAction>) {
    while let datagram = handshake.association.nextDatagram() {
      actions.append(.send(datagram: datagram, to: handshake.source, on: self.component))
    }
  }

  private static func sentence(_ error: AssociationError, _ peer: SocketAddress) -> String {
    switch error {
    case .refusedByPeer(let alert): "\(peer) refused the DTLS handshake: \(alert)"
    case .wrongCertificate: "the DTLS certificate of \(peer) does not have the fingerprint that its description gives"
    case .noProfile: "\(peer) has no SRTP protection profile in common with dtls_srtp_profiles"
    case .tooManyBytes: "the DTLS handshake with \(peer) had more bytes than it needs"
    case .library(let error): "the DTLS handshake with \(peer) failed: \(error)"
    }
  }
}
