import NetBase
import SIPStack
import Testing
import ice

@testable import ICEAgent

/// Pairs of our bases and the peer's candidates: how many there are, and which are chosen.
@Suite("pairs of candidates") struct PairTests {
  /// A controlled agent with bases for RTP, which its peer checks.
  private final class Host {
    let session: ICESession
    private let peer: ICECredentials
    private(set) var now = Instant(nanoseconds: 1_000_000_000)
    private var checks: UInt64 = 0

    init(bases: UInt32, isLite: Bool = false, _ candidates: [ICECandidate]) {
      var dice = SeededGenerator(seed: 1)
      self.peer = ICECredentials(using: &dice)
      var configuration = ICEConfiguration(crypto: .openSSL)
      configuration.isLite = isLite
      self.session = ICESession(
        configuration,
        bases: (0..<bases).map { place in
          ICEBase(
            component: 1, address: SocketAddress(ipv4: 0x0A00_0001 + place << 8, port: 4000),
            localPreference: 65_535 - 16 * UInt16(place))
        }, role: .controlled, random: SeededGenerator(seed: 2), now: self.now)
      self.session.setRemote(ICERemote(credentials: self.peer, candidates: candidates), now: self.now)
      _ = self.drain()
    }

    func add(_ candidate: ICECandidate) {
      self.session.addRemote(candidate, now: self.now)
      _ = self.drain()
    }

    /// A check of the peer's comes; returns what is asked for because of it.
    func check(from source: SocketAddress, base: Int, nominates: Bool = false) -> [ICEAction] {
      self.checks += 1
      var message = STUNWriter(.request, id: STUNTransactionID(high: 1, low: self.checks))
      message.add(STUNType.username, "\(self.session.local.fragment):\(self.peer.fragment)")
      message.add(STUNType.priority, UInt32(1_862_270_975))
      message.add(STUNType.controlling, UInt64.max)
      if nominates { message.add(STUNType.useCandidate, []) }
      message.addIntegrity(key: self.session.local.key, crypto: .openSSL)
      message.addFingerprint()
      message.bytes.withRawSpan { self.session.receive($0, from: source, base: base, now: self.now) }
      return self.drain()
    }

    /// The peer answers what these ask it; returns what comes of that.
    func answer(_ actions: [ICEAction]) -> [ICEAction] {
      for case .send(let bytes, let base, let address) in actions {
        guard let request = bytes.withRawSpan({ STUNMessage($0) }), request.messageClass == .request else { continue }
        var message = STUNWriter(.success, id: request.id)
        message.addMapped(SocketAddress(ipv4: 0x0A00_0001, port: 4000))
        message.addIntegrity(key: self.peer.key, crypto: .openSSL)
        message.addFingerprint()
        message.bytes.withRawSpan { self.session.receive($0, from: address, base: base, now: self.now) }
      }
      return self.drain()
    }

    /// Time goes by; returns what is asked for meanwhile.
    func pass(milliseconds: Int64) -> [ICEAction] {
      let limit = self.now.advanced(byMilliseconds: milliseconds)
      while let next = self.session.nextDeadline, next <= limit {
        self.now = max(self.now, next)
        self.session.timeout(now: self.now)
      }
      self.now = limit
      return self.drain()
    }

    private func drain() -> [ICEAction] {
      var actions: [ICEAction] = []
      while let action = self.session.takeAction() { actions.append(action) }
      return actions
    }
  }

  private static func candidate(_ number: UInt16, priority: UInt32) -> ICECandidate {
    ICECandidate(
      foundation: "\(number)", component: 1, priority: priority,
      address: SocketAddress(ipv4: 0x0A01_0001, port: 5000 + number), kind: .host)
  }

  @Test("where there are too many, those that have failed go first, and a check makes one again that had to go")
  func limit() throws {
    let half = UInt16(ICESession.maximumPairs / 2)
    let host = Host(bases: 2, (1...half).map { Self.candidate($0, priority: 1000 + UInt32($0)) })
    let session = host.session
    #expect(session.pairs.count == ICESession.maximumPairs)
    // Each is better than what follows.
    let failed = session.pairs.filter { $0.remote.priority > 1010 }.prefix(2).map(\.id)
    for id in failed {
      let index = try #require(session.index(of: id))
      session.pairs[index].state = .failed
    }
    let last = Self.candidate(half + 1, priority: 2)
    host.add(last)
    #expect(failed.allSatisfy { session.index(of: $0) == nil })
    #expect(session.pairs.filter { $0.remote == last }.map(\.base) == [0, 1])

    // The next one is the least of all, and does not come in.
    let least = Self.candidate(half + 2, priority: 1)
    host.add(least)
    #expect(session.pairs.count == ICESession.maximumPairs && !session.pairs.contains { $0.remote == least })
    let other = try #require(session.pairs.firstIndex { $0.remote.priority > 1010 && $0.state == .frozen })
    session.pairs[other].state = .failed
    _ = host.check(from: least.address, base: 1)
    let made = session.pairs.filter { $0.remote.address == least.address }
    #expect(made.map(\.base) == [1] && made.map(\.state) == [.waiting])
    #expect(session.pairs.count == ICESession.maximumPairs)
  }

  @Test("a peer that nominates with every check renews no consent: it is asked all the same, and given up when silent")
  func nominatesAgain() {
    let one = Self.candidate(1, priority: 1000)
    let host = Host(bases: 1, [one])
    var actions = host.check(from: one.address, base: 0, nominates: true) + host.pass(milliseconds: 100)
    actions = host.answer(actions)
    #expect(actions.contains(.connected))
    var asked = 0
    for _ in 0..<11 {
      actions = host.pass(milliseconds: 2_500) + host.check(from: one.address, base: 0, nominates: true)
      asked += actions.count { action in
        guard case .send(let bytes, _, _) = action else { return false }
        return bytes.withRawSpan { STUNMessage($0)?.messageClass == .request }
      }
    }
    #expect((4...7).contains(asked) && host.session.failure == nil, "\(asked)")
    _ = host.pass(milliseconds: 3_000)
    #expect(host.session.failure?.contains("consent") == true)
  }

  @Test("who is told which pairs are in use is told again when the peer nominates a better one, and once each time")
  func better() {
    let (low, high) = (Self.candidate(1, priority: 1000), Self.candidate(2, priority: 2000))
    let host = Host(bases: 1, isLite: true, [low, high])
    #expect(host.check(from: low.address, base: 0, nominates: true).contains(.connected))
    #expect(!host.check(from: low.address, base: 0, nominates: true).contains(.connected))
    let actions = host.check(from: high.address, base: 0, nominates: true)
    #expect(actions.count { $0 == .connected } == 1)
    #expect(host.session.selected[1]?.remote == high.address)
    #expect(!host.check(from: low.address, base: 0, nominates: true).contains(.connected))
  }
}
