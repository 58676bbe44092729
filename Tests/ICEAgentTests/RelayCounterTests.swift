import NetBase
import Testing
import ice

@testable import ICEAgent

/// What permissions and channels make an allocation drop is counted, each datagram once.
@Suite("what a relay drops (RFC 8656 §9, §11, §12)")
struct RelayCounterTests {
  private static let server = ICEServer(.turn, address: SocketAddress(ipv4: 0xC633_6401, port: 3478))
  private static let now = Instant(nanoseconds: 0)

  private static func peer(_ number: Int) -> SocketAddress {
    SocketAddress(ipv4: 0xC000_0200 + UInt32(number), port: 4000)
  }

  /// An allocation and the server that it talks to, which wants no password.
  private final class Relay {
    var allocation: TURNAllocation
    var random: any RandomNumberGenerator
    /// Requests that have no answer yet.
    var waiting: [STUNMessage] = []
    /// Data that was given to the server.
    var sent = 0

    init() throws {
      var random: any RandomNumberGenerator = SystemRandomNumberGenerator()
      self.allocation = TURNAllocation(server, base: 0, crypto: .openSSL, using: &random)
      self.random = random
      self.allocation.start(using: &self.random, now: now)
      try self.answer { message in
        message.add(STUNType.xorRelayedAddress, server.address.with(port: 50_000))
        message.add(STUNType.lifetime, UInt32(600))
      }
      #expect(self.allocation.state == .made)
    }

    func send(to peer: SocketAddress) throws {
      self.allocation.send([0, 1, 2, 3], to: peer, using: &self.random, now: now)
      try self.take()
    }

    func bind(_ peer: SocketAddress) throws {
      self.allocation.bind(peer, using: &self.random, now: now)
      try self.take()
    }

    private func take() throws {
      while let action = self.allocation.takeAction() {
        guard case .send(let bytes) = action else { continue }
        let message = try #require(bytes.withRawSpan { STUNMessage($0) })
        if message.messageClass == .request { self.waiting.append(message) } else { self.sent += 1 }
      }
    }

    /// Grants, or refuses with `error`, the oldest request.
    func answer(error: Int? = nil, _ body: (inout STUNWriter) -> Void = { _ in }) throws {
      try self.take()
      let request = self.waiting.removeFirst()
      var message = STUNWriter(error == nil ? .success : .failure, method: request.method, id: request.id)
      if let error { message.addError(error, "") }
      body(&message)
      let response = try #require(message.bytes.withRawSpan { STUNMessage($0) })
      #expect(self.allocation.receive(response, using: &self.random, now: now) == .accepted)
      try self.take()
    }

    func isTaken(from peer: SocketAddress) -> Bool { self.allocation.open(.from(peer, 0..<1)) != nil }

    func isTaken(on channel: UInt16) -> Bool { self.allocation.open(.onChannel(channel, 0..<1)) != nil }
  }

  private static func counters(
    refused: Int = 0, full: Int = 0, unpermitted: Int = 0, unbound: Int = 0
  ) -> RelayCounters {
    var counters = RelayCounters()
    (counters.refused, counters.full) = (refused, full)
    (counters.unpermitted, counters.unbound) = (unpermitted, unbound)
    return counters
  }

  @Test("what waits for a permission leaves when it is granted; what there is no room for is counted")
  func waiting() throws {
    let relay = try Relay()
    for _ in 0..<11 { try relay.send(to: Self.peer(1)) }
    #expect(relay.sent == 0 && relay.allocation.counters == Self.counters(full: 3))
    try relay.answer()
    #expect(relay.sent == 8)
    try relay.send(to: Self.peer(1))
    #expect(relay.sent == 9 && relay.allocation.counters == Self.counters(full: 3))
  }

  @Test("peers beyond the 64th are counted")
  func manyPeers() throws {
    let relay = try Relay()
    for number in 0..<70 { try relay.send(to: Self.peer(number)) }
    #expect(relay.waiting.count == 64 && relay.allocation.counters == Self.counters(full: 6))
  }

  @Test("a permission that is refused counts what waited for it, and all after it, both ways")
  func refused() throws {
    let relay = try Relay()
    for _ in 0..<3 { try relay.send(to: Self.peer(1)) }
    #expect(relay.isTaken(from: Self.peer(1)), "the server may let it in before it says so")
    try relay.answer(error: 403)
    try relay.send(to: Self.peer(1))
    #expect(!relay.isTaken(from: Self.peer(1)))
    #expect(relay.sent == 0 && relay.allocation.counters == Self.counters(refused: 4, unpermitted: 1))
  }

  @Test("what is from a peer without a permission, or on a channel of nobody's, is not taken")
  func strangers() throws {
    let relay = try Relay()
    try relay.send(to: Self.peer(1))
    try relay.answer()
    #expect(relay.isTaken(from: Self.peer(1)) && relay.isTaken(from: Self.peer(1).with(port: 5)), "a host is let in")
    #expect(!relay.isTaken(from: Self.peer(2)))
    try relay.bind(Self.peer(1))
    #expect(relay.isTaken(on: 0x4000) && !relay.isTaken(on: 0x4001) && !relay.isTaken(on: 0x4FFF))
    #expect(relay.allocation.counters == Self.counters(unpermitted: 1, unbound: 2))
  }

  @Test("what waits when the relay is given back, and what comes after, is counted")
  func released() throws {
    let relay = try Relay()
    for _ in 0..<2 { try relay.send(to: Self.peer(1)) }
    relay.allocation.release(using: &relay.random, now: Self.now)
    try relay.send(to: Self.peer(1))
    #expect(relay.allocation.counters == Self.counters(refused: 3))
  }

  @Test("the sum of several is each reason's own")
  func sum() {
    var sum = Self.counters(refused: 1, full: 2, unpermitted: 3, unbound: 4)
    sum += Self.counters(refused: 10, full: 20, unpermitted: 30, unbound: 40)
    #expect(sum == Self.counters(refused: 11, full: 22, unpermitted: 33, unbound: 44))
  }
}
