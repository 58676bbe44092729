package import NetBase

/// Relayed candidates: each is a base of its own, whose datagrams cross a TURN server (RFC 8445 §5.1.1.2, RFC 8656).
extension ICESession {
  /// The allocation that a base has at a server already, or another one.
  func allocation(at server: ICEServer, base: Int) -> Int {
    let known = self.allocations.firstIndex { $0.server == server && $0.base == base && $0.state != .gone }
    if let known { return known }
    let place = self.allocations.count
    self.allocations.append(
      TURNAllocation(
        server, base: base, over: server.transport == .udp ? nil : RelayLink(allocation: place),
        crypto: self.configuration.crypto, using: &self.random))
    return place
  }

  /// A restart keeps what is relayed already.
  func tellRelays() {
    for index in self.tasks.indices {
      guard let place = self.tasks[index].allocation else { continue }
      switch self.allocations[place].state {
      case .idle, .gone: break
      case .connecting, .asked: self.tasks[index].state = .inProgress
      case .made:
        self.tasks[index].state = .done
        self.tellRelay(place)
      }
    }
  }

  private func tellRelay(_ place: Int) {
    let allocation = self.allocations[place]
    guard let relayed = allocation.relayed,
      let server = self.configuration.servers.firstIndex(where: { $0 == allocation.server })
    else { return }
    let base = self.bases[allocation.base]
    self.tell(
      ICECandidate(
        foundation: Self.foundation(.relayed, relayed.with(port: 0), server: allocation.server.address),
        component: base.component,
        priority: ICECandidate.priority(
          .relayed, localPreference: allocation.localPreference(at: base), component: base.component),
        address: relayed, kind: .relayed, related: self.related(allocation.mapped ?? base.address)))
    // What the server sees of a connection says nothing of a socket.
    if let mapped = allocation.mapped, allocation.link == nil { self.tellReflexive(mapped, of: base, by: server) }
  }

  func foundation(of base: ICEBase) -> String {
    guard let relay = base.relay else { return Self.foundation(.host, base.address, server: nil) }
    return Self.foundation(
      .relayed, base.address.with(port: 0), server: self.allocations[relay].server.address)
  }

  // MARK: What the servers say

  func receive(fromRelay message: STUNMessage, from source: SocketAddress, base: Int, now: Instant) {
    guard message.messageClass != .request,
      self.allocations.contains(where: { $0.serves(base, source) })
    else {
      self.counters.unexpected += 1
      return
    }
    // An ICMP error that the server has got (RFC 8656 §11.5), or what has nothing in it.
    guard message.messageClass != .indication else {
      self.counters.accepted += 1
      return
    }
    var receipt = TURNAllocation.Receipt.unexpected
    for index in self.allocations.indices
    where self.allocations[index].serves(base, source) {
      receipt = self.allocations[index].receive(message, using: &self.random, now: now)
      if receipt != .unexpected { break }
    }
    self.count(receipt)
  }

  func count(_ receipt: TURNAllocation.Receipt) {
    switch receipt {
    case .accepted: self.counters.accepted += 1
    case .unauthentic: self.counters.unauthentic += 1
    case .unexpected: self.counters.unexpected += 1
    }
  }

  func timeoutRelays(now: Instant) {
    for index in self.allocations.indices { self.allocations[index].timeout(using: &self.random, now: now) }
  }

  /// Carries out what the allocations ask for.
  func runRelays(now: Instant) {
    for index in self.allocations.indices {
      while let action = self.allocations[index].takeAction() {
        let (base, server, link) = (
          self.allocations[index].base, self.allocations[index].server, self.allocations[index].link
        )
        switch action {
        case .connect: if let link { self.actions.append(.connect(link, base: base, to: server)) }
        case .disconnect: if let link { self.actions.append(.disconnect(link)) }
        case .send(let bytes):
          self.counters.sent += 1
          self.actions.append(link.map { .sendOver($0, bytes) } ?? .send(bytes, base: base, to: server.address))
        case .made(let relayed, _): self.relayMade(index, relayed, now: now)
        case .failed(let reason): self.relayEnded(index, reason, now: now)
        case .lost(let reason):
          self.relayEnded(index, reason, now: now)
          self.relayLost(index, reason)
        case .bound: self.actions.append(.framingChanged)
        }
      }
    }
  }

