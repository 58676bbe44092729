import NetBase
import SIPStack
import TestSupport
import Testing
import ice

@testable import ICEAgent

/// Whoever does not know the passwords changes nothing but a counter.
@Suite("STUN from strangers")
struct StrangerTests {
  let run = ICERun(ICEScenario(), seed: 11)
  let agent: ICERun.Agent
  let peer: ICERun.Agent
  let stranger = SocketAddress(ipv4: 0xC633_6407, port: 4_000)

  init() {
    self.agent = self.run.makeAgent(0)
    self.peer = self.run.makeAgent(1)
    self.run.describe(self.peer, to: 0)
  }

  func request(
    name: String, key: String?, role: UInt16 = STUNType.controlling, nominates: Bool = true, unknown: Bool = false
  ) -> [UInt8] {
    let random = UInt64(self.agent.handed)
    var message = STUNWriter(.request, id: STUNTransactionID(high: 1, low: random))
    message.add(STUNType.username, name)
    message.add(STUNType.priority, UInt32(1_862_270_975))
    message.add(role, UInt64.max)
    if nominates { message.add(STUNType.useCandidate, []) }
    if unknown { message.add(0x7F01, UInt32(0)) }
    if let key { message.addIntegrity(key: Array(key.utf8), crypto: .openSSL) }
    message.addFingerprint()
    return message.bytes
  }

  /// Hands it over; returns what the session wants to send at once.
  func hand(_ bytes: [UInt8], from source: SocketAddress) -> [ICEAction] {
    self.agent.handed += 1
    bytes.withRawSpan { self.agent.session.receive($0, from: source, base: 0, now: self.run.now) }
    var actions: [ICEAction] = []
    while let action = self.agent.session.takeAction() { actions.append(action) }
    return actions
  }

  @Test("no integrity, another's name, a wrong password: dropped, counted, not answered, and not vouched for")
  func strangers() {
    let session = self.agent.session
    let name = "\(session.local.fragment):x"
    #expect(self.hand(self.request(name: name, key: nil), from: self.stranger).isEmpty)
    #expect(self.hand(self.request(name: "else:x", key: session.local.password), from: self.stranger).isEmpty)
    #expect(self.hand(self.request(name: name, key: "wrong"), from: self.stranger).isEmpty)
    #expect(self.hand([0, 1, 0, 0], from: self.stranger).isEmpty)
    #expect(session.counters.strangers == 2 && session.counters.unauthentic == 1 && session.counters.malformed == 1)
    #expect(!session.isValidated(self.stranger) && session.role == .controlling)
    #expect(!session.remoteCandidates.contains { $0.address == self.stranger })
    #expect(session.counters.received == self.agent.handed)
  }

  @Test("an authenticated check vouches for its address and for no other")
  func validated() {
    let session = self.agent.session
    let bytes = self.request(
      name: "\(session.local.fragment):x", key: session.local.password, role: STUNType.controlled, nominates: false)
    #expect(!self.hand(bytes, from: self.stranger).isEmpty)
    #expect(session.isValidated(self.stranger))
    #expect(!session.isValidated(self.stranger.with(port: 4_001)))
    #expect(session.sendingPair(1) == nil, "nothing leaves for an address that has not answered")
  }

  @Test("an attribute that must be known and is not: 420, and no more")
  func unknown() throws {
    let session = self.agent.session
    let actions = self.hand(
      self.request(name: "\(session.local.fragment):x", key: session.local.password, unknown: true),
      from: self.stranger)
    guard case .send(let bytes, _, _) = try #require(actions.first) else { return }
    let answer = try #require(bytes.withRawSpan { STUNMessage($0) })
    #expect(answer.errorCode == 420 && !session.isValidated(self.stranger))
  }

