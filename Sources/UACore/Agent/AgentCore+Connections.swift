package import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec

/// Calls without SIP: the program carries their descriptions (offers and answers as RFC 3264 has them), by whatever way it
/// has to the peer. Sockets are opened with the first description.
extension AgentCore {
  /// - Parameter peer: what the call is called in reports.
  package func connect(_ peer: String, settings: CallSettings) throws -> CallID {
    guard !self.isClosing else { throw ModuleError(.unavailable, "the agent is about to end") }
    try self.validate(settings)
    var settings = settings
    settings.mindsDefaultAddress = false
    let id = self.nextCall()
    let call = Call(
      id: id, session: nil, isOutgoing: true, peer: peer, settings: settings, began: self.context.now)
    self.calls[id] = call
    self.emit(.outgoing(id, to: peer))
    return id
  }

  /// A call of a peer's offer, and our answer, for a module that brings the one and carries the other.
  package func answer(
    _ offer: [UInt8], from peer: String, sound: CallSound?, then: @escaping (Result<AnsweredCall, ModuleError>) -> Void
  ) {
    if let limit = self.settings.configuration.callMaxCalls, self.calls.count >= limit {
      return then(.failure(ModuleError(.unavailable, "there are \(limit) calls already (call_max_calls)")))
    }
    var settings = self.connectionSettings
    if let sound { (settings.source, settings.player) = (sound.source, sound.player) }
    do {
      let id = try self.connect(peer, settings: settings)
      self.makeAnswer(id, to: offer) { [unowned self] result in
        if case .failure = result { self.hangUp(id) }
        then(result.map { AnsweredCall(call: id.number, answer: $0) })
      }
    } catch { then(.failure(Self.failure(error))) }
  }

  /// A call whose descriptions `carrier` brings to the peer.
  package func call(
    _ peer: String, receivesOnly: Bool, by carrier: any CallCarrier
  ) throws(CommandFailure) -> String {
    var settings = self.connectionSettings
    if receivesOnly {
      (settings.source, settings.videoSource) = (nil, nil)
      (settings.audioDirection, settings.videoDirection) = (.recvonly, .recvonly)
    }
    do {
      let id = try self.connect(peer, settings: settings)
      self.calls[id]?.carrier = carrier
      self.makeOffer(id) { [unowned self] in self.carry($0, of: id, by: carrier) }
      return "call \(id): calling \(peer)"
    } catch { throw CommandFailure("\(error)") }
  }

  private func carry(_ offer: Result<[UInt8], ModuleError>, of id: CallID, by carrier: any CallCarrier) {
    guard let call = self.calls[id], call.state == .calling else { return }
    do {
      carrier.carry(try offer.get()) { [weak self, weak call] result in
        guard let self, let call, call.state == .calling else { return }
        do { try self.takeAnswer(call.id, try result.get()) } catch {
          let failure = Self.failure(error)
          call.end(failure.kind == .peer ? "rejected" : "unreachable", failure: failure)
          self.hangUp(call)
        }
      }
    } catch { self.fail(call, error) }
  }

  /// The call is over, and its carrier tells the peer: the agent does not end before that.
  func endCarrier(of call: Call) {
    guard let carrier = call.carrier.take() else { return }
    self.farewells += 1
    carrier.end { [weak self] in
      self?.farewells -= 1
      self?.onProgress?()
    }
  }

  /// How calls without SIP are made: what the first account, or the config, says of devices and servers.
  private var connectionSettings: CallSettings {
    var settings =
      self.localAccounts.first?.settings
      ?? CallSettings(identity: "sip:apus@localhost", self.settings.configuration)
    settings.account = nil
    (settings.mediaEncryption, settings.mediaNAT) = ("dtls_srtp", "ice")
    (settings.usesRTCPMux, settings.usesBundle) = (true, true)
    return settings
  }

  package func answerAgain(
    _ offer: [UInt8], in call: UInt64, then: @escaping (Result<[UInt8], ModuleError>) -> Void
  ) { self.makeAnswer(CallID(number: call), to: offer, then: then) }

  package func isOpen(_ call: UInt64) -> Bool {
    self.calls[CallID(number: call)].map { $0.state != .ended } ?? false
  }

  package func hangUp(_ call: UInt64) { self.hangUp(CallID(number: call)) }

  package var callReports: [(call: UInt64, report: JSON)] {
    self.refreshAll()
    return self.reports.map { ($0.id.number, $0.json) }
  }

  /// Our next offer, when the account's servers were asked for candidates.
  ///
  /// - Parameter then: called once, at once or later; fails when a description is under way, the call is over, or something is
  ///   wrong with the settings.
  package func makeOffer(_ id: CallID, then: @escaping (Result<[UInt8], ModuleError>) -> Void) {
    self.describe(id, .offer, then: then)
  }

  /// Takes the peer's offer, when the account's servers were asked for candidates.
  ///
  /// - Parameter then: called once, at once or later, with our answer.
  package func makeAnswer(_ id: CallID, to offer: [UInt8], then: @escaping (Result<[UInt8], ModuleError>) -> Void) {
    self.describe(id, .answer(offer), then: then)
  }

