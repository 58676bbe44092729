internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Transaction machines")
struct TransactionTests {
  static let start = Instant(nanoseconds: 0)

  /// Fires every deadline until the machine has none, and notes when it did what.
  static func fire(
    deadline: () -> Instant?, timeout: (Instant) -> String
  ) -> [(Int64, String)] {
    var log: [(Int64, String)] = []
    while let next = deadline(), log.count < 100 {
      log.append((next.milliseconds(since: Self.start), timeout(next)))
    }
    return log
  }

  @Test("an INVITE without response is sent again at timer A, doubling, until timer B (RFC 3261 §17.1.1.2)")
  func inviteTimers() {
    var machine = InviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    let log = Self.fire(deadline: { machine.nextDeadline }, timeout: { "\(machine.timeout(now: $0))" })
    #expect(log.map(\.0) == [500, 1_500, 3_500, 7_500, 15_500, 31_500, 32_000])
    #expect(log.map(\.1) == Array(repeating: "retransmit", count: 6) + ["timedOut"])
    #expect(machine.isTerminated)
  }

  @Test("a request without response is sent again at timer E, up to T2, until timer F (RFC 3261 §17.1.2.2)")
  func nonInviteTimers() {
    var machine = NonInviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    let log = Self.fire(deadline: { machine.nextDeadline }, timeout: { "\(machine.timeout(now: $0))" })
    #expect(log.map(\.0) == [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000])
    #expect(log.last?.1 == "timedOut")
  }

  @Test("over a reliable transport nothing is sent again and nothing lingers")
  func reliable() {
    let timers = TransactionTimers(isReliable: true)
    var invite = InviteClientTransaction(timers: timers, now: Self.start)
    #expect(invite.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
    #expect(invite.receive(status: 486, now: Self.start) == .acknowledgeAndDeliver)
    #expect(invite.isTerminated)
    var request = NonInviteClientTransaction(timers: timers, now: Self.start)
    #expect(request.receive(status: 200, now: Self.start) == .deliver)
    #expect(request.isTerminated)
    var server = InviteServerTransaction(timers: timers)
    let isSent = server.respond(status: 486, now: Self.start)
    #expect(isSent)
    #expect(server.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
    _ = server.receiveAcknowledgement(now: Self.start)
    #expect(server.isTerminated)
    var other = NonInviteServerTransaction(timers: timers)
    _ = other.respond(status: 200, now: Self.start)
    #expect(other.isTerminated)
  }

  @Test("a provisional response ends the copies of an INVITE, and slows those of other requests to T2")
  func provisional() {
    var invite = InviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    #expect(invite.receive(status: 100, now: Self.start) == .deliver)
    #expect(invite.nextDeadline == nil)
    var request = NonInviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    _ = request.receive(status: 100, now: Self.start)
    let log = Self.fire(deadline: { request.nextDeadline }, timeout: { "\(request.timeout(now: $0))" })
    #expect(log.map(\.0).prefix(3) == [500, 4_500, 8_500])
  }

  @Test("a failure is acknowledged each time it comes, for timer D's 32 s (RFC 3261 §17.1.1.2)")
  func failureLingers() {
    var machine = InviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    #expect(machine.receive(status: 486, now: Self.start) == .acknowledgeAndDeliver)
    #expect(machine.receive(status: 486, now: Self.start) == .acknowledge)
    #expect(machine.receive(status: 200, now: Self.start) == .none)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
  }

  @Test("an accepted INVITE delivers every 2xx until timer M, and no failure (RFC 6026 §8.4)")
  func acceptedClient() {
    var machine = InviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    #expect(machine.receive(status: 200, now: Self.start) == .deliver)
    #expect(machine.receive(status: 200, now: Self.start) == .deliver)
    #expect(machine.receive(status: 486, now: Self.start) == .none)
    #expect(machine.receive(status: 180, now: Self.start) == .none)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
    #expect(machine.timeout(now: Self.start.advanced(byMilliseconds: 32_000)) == .none)
    #expect(machine.isTerminated)
  }

  @Test("a cancelled INVITE ends 64 × T1 after the CANCEL (RFC 3261 §9.1)")
  func cancelled() {
    var machine = InviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    machine.cancelled(now: Self.start)
    #expect(!machine.isProceeding)
    _ = machine.receive(status: 180, now: Self.start)
    machine.cancelled(now: Self.start)
    let limit = Self.start.advanced(byMilliseconds: 32_000)
    #expect(machine.nextDeadline == limit)
    #expect(machine.timeout(now: limit) == .timedOut)
  }

  @Test("a refused INVITE repeats its response at timer G, up to T2, until timer H (RFC 3261 §17.2.1)")
  func refusedServer() {
    var machine = InviteServerTransaction(timers: TransactionTimers())
    #expect(machine.nextDeadline == nil)
    let isSent = machine.respond(status: 486, now: Self.start)
    #expect(isSent)
    let isSentAgain = machine.respond(status: 200, now: Self.start)
    #expect(!isSentAgain)
    let log = Self.fire(deadline: { machine.nextDeadline }, timeout: { "\(machine.timeout(now: $0))" })
    #expect(log.map(\.0) == [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500, 32_000])
    #expect(log.last?.1 == "timedOut")
  }

  @Test("the ACK of a refusal stops its copies; timer I swallows further ACKs for T4")
  func confirmedServer() {
    var machine = InviteServerTransaction(timers: TransactionTimers())
    _ = machine.respond(status: 486, now: Self.start)
    #expect(machine.receiveInvite() == .retransmit)
    #expect(machine.receiveAcknowledgement(now: Self.start) == .none)
    #expect(machine.receiveInvite() == .none)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 5_000))
    _ = machine.timeout(now: Self.start.advanced(byMilliseconds: 5_000))
    #expect(machine.isTerminated)
  }

  @Test("an accepted INVITE swallows its copies until timer L (RFC 6026 §8.7)")
  func acceptedServer() {
    var machine = InviteServerTransaction(timers: TransactionTimers())
    _ = machine.respond(status: 200, now: Self.start)
    #expect(machine.receiveInvite() == .none)
    #expect(machine.receiveAcknowledgement(now: Self.start) == .deliver)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
  }

  @Test("a non-INVITE server repeats its response to copies for timer J's 64 × T1 (RFC 3261 §17.2.2)")
  func nonInviteServer() {
    var machine = NonInviteServerTransaction(timers: TransactionTimers())
    #expect(machine.receiveRequest() == .none)
    _ = machine.respond(status: 200, now: Self.start)
    #expect(machine.receiveRequest() == .retransmit)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 32_000))
    _ = machine.timeout(now: Self.start.advanced(byMilliseconds: 32_000))
    #expect(machine.isTerminated)
  }

  @Test("timer K keeps a finished request for T4, silently")
  func completedRequest() {
    var machine = NonInviteClientTransaction(timers: TransactionTimers(), now: Self.start)
    #expect(machine.receive(status: 200, now: Self.start) == .deliver)
    #expect(machine.receive(status: 200, now: Self.start) == .none)
    #expect(machine.nextDeadline == Self.start.advanced(byMilliseconds: 5_000))
  }
}