  @Test("who does not know our description yet answers 401, and is asked again; from elsewhere that is a stranger's")
  func early() throws {
    let session = self.agent.session
    var checks: [(message: STUNMessage, target: SocketAddress)] = []
    // The first checks have left; they are repeated.
    session.timeout(now: try #require(session.nextDeadline).advanced(byMilliseconds: 500))
    while let action = session.takeAction() {
      guard case .send(let bytes, _, let target) = action, let message = bytes.withRawSpan({ STUNMessage($0) }) else {
        continue
      }
      checks.append((message, target))
    }
    let check = try #require(checks.first { $0.message.has(STUNType.username) })
    var refusal = STUNWriter(.failure, id: check.message.id)
    refusal.addError(401, "Unauthorized")
    _ = self.hand(refusal.bytes, from: check.target)
    #expect(session.counters.accepted == 1 && session.counters.unauthentic == 0)
    _ = self.hand(refusal.bytes, from: self.stranger)
    #expect(session.counters.accepted == 1 && session.counters.unauthentic == 1)
    self.run.describe(self.agent, to: 1)
    self.run.run(milliseconds: 3_000)
    #expect(session.isConnected && self.peer.session.isConnected)
  }

  @Test("a flood of checks, with the password or without, leaves the session connected with its peer")
  func flood() {
    let session = self.agent.session
    let name = "\(session.local.fragment):x"
    for _ in 0..<5_000 {
      _ = self.hand(self.request(name: name, key: "wrong"), from: self.stranger)
      _ = self.hand(
        self.request(name: name, key: session.local.password, role: STUNType.controlled, nominates: false),
        from: self.stranger)
    }
    #expect(session.counters.unauthentic == 5_000 && session.counters.flooded > 4_500)
    #expect(session.counters.received == self.agent.handed)
    self.run.run(milliseconds: 3_000)
    self.run.describe(self.agent, to: 1)
    self.run.run(milliseconds: 30_000)
    #expect(session.isConnected && self.peer.session.isConnected)
    #expect(session.selected[1]?.remote == self.peer.bases[0].address)
  }

  @Test("a response that nobody asked for, or that comes from elsewhere, is no success")
  func responses() {
    let session = self.agent.session
    var answer = STUNWriter(.success, id: STUNTransactionID(high: 9, low: 9))
    answer.addMapped(self.stranger)
    answer.addIntegrity(key: self.peer.session.local.key, crypto: .openSSL)
    answer.addFingerprint()
    _ = self.hand(answer.bytes, from: self.peer.bases[0].address)
    #expect(session.counters.unexpected == 1 && session.pairs.allSatisfy { !$0.isValid })
    // Our own check, answered by the right key from the wrong address.
    func check() -> ICETransaction? {
      session.transactions.first { if case .check = $0.purpose { true } else { false } }
    }
    self.run.run(milliseconds: 1_000) { check() != nil }
    guard let check = check() else {
      Issue.record("no check is under way")
      return
    }
    answer = STUNWriter(.success, id: check.id)
    answer.addMapped(self.agent.bases[0].address)
    answer.addIntegrity(key: self.peer.session.local.key, crypto: .openSSL)
    answer.addFingerprint()
    _ = self.hand(answer.bytes, from: self.stranger)
    #expect(session.counters.unexpected == 2 && session.pairs.allSatisfy { !$0.isValid })
    #expect(!session.isValidated(self.stranger))
  }

  @Test("messages of chance, half of them authenticated: nothing traps, and each is counted once")
  func chance() {
    var dice = SeededGenerator(seed: 23)
    let session = self.agent.session
    let types: [UInt16] = [
      STUNType.username, STUNType.priority, STUNType.controlling, STUNType.controlled, STUNType.useCandidate,
      STUNType.xorMappedAddress, STUNType.mappedAddress, STUNType.errorCode, STUNType.realm, STUNType.nonce,
      STUNType.passwordAlgorithms, 0x7F01, 0xC001,
    ]
    let classes: [STUNClass] = [.request, .indication, .success, .failure]
    for number in 0..<Seeds.count(debug: 3_000, release: 50_000) {
      let isResponse = Bool.random(using: &dice)
      let ids = session.transactions.map(\.id)
      let id = isResponse ? ids.randomElement(using: &dice) : nil
      var message = STUNWriter(
        isResponse
          ? (Bool.random(using: &dice) ? .success : .failure) : classes.randomElement(using: &dice) ?? .request,
        id: id ?? STUNTransactionID(high: 5, low: UInt64(number)))
      if Bool.random(using: &dice) { message.add(STUNType.username, "\(session.local.fragment):x") }
      for _ in 0..<Int.random(in: 0...6, using: &dice) {
        let value = (0..<Int.random(in: 0...24, using: &dice)).map { _ in UInt8.random(in: 0...255, using: &dice) }
        message.add(types.randomElement(using: &dice) ?? 0, value)
      }
      if Bool.random(using: &dice) {
        message.addIntegrity(
          key: isResponse ? self.peer.session.local.key : session.local.key, crypto: .openSSL)
      }
      if Bool.random(using: &dice) { message.addFingerprint() }
      var bytes = message.bytes
      if Int.random(in: 0..<4, using: &dice) == 0 {
        bytes[Int.random(in: 0..<bytes.count, using: &dice)] = UInt8.random(in: 0...255, using: &dice)
      }
      let source = Bool.random(using: &dice) ? self.peer.bases[0].address : self.stranger
      _ = self.hand(bytes, from: source.with(port: UInt16.random(in: 1...65_535, using: &dice)))
      if number % 64 == 0 { self.run.run(milliseconds: 20) }
    }
    #expect(session.counters.received == self.agent.handed)
    #expect(session.failure == nil && session.counters.accepted > 30 && session.pairs.count <= ICESession.maximumPairs)
    #expect(session.remoteCandidates.count <= ICESession.maximumRemoteCandidates)
  }
}