  private func describe(
    _ id: CallID, _ next: CallMedia.NextDescription, then: @escaping (Result<[UInt8], ModuleError>) -> Void
  ) {
    do {
      let call = try self.connection(id)
      if call.media?.awaitsAnswer != true {
        var peer: SocketAddress?
        if case .answer(let offer) = next { peer = try self.address(in: offer) }
        _ = try self.media(of: call, towards: peer)
      }
      self.whenGathered(call, for: next) { [unowned self] in
        then(Result { try self.make(next, of: id) }.mapError(Self.failure))
      }
    } catch { then(.failure(Self.failure(error))) }
  }

  private func make(_ next: CallMedia.NextDescription, of id: CallID) throws -> [UInt8] {
    switch next {
    case .offer: try self.makeOffer(id)
    case .answer(let offer): try self.makeAnswer(id, to: offer)
    }
  }

  private func makeOffer(_ id: CallID) throws -> [UInt8] {
    let call = try self.connection(id)
    guard call.media?.awaitsAnswer != true else {
      throw ModuleError(.configuration, "an offer waits for its answer: take that, or roll back")
    }
    let media = try self.media(of: call, towards: nil)
    do { return try media.makeOffer() } catch {
      media.rollback()
      throw error
    }
  }

  private func makeAnswer(_ id: CallID, to offer: [UInt8]) throws -> [UInt8] {
    let call = try self.connection(id)
    guard call.media?.awaitsAnswer != true else {
      throw ModuleError(.configuration, "an offer of ours waits for its answer: roll back first")
    }
    let media = try self.media(of: call, towards: try self.address(in: offer))
    let wasHeld = media.isHeldByPeer
    let answer = try self.refusable { try media.answer(to: offer) }
    // Who gets this answer can read what it announces: there is nothing that confirms it.
    try media.answerConfirmed()
    self.resolveCandidates(of: call)
    self.connected(call)
    if media.isHeldByPeer != wasHeld { self.emit(.held(id, media.isHeldByPeer)) }
    return answer
  }

  /// Takes the answer to our offer.
  package func takeAnswer(_ id: CallID, _ answer: [UInt8]) throws {
    let call = try self.connection(id)
    guard let media = call.media, media.awaitsAnswer else {
      throw ModuleError(.configuration, "there is no offer that this could answer")
    }
    let wasHeld = media.isHeldByPeer
    try self.refusable { try media.receive(answer: answer) }
    self.resolveCandidates(of: call)
    self.connected(call)
    if media.isHeldByPeer != wasHeld { self.emit(.held(id, media.isHeldByPeer)) }
  }

  /// Takes candidates that the peer has found since its last description.
  ///
  /// - Parameters:
  ///   - fragment: the `ice-ufrag` that they belong to; nil for that description's.
  ///   - mediaID: the line's `mid`; nil for the audio's.
  /// - Throws: where they belong to nothing in force.
  package func add(candidates: [String], of fragment: String?, for mediaID: String?, to id: CallID) throws {
    let call = try self.connection(id)
    guard try call.media?.add(candidates: candidates, of: fragment, for: mediaID) == true else {
      throw ModuleError(
        .configuration,
        "candidates belong to the peer's last description: there is none, it has no ICE, or they are of another one"
      )
    }
    self.resolveCandidates(of: call)
  }

  /// Drops our offer; what was agreed before stands.
  package func rollback(_ id: CallID) throws { try self.connection(id).media?.rollback() }

  /// Makes the next offer begin the checks anew; false where there are none.
  package func requestRestart(_ id: CallID) throws -> Bool { try self.connection(id).media?.requestRestart() ?? false }

  private func connection(_ id: CallID) throws -> Call {
    guard let call = self.calls[id], call.state != .ended else {
      throw ModuleError(.unavailable, "the connection is over")
    }
    guard call.session == nil else { throw ModuleError(.configuration, "SIP carries this call's descriptions") }
    return call
  }

  private func media(of call: Call, towards peer: SocketAddress?) throws -> CallMedia {
    if let media = call.media { return media }
    let media = try self.makeMedia(call.id, call.settings, towards: peer ?? self.anyPeer)
    self.add(call, media)
    return media
  }

  /// Where the peer's media is, when its description says so: beside candidates the default address says nothing, unless it
  /// is one of them.
  private func address(in offer: [UInt8]) throws -> SocketAddress? {
    let session = try self.refusable { try SessionDescription(parsing: offer) }
    let addresses = session.media.indices.compactMap { RemoteMedia(session, index: $0).rtp?.address }
    let candidates = session.media.flatMap(\.candidateAddresses)
    let known = addresses.first {
      !$0.isUnspecified && $0.port != 0 && (candidates.isEmpty || candidates.contains($0))
    }
    return known ?? candidates.first { (try? self.environment.localAddress(towards: $0)) != nil }
  }

  /// Towards everyone: the way of IPv4's default route, or of IPv6's, or the loopback where there is none. Nothing goes
  /// to the addresses, which are for documentation (RFC 5737, RFC 3849).
  private var anyPeer: SocketAddress {
    let peers = [SocketAddress(ipv4: 0xC000_0201, port: 9), SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 9)]
    return peers.first { (try? self.environment.localAddress(towards: $0)) != nil }
      ?? SocketAddress(ipv4: 0x7F00_0001, port: 9)
  }

  private func refusable<Value>(_ body: () throws -> Value) throws -> Value {
    do { return try body() } catch let error as ModuleError { throw error } catch {
      throw ModuleError(.peer, "the description can't be used: \(error)")
    }
  }

  private func connected(_ call: Call) {
    guard call.state != .established else { return }
    call.state = .established
    call.established = self.context.now
    self.emit(.established(call.id))
  }
}
