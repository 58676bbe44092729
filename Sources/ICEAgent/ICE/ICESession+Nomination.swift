internal import NetBase

/// Which pair is used: regular nomination (RFC 8445 §8), and consent to go on using it (RFC 7675).
extension ICESession {
  /// The controlling agent nominates the best valid pair, once nothing better can be hoped for soon.
  func considerNomination(now: Instant) {
    guard self.role == .controlling, !self.configuration.isLite, self.remote != nil else { return }
    for component in self.components.sorted() where !self.hasNominated(component) && self.nominating[component] == nil {
      guard let best = self.bestValid(component), let first = self.firstValid[component] else { continue }
      let isDue = now >= first.advanced(byMilliseconds: Self.nominationDelay)
      let mayImprove = self.pairs.contains {
        $0.component == component && $0.priority > best.priority && $0.state != .failed && !$0.isValid
      }
      guard isDue || !mayImprove else { continue }
      self.nominating[component] = best.id
      self.trigger(best.id, nominates: true)
    }
  }

  /// When the wait for a better pair is over.
  var nominationDeadline: Instant? {
    guard self.role == .controlling, !self.configuration.isLite, self.remote != nil else { return nil }
    return self.components.compactMap { component -> Instant? in
      guard !self.hasNominated(component), self.nominating[component] == nil, self.bestValid(component) != nil else {
        return nil
      }
      return self.firstValid[component]?.advanced(byMilliseconds: Self.nominationDelay)
    }.min()
  }

  func nominated(_ index: Int, now: Instant) {
    self.pairs[index].isNominated = true
    self.pairs[index].isNominatedByPeer = false
    let pair = self.pairs[index]
    self.nominating[pair.component] = nil
    // A peer that nominates aggressively nominates several: the best is meant (RFC 5245 §8.1.1.2).
    let best = self.pairs.filter { $0.component == pair.component && $0.isNominated }.max {
      $0.priority < $1.priority
    }
    guard best?.id == pair.id else { return }
    self.select(self.selectedPair(pair), now: now)
  }

  func select(_ pair: ICESelectedPair, now: Instant) {
    guard let remote else { return }
    self.triggered.removeAll { queued in
      guard let index = self.index(of: queued.pair) else { return true }
      return self.pairs[index].component == pair.component && !queued.nominates
        && !self.pairs[index].isNominatedByPeer
    }
    let isNew = self.selected[pair.component] != pair
    self.selected[pair.component] = pair
    if !self.configuration.isLite {
      self.expectConsent(for: pair, remote, now: now)
    } else if self.keepaliveAt == nil {
      self.keepaliveAt = now.advanced(byMilliseconds: Self.keepalive)
    }
    if isNew || !self.isConnected { self.actions.append(.selected(pair)) }
    guard !self.isConnected else {
      if isNew { self.actions.append(.connected) }
      return
    }
    let hasAll = self.components.allSatisfy { component in
      self.configuration.isLite ? self.selected[component] != nil : self.hasNominated(component)
    }
    guard hasAll else { return }
    self.isConnected = true
    for index in self.tasks.indices { self.tasks[index].keepalive = nil }
    self.actions.append(.connected)
  }

  /// Two lite agents check nothing: the best pair of each component is it (RFC 8445 §8.2).
  func selectWithoutChecks(now: Instant) {
    for component in self.components.sorted() where self.selected[component] == nil {
      let best = self.pairs.filter { $0.component == component }.max { $0.priority < $1.priority }
      guard let best else { continue }
      self.validate(best.remote.address)
      self.select(self.selectedPair(best), now: now)
    }
  }

  // MARK: Consent

  /// From now on its other end is asked for consent. A pair that is nominated again, as some peers do with every check, has
  /// been asked and goes on: nothing but an answer renews it (RFC 7675 §5.1).
  private func expectConsent(for pair: ICESelectedPair, _ remote: ICECredentials, now: Instant) {
    let known = self.consents[pair.component]
    guard known?.pair != pair || known?.local != self.local || known?.remote != remote else { return }
    self.consents[pair.component] = ICEConsent(
      pair: pair, local: self.local, remote: remote, lastAnswer: now, next: now.advanced(by: self.consentInterval()))
  }

  /// Milliseconds between two signs of life of a lite agent (RFC 8445 §11).
  static let keepalive: Int64 = 15_000

  /// 4 to 6 s (RFC 7675 §5.1).
  private func consentInterval() -> Duration { .milliseconds(4_000 + Int64(self.random.next() % 2_001)) }

  func timeoutConsent(now: Instant) {
    for component in self.consents.keys.sorted() {
      guard var consent = self.consents[component] else { continue }
      if consent.lastAnswer.advanced(byMilliseconds: ICEConsent.expiry) <= now {
        self.lost(
          component,
          "ICE: \(consent.pair.remote) has not answered for \(ICEConsent.expiry / 1000) s (consent expired)")
        guard self.failure == nil else { return }
        continue
      }
      guard consent.next <= now else { continue }
      consent.next = now.advanced(by: self.consentInterval())
      self.consents[component] = consent
      self.askConsent(consent, now: now)
    }
    guard let due = self.keepaliveAt, due <= now else { return }
    self.keepaliveAt = now.advanced(byMilliseconds: Self.keepalive)
    for pair in self.selected.values.sorted(by: { $0.component < $1.component }) {
      var message = STUNWriter(.indication, id: STUNTransactionID(using: &self.random))
      message.addFingerprint()
      self.send(message.bytes, base: pair.base, to: pair.remote, now: now)
    }
  }

  private func askConsent(_ consent: ICEConsent, now: Instant) {
    let id = STUNTransactionID(using: &self.random)
    let bytes = self.request(id, base: consent.pair.base, local: consent.local, remote: consent.remote)
    // It is not sent again: the next one is another (RFC 7675 §5.1).
    self.transactions.append(
      ICETransaction(
        id: id, purpose: .consent(component: consent.pair.component), bytes: bytes, base: consent.pair.base,
        destination: consent.pair.remote, key: STUNKey(of: consent.remote),
        due: now.advanced(byMilliseconds: ICETransaction.lastWait), timeout: 0, sends: ICETransaction.maximumSends))
    self.send(bytes, base: consent.pair.base, to: consent.pair.remote, now: now)
  }

  /// The pair in use of a component leads nowhere any more: nothing is sent over it.
  ///
  /// That is the end, but for a pair from before a restart whose checks are under way: a peer whose address has changed
  /// answers on the old one no more, and what is found for its new one replaces it (RFC 7675 §5.1, RFC 8445 §9).
  func lost(_ component: Int, _ reason: String) {
    guard self.remote != nil, !self.hasNominated(component) else { return self.fail(reason) }
    (self.selected[component], self.consents[component]) = (nil, nil)
    self.actions.append(.unselected(component: component))
  }

  /// The other end of a pair consents; what it says over another socket of ours says nothing of this one.
  func consentGiven(_ component: Int, by source: SocketAddress, on base: Int, now: Instant) {
    guard let pair = self.consents[component]?.pair, pair.remote == source, pair.base == base else { return }
    self.consents[component]?.lastAnswer = now
  }
}
