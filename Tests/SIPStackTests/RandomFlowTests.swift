internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Random flows")
struct RandomFlowTests {
  /// One flow: a link with its own loss, copies and jitter, users who act at random; at 60 s both hang up.
  static func run(seed: UInt64) -> Pair {
    let pair = Pair(seed: seed)
    var generator = SeededGenerator(seed: seed &+ 1_000_000)
    func random(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &generator) }
    func chance(_ percent: Int64) -> Bool { random(1...100) <= percent }
    let loss = chance(30) ? 0 : random(0...45)
    let copies = random(0...20)
    let jitter = random(0...600)
    let start = pair.now
    // Some links go down for good in the middle.
    let cut = chance(15) ? random(0...50_000) : .max
    pair.link = { [unowned pair] _ in
      guard pair.now.milliseconds(since: start) < cut else { return [] }
      var delays: [Int64] = []
      if !chance(loss) { delays.append(5 + random(0...jitter)) }
      if chance(copies) { delays.append(5 + random(0...3_000)) }
      return delays
    }
    pair.onEvent = { [unowned pair] side, event in
      let endpoint = pair.endpoint(side)
      switch event {
      case .incomingCall(let id, let invite):
        if chance(70) { endpoint.ring(id, status: chance(50) ? 180 : 183, body: nil, now: pair.now) }
        let body = invite.body == nil ? Pair.offer : Pair.answer
        switch random(1...10) {
        case 1: endpoint.reject(id, status: chance(50) ? 486 : 302, now: pair.now)
        case 2: pair.after(random(0...8_000)) { endpoint.hangUp(id, now: pair.now) }
        case 3: break
        default: pair.after(random(0...8_000)) { endpoint.accept(id, body: body, now: pair.now) }
        }
        if chance(30) { pair.after(random(0...20_000)) { endpoint.hangUp(id, now: pair.now) } }
      case .answered(let id, _):
        if chance(90) { pair.after(random(0...1_000)) { endpoint.acknowledge(id, body: Pair.answer, now: pair.now) } }
      case .established(let id, _):
        for _ in 0..<random(0...3) {
          pair.after(random(0...10_000)) { endpoint.reinvite(id, body: Pair.offer, now: pair.now) }
        }
        if chance(50) { pair.after(random(0...20_000)) { endpoint.hangUp(id, now: pair.now) } }
      case .reoffer(let id, _, _):
        pair.after(random(0...2_000)) {
          if chance(80) {
            endpoint.acceptReinvite(id, body: Pair.answer, now: pair.now)
          } else {
            endpoint.rejectReinvite(id, now: pair.now)
          }
        }
      default: break
      }
    }
    let id = pair.call(body: chance(80) ? Pair.offer : nil)
    if chance(25) { pair.after(random(0...10_000)) { pair.a.hangUp(id, now: pair.now) } }
    pair.after(60_000) {
      pair.a.hangUp(id, now: pair.now)
      if let callee = pair.incoming { pair.b.hangUp(callee, now: pair.now) }
    }
    pair.runToEnd()
    return pair
  }

  @Test("every session ends exactly once on both sides and nothing remains", arguments: 0..<400)
  func flow(seed: UInt64) {
    let pair = Self.run(seed: seed)
    let note = Comment(rawValue: "seed \(seed)")
    var began: [Pair.Side: Set<SessionID>] = [:]
    var ended: [Pair.Side: Set<SessionID>] = [:]
    for (_, side, event) in pair.events {
      switch event {
      case .incomingCall(let id, _):
        began[side, default: []].insert(id)
      case .ended(let id, _):
        #expect(ended[side, default: []].insert(id).inserted, note)
      case .progress(let id, _), .answered(let id, _), .established(let id, _), .reoffer(let id, _, _),
        .reofferCancelled(let id), .reofferAcknowledged(let id, _), .reofferAnswered(let id, _),
        .reofferFailed(let id, _, _):
        #expect(ended[side]?.contains(id) != true, "an event after the end; seed \(seed)")
      case .headers: break
      default: Issue.record("no such request")
      }
    }
    #expect(ended[.a]?.count == 1, note)
    #expect(ended[.b] == began[.b], note)
    for side in [Pair.Side.a, .b] {
      // A copy of the INVITE that comes after everything was forgotten is a new call: B may see a few.
      #expect(pair.established(side).count <= max(1, began[.b]?.count ?? 0), note)
    }
    pair.expectEmpty(note)
  }

  @Test("a flow replays from its seed, byte for byte")
  func replay() {
    for seed in [3, 17, 99] as [UInt64] {
      let (one, other) = (Self.run(seed: seed), Self.run(seed: seed))
      #expect(one.sent.map(\.bytes) == other.sent.map(\.bytes))
      #expect(one.sent.map(\.at) == other.sent.map(\.at))
    }
  }
}
