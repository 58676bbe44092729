import NetBase
import RTPStack
import Testing

@Suite struct RTCPSessionTests {
  /// One end of a call.
  private struct End: ~Copyable {
    var session: RTCPSession
    var sender: RTPSender
    var receiver = RTPReceiver(clockRate: 8000)
    var random: SeededRandom
    var reports: [Double] = []

    init(ssrc: UInt32, seed: UInt64, offset: Int64) {
      self.random = SeededRandom(seed)
      self.sender = RTPSender(ssrc: ssrc, clockRate: 8000, random: &self.random)
      self.session = RTCPSession(
        ssrc: ssrc, canonicalName: Array("me".utf8), wallClock: WallClock(unixNanosecondsAtOrigin: offset),
        now: .milliseconds(0), random: &self.random)
    }

    mutating func timeout(_ now: Double) -> [UInt8] {
      var (session, receiver, random) = (self.session, self.receiver, self.random)
      let sender = self.sender
      let packet = [UInt8].written {
        session.timeout(now: .milliseconds(now), sender: sender, receiver: &receiver, random: &random, into: &$0)
      }
      (self.session, self.receiver, self.random) = (session, receiver, random)
      if !packet.isEmpty { self.reports.append(now) }
      return packet
    }

    mutating func receive(_ packet: [UInt8], _ now: Double) throws -> RTCPSession.Contents {
      try unsafe self.session.receive(packet.span.bytes, now: .milliseconds(now))
    }
  }

  @Test("two ends measure the round trip, whatever their clocks show (RFC 3550 §6.4.1)", arguments: [0.0, 7, 160, 900])
  func roundTrip(_ roundTrip: Double) throws {
    var alice = End(ssrc: 1, seed: 11, offset: 1_700_000_000_000_000_000)
    var bob = End(ssrc: 2, seed: 12, offset: -5_000_000_000)
    var (toBob, toAlice): ([(Double, [UInt8])], [(Double, [UInt8])]) = ([], [])
    for tick in 0..<6000 {
      let now = Double(tick) * 5
      if tick % 4 == 0 {
        let sent = alice.sender.next(samples: 160, payloadType: 0, payloadCount: 160, now: .milliseconds(now))
        _ = bob.receiver.receive(sent, now: .milliseconds(now + roundTrip / 2))
        let back = bob.sender.next(samples: 160, payloadType: 0, payloadCount: 160, now: .milliseconds(now))
        if tick % 16 != 0 { _ = alice.receiver.receive(back, now: .milliseconds(now + roundTrip / 2)) }
      }
      for (at, packet) in toBob where at <= now {
        #expect(try bob.receive(packet, at).contains(.report) || at < 20_000)
      }
      toBob.removeAll { $0.0 <= now }
      for (at, packet) in toAlice where at <= now { _ = try alice.receive(packet, at) }
      toAlice.removeAll { $0.0 <= now }
      let (left, right) = (alice.timeout(now), bob.timeout(now))
      if !left.isEmpty { toBob.append((now + roundTrip / 2, left)) }
      if !right.isEmpty { toAlice.append((now + roundTrip / 2, right)) }
    }
    for measured in [alice.session.remote.roundTrip, bob.session.remote.roundTrip] {
      #expect(measured.map { abs($0.inMilliseconds - roundTrip) < 0.2 } == true)
    }
    #expect(bob.session.remote.fractionLost > 0.2 && bob.session.remote.fractionLost < 0.3)
    #expect(alice.session.remote.fractionLost == 0)
    #expect((4...12).contains(alice.reports.count))
  }

  @Test("the first report comes after half the interval, later ones after 0.5 to 1.5 times five seconds (§6.3.1)")
  func intervals() {
    var (first, later): ([Double], [Double]) = ([], [])
    for seed in 0..<60 {
      var end = End(ssrc: 1, seed: UInt64(seed), offset: 0)
      for tick in 0..<4000 { _ = end.timeout(Double(tick) * 10) }
      first.append(end.reports[0])
      later += zip(end.reports, end.reports.dropFirst()).map { $1 - $0 }
    }
    #expect(first.allSatisfy { $0 >= 1020 && $0 <= 3100 })
    #expect(later.allSatisfy { $0 >= 2040 && $0 <= 6180 })
    let mean = later.reduce(0, +) / Double(later.count)
    #expect(mean > 4000 && mean < 5500, "\(mean)")
  }

  @Test(
    "the calculated interval shares the bandwidth between senders and receivers (§6.2)",
    arguments: [
      (2, 1, true, 100.0, false, 5.0), (2, 1, true, 100, true, 2.5), (1000, 2, true, 100, false, 5),
      (1000, 500, true, 100, false, 250), (1000, 100, false, 100, false, 300), (1000, 100, true, 100, false, 100),
    ])
  func calculated(
    _ members: Int, _ senders: Int, _ isSender: Bool, _ size: Double, _ isInitial: Bool, _ expected: Double
  ) {
    let timing = RTCPTiming(minimum: 5, bandwidth: 400)
    let interval = timing.interval(
      members: members, senders: senders, isSender: isSender, averageSize: size, isInitial: isInitial)
    #expect(abs(interval - expected) < 1e-9)
  }

  @Test("who has sent nothing for two intervals sends receiver reports")
  func roles() throws {
    var end = End(ssrc: 1, seed: 3, offset: 0)
    var types: [UInt8] = []
    for tick in 0..<6000 {
      let now = Double(tick) * 5
      if now < 4000 {
        _ = end.sender.next(samples: 40, payloadType: 0, payloadCount: 40, now: .milliseconds(now))
      }
      let packet = end.timeout(now)
      if !packet.isEmpty { types.append(packet[1]) }
    }
    #expect(types.first == 200)
    #expect(types.last == 201)
    #expect(types.filter { $0 == 200 }.count <= 4)
  }

  @Test("a goodbye is composed with its reason and heard by the other end")
  func goodbye() throws {
    var alice = End(ssrc: 1, seed: 1, offset: 0)
    var bob = End(ssrc: 2, seed: 2, offset: 0)
    var receiver = alice.receiver
    let sender = alice.sender
    var session = alice.session
    let packet = [UInt8].written {
      session.goodbye(
        reason: Array("bye".utf8), now: .milliseconds(9), sender: sender, receiver: &receiver, into: &$0)
    }
    alice.session = session
    #expect(try bob.receive(packet, 10) == [.goodbye])
    #expect(bob.session.remote.hasLeft)
    #expect(try bob.receive(bytes("80C90001 00000001"), 11) == [])
    #expect(!bob.session.remote.hasLeft)
  }

  @Test("a malformed packet changes nothing")
  func refused() {
    var end = End(ssrc: 1, seed: 1, offset: 0)
    #expect(throws: RTCPError.truncated) { _ = try end.receive(bytes("81CB0001 00000002 80C80001 00000002"), 1) }
    #expect(end.session.remote == RTCPSession.Remote())
  }

  @Test("NTP time counts from 1900, with its fraction (§4)")
  func ntp() {
    let clock = WallClock(unixNanosecondsAtOrigin: 1_000_000_000)
    #expect(clock.ntpTime(.milliseconds(500)) == UInt64(2_208_988_801) << 32 | 0x8000_0000)
    #expect(clock.compactTime(.milliseconds(500)) == UInt32(truncatingIfNeeded: UInt64(2_208_988_801) << 16 | 0x8000))
    #expect(WallClock(unixNanosecondsAtOrigin: -1).ntpTime(.milliseconds(0)) >> 32 == 2_208_988_799)
  }
}