  private func relayMade(_ index: Int, _ relayed: SocketAddress, now: Instant) {
    let base = self.bases[self.allocations[index].base]
    let preference = self.allocations[index].localPreference(at: base)
    self.bases.append(ICEBase(of: base, at: relayed, relay: index, localPreference: preference))
    let place = self.bases.count - 1
    self.allocations[index].relayBase = place
    for task in self.tasks.indices where self.tasks[task].allocation == index {
      self.tasks[task].state = .done
      // A connection keeps its own binding.
      guard !self.isConnected, self.allocations[index].link == nil else { continue }
      self.tasks[task].keepalive = now.advanced(byMilliseconds: Self.bindingRefresh)
    }
    self.tellRelay(index)
    for candidate in self.remoteCandidates { _ = self.makePair(place, candidate) }
    self.endGatheringIfDone(now: now)
  }

  private func relayEnded(_ index: Int, _ reason: String, now: Instant) {
    for task in self.tasks.indices where self.tasks[task].allocation == index {
      (self.tasks[task].state, self.tasks[task].failure) = (.failed, reason)
      self.tasks[task].keepalive = nil
    }
    self.endGatheringIfDone(now: now)
  }

  private func relayLost(_ index: Int, _ reason: String) {
    guard let base = self.allocations[index].relayBase else { return }
    for pair in self.pairs.indices where self.pairs[pair].base == base { self.pairs[pair].state = .failed }
    self.triggered.removeAll { queued in self.pairs.contains { $0.id == queued.pair && $0.base == base } }
    for pair in self.selected.values where pair.base == base { self.lost(pair.component, "ICE: \(reason)") }
  }

  // MARK: Data

  /// A component's data takes four bytes more than it has, where it goes by a relay.
  func bindChannels(now: Instant) {
    guard !self.allocations.isEmpty else { return }
    for component in self.components {
      guard let pair = self.sendingPair(component), let relay = self.bases[pair.base].relay else { continue }
      self.allocations[relay].bind(pair.remote, using: &self.random, now: now)
    }
  }

  /// How data for a pair is given to its relay; nil where there is none on the way.
  package func framing(_ pair: ICESelectedPair) -> TURNFraming? {
    guard let relay = self.bases[pair.base].relay else { return nil }
    return self.allocations[relay].framing(for: pair.remote)
  }

  /// The socket that a base's datagrams leave: itself, or the one that its relay is asked from.
  package func socket(of base: Int) -> Int { self.bases[base].relay.map { self.allocations[$0].base } ?? base }

  /// What one of our relays passes on in a datagram that came to a socket. Allocates nothing.
  package func unwrap(_ datagram: RawSpan, from source: SocketAddress, base: Int) -> RelayReading {
    for index in self.allocations.indices {
      guard self.allocations[index].serves(base, source), self.allocations[index].state == .made else { continue }
      return self.unwrap(datagram, by: index)
    }
    return .notRelayed
  }

  func unwrap(_ message: RawSpan, by index: Int) -> RelayReading {
    guard self.allocations[index].state == .made, let relayBase = self.allocations[index].relayBase,
      let payload = RelayedPayload(message)
    else { return .notRelayed }
    guard let opened = self.allocations[index].open(payload) else { return .refused }
    return .relayed(RelayedDatagram(base: relayBase, peer: opened.peer, payload: opened.range))
  }

  /// What relays made us drop.
  package var relayCounters: RelayCounters {
    self.allocations.reduce(into: RelayCounters()) { $0 += $1.counters }
  }

  // MARK: The end

  /// Components that the peer does without need no relay, and no server is asked about them any more.
  func releaseDropped(now: Instant) {
    for index in self.tasks.indices
    where self.tasks[index].state == .waiting && self.bases[self.tasks[index].base].component > self.droppedAbove {
      (self.tasks[index].state, self.tasks[index].isAwaited) = (.failed, false)
    }
    if !self.tasks.isEmpty { self.endGatheringIfDone(now: now) }
    for index in self.allocations.indices
    where self.bases[self.allocations[index].base].component > self.droppedAbove {
      self.allocations[index].release(using: &self.random, now: now)
    }
  }

  /// Gives every relay back, and does nothing else from now on.
  package func close(now: Instant) {
    self.isClosing = true
    for index in self.allocations.indices { self.allocations[index].release(using: &self.random, now: now) }
    self.settle(now: now)
  }

  /// Whether a server has still to say that a relay is given back.
  package var isReleasing: Bool { self.allocations.contains(where: \.isReleasing) }
}

extension TURNAllocation {
  /// Whether it is asked from a base over UDP, and answers from `source`.
  fileprivate func serves(_ base: Int, _ source: SocketAddress) -> Bool {
    self.link == nil && self.base == base && self.server.address == source
  }

  /// Of its address: a relay over UDP goes before one over a connection, where what is lost holds up all that follows.
  fileprivate func localPreference(at base: ICEBase) -> UInt16 {
    base.localPreference - min(base.localPreference, UInt16(self.server.transport.rawValue))
  }
}
