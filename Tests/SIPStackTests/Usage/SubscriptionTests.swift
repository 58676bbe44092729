internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Subscriptions")
struct SubscriptionTests {
  static let configuration = SIPConfiguration(eventPackages: ["presence", "message-summary"])
  static let open = SIPBody(contentType: "application/pidf+xml", bytes: Array("<open/>".utf8))
  static let closed = SIPBody(contentType: "application/pidf+xml", bytes: Array("<closed/>".utf8))

  static func words(_ pair: Pair, _ side: Pair.Side) -> [String] {
    pair.events.compactMap { entry in
      guard entry.side == side else { return nil }
      return switch entry.event {
      case .subscriptionRequested(_, let request): "asked \(request.event) \(request.expires)"
      case .subscriptionAccepted(_, let expires): "accepted \(expires)"
      case .subscriptionRefreshed: "refreshed"
      case .notified(_, let notice):
        "\(notice.state) \(notice.body.map { String(decoding: $0.bytes, as: UTF8.self) } ?? "")"
      case .subscriptionEnded(_, let end): "ended \(end)"
      default: nil
      }
    }
  }

  @discardableResult
  static func subscribe(_ pair: Pair, event: String = "presence", expires: Int = 600) -> SubscriptionID? {
    var id: SubscriptionID?
    pair.act {
      id = pair.a.subscribe(
        OutgoingSubscription(
          from: NameAddress(uri: Pair.uri("sip:a@192.0.2.1")), to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")),
          contact: Pair.uri("sip:a@192.0.2.1:5060"), targets: [SIPTarget(address: Pair.addressB)], local: Pair.addressA,
          event: event, accept: ["application/pidf+xml"], expires: expires), now: $0)
    }
    return id
  }

  /// B grants whatever is asked.
  static func granting(seed: UInt64 = 1, expires: Int? = nil) -> Pair {
    let pair = Pair(seed: seed, configuration: Self.configuration)
    pair.onEvent = { [unowned pair] _, event in
      if case .subscriptionRequested(let id, _) = event {
        pair.b.acceptSubscription(id, expires: expires, body: Self.open, now: pair.now)
      }
    }
    return pair
  }

  static func notifier(_ pair: Pair) throws -> SubscriptionID {
    for entry in pair.events { if case .subscriptionRequested(let id, _) = entry.event { return id } }
    throw SIPParseError.empty
  }

  @Test("SUBSCRIBE, 200, NOTIFY; the state changes; the subscriber ends it (RFC 6665 §4)")
  func life() throws {
    let pair = Self.granting()
    let id = try #require(Self.subscribe(pair))
    pair.run(1_000)
    let notifier = try Self.notifier(pair)
    pair.act { pair.b.notify(notifier, body: Self.closed, now: $0) }
    pair.run(1_000)
    pair.act { pair.a.unsubscribe(id, now: $0) }
    pair.runToEnd()
    #expect(Self.words(pair, .a) == ["accepted 600", "active <open/>", "active <closed/>", "ended local"])
    #expect(Self.words(pair, .b) == ["asked presence 600", "ended unsubscribed"])
    let subscribe = try #require(pair.all("SUBSCRIBE", from: .a).first?.message)
    #expect(subscribe.headers["Event"] == "presence" && subscribe.headers["Expires"] == "600")
    #expect(subscribe.headers["Accept"] == "application/pidf+xml")
    #expect(pair.all("SUBSCRIBE", from: .a).last?.message.headers["Expires"] == "0")
    let states = pair.all("NOTIFY", from: .b).map { $0.message.headers["Subscription-State"] ?? "" }
    #expect(states == ["active;expires=600", "active;expires=599", "terminated;reason=timeout"])
    pair.expectEmpty()
  }

  @Test("it is refreshed before it expires, for as long as it is wanted")
  func refresh() throws {
    let pair = Self.granting(expires: 300)
    let id = try #require(Self.subscribe(pair))
    pair.run(2_000_000)
    #expect((7...8).contains(pair.count("SUBSCRIBE", from: .a)))
    #expect(Self.words(pair, .b).filter { $0 == "refreshed" }.count >= 6)
    #expect(pair.all("NOTIFY", from: .b).allSatisfy { $0.message.body == Self.open })
    pair.act { pair.a.unsubscribe(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test(
    "a subscriber that dies: the notifier's time runs out; a notifier that dies: the refresh fails",
    arguments: [true, false])
  func death(ofSubscriber: Bool) throws {
    let pair = Self.granting()
    Self.subscribe(pair, expires: 100)
    pair.run(1_000)
    let dead: Pair.Side = ofSubscriber ? .a : .b
    pair.link = { $0.from == dead ? [] : [10] }
    pair.runToEnd()
    #expect(Self.words(pair, ofSubscriber ? .b : .a).last == "ended timeout")
    pair.expectEmpty()
  }

  @Test("a package that is not known gets 489 with those that are, and so does a SUBSCRIBE without one")
  func badEvent() throws {
    let pair = Self.granting()
    Self.subscribe(pair, event: "weather")
    pair.run(1_000)
    let refusal = try #require(pair.all("489 SUBSCRIBE", from: .b).first?.message)
    #expect(refusal.headers["Allow-Events"] == "presence, message-summary")
    #expect(Self.words(pair, .a) == ["ended refused(status: 489, reason: \"Bad Event\")"])
    pair.inject(Requests.text(.subscribe, branch: "z9hG4bKe"), to: .b, from: Pair.addressA)
    #expect(pair.count("489 SUBSCRIBE", from: .b) == 2)
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("423 names the least that is granted, and it is asked for")
  func tooBrief() throws {
    let pair = Pair(configuration: Self.configuration)
    pair.onEvent = { [unowned pair] _, event in
      guard case .subscriptionRequested(let id, let request) = event else { return }
      if request.expires < 120 {
        pair.b.rejectSubscription(id, status: 423, headers: [("Min-Expires", "120")], now: pair.now)
      } else {
        pair.b.acceptSubscription(id, body: Self.open, now: pair.now)
      }
    }
    let id = try #require(Self.subscribe(pair, expires: 60))
    pair.run(1_000)
    #expect(Self.words(pair, .a) == ["accepted 120", "active <open/>"])
    #expect(pair.all("SUBSCRIBE", from: .a).map { $0.message.headers["CSeq"] ?? "" } == ["1 SUBSCRIBE", "2 SUBSCRIBE"])
    pair.act { pair.a.unsubscribe(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a fetch: expires 0 brings one state and ends")
  func fetch() {
    let pair = Self.granting()
    Self.subscribe(pair, expires: 0)
    pair.runToEnd()
    #expect(Self.words(pair, .a) == ["accepted 0", "terminated <open/>", "ended local"])
    #expect(Self.words(pair, .b) == ["asked presence 0", "ended unsubscribed"])
    pair.expectEmpty()
  }

  @Test("pending, then active; then the notifier ends it with a reason")
  func pending() throws {
    let pair = Pair(configuration: Self.configuration)
    pair.onEvent = { [unowned pair] _, event in
      if case .subscriptionRequested(let id, _) = event {
        pair.b.acceptSubscription(id, state: .pending, body: nil, now: pair.now)
        pair.after(1_000) { pair.b.notify(id, body: Self.open, now: pair.now) }
        pair.after(2_000) { pair.b.terminateSubscription(id, reason: "rejected", now: pair.now) }
      }
    }
    Self.subscribe(pair)
    pair.runToEnd()
    #expect(
      Self.words(pair, .a) == [
        "accepted 600", "pending ", "active <open/>", "terminated ",
        "ended terminated(reason: \"rejected\", retryAfter: nil)",
      ])
    #expect(Self.words(pair, .b) == ["asked presence 600", "ended local"])
    pair.expectEmpty()
  }

  @Test("no first NOTIFY within 64 × T1: the subscription has failed (timer N)")
  func timerN() {
    let pair = Self.granting()
    pair.link = { $0.name == "NOTIFY" ? [] : [10] }
    Self.subscribe(pair)
    pair.runToEnd()
    #expect(Self.words(pair, .a) == ["accepted 600", "ended timeout"])
    #expect(Self.words(pair, .b).last == "ended timeout")
    pair.expectEmpty()
  }

  @Test("a NOTIFY may overtake the 200, and may be lost or copied", arguments: 1...40)
  func loss(seed: UInt64) throws {
    let pair = Self.granting(seed: seed)
    var generator = SeededGenerator(seed: seed)
    pair.link = { _ in
      Int.random(in: 0..<10, using: &generator) < 3 ? [] : [Int64.random(in: 1...900, using: &generator), 1200]
    }
    let id = try #require(Self.subscribe(pair))
    pair.run(30_000)
    pair.act { pair.a.unsubscribe(id, now: $0) }
    pair.runToEnd()
    #expect(Self.words(pair, .a).filter { $0.hasPrefix("ended") }.count == 1)
    pair.expectEmpty()
  }

  @Test("a NOTIFY for nobody gets 481, one without a state 400, one without an event 489")
  func strangeNotifies() throws {
    let pair = Self.granting()
    Self.subscribe(pair)
    pair.run(1_000)
    let answer = try SIPEssentials(#require(pair.all("200 SUBSCRIBE", from: .b).first?.message))
    func notify(_ headers: [String], _ sequence: Int) -> String? {
      pair.inject(
        Requests.text(
          .notify, from: answer.to.description, to: answer.from.description, callID: answer.callID, sequence: sequence,
          branch: "z9hG4bKn\(sequence)", headers: headers), to: .a, from: Pair.addressB)
      return pair.sent.last { $0.from == .a }?.name
    }
    #expect(notify(["Event: dialog", "Subscription-State: active"], 20) == "481 NOTIFY")
    #expect(notify(["Event: presence"], 21) == "400 NOTIFY")
    #expect(notify(["Subscription-State: active"], 22) == "489 NOTIFY")
    #expect(notify(["Event: presence", "Subscription-State: active;expires=500"], 23) == "200 NOTIFY")
    pair.inject(
      Requests.text(.notify, to: "<sip:a@b>;tag=x", headers: ["Event: presence", "Subscription-State: active"]),
      to: .a, from: Pair.addressB)
    #expect(pair.sent.last { $0.from == .a }?.name == "481 NOTIFY")
  }

  @Test("a NOTIFY that does not say how long leaves the time as it was granted (RFC 6665 §4.1.3)")
  func notifyWithoutExpires() throws {
    let pair = Pair(configuration: Self.configuration)
    pair.link = { _ in [] }
    Self.subscribe(pair, expires: 3_600)
    try ForkTests.answer(pair, 200, to: "SUBSCRIBE", tag: "n", headers: [("Expires", "600")])
    let sent = try SIPEssentials(#require(pair.all("SUBSCRIBE", from: .a).first?.message))
    for minute in 0..<9 {
      pair.inject(
        Requests.text(
          .notify, from: "<sip:bob@192.0.2.2>;tag=n", to: sent.from.description, callID: sent.callID,
          sequence: minute + 1, branch: "z9hG4bKn\(minute)", headers: ["Event: presence", "Subscription-State: active"]),
        to: .a, from: Pair.addressB)
      pair.run(60_000)
    }
    #expect(pair.all("200 NOTIFY", from: .a).count == 9 && pair.count("SUBSCRIBE", from: .a) == 1)
    pair.run(35_000)
    #expect(pair.count("SUBSCRIBE", from: .a) > 1, "it is refreshed before 600 s are over")
  }

  @Test("a subscription in a call shares its dialog and outlives it")
  func inCall() throws {
    let (pair, _, callee) = try Pair.standing(configuration: Self.configuration)
    pair.onEvent = { [unowned pair] _, event in
      if case .subscriptionRequested(let id, _) = event {
        pair.b.acceptSubscription(id, body: Self.open, now: pair.now)
      }
    }
    let dialog = try ReofferTests.dialogOfA(pair)
    pair.inject(
      Requests.text(
        .subscribe, from: dialog.from, to: dialog.to, callID: dialog.callID, sequence: 5,
        headers: ["Event: presence;id=7", "Expires: 100"]), to: .b, from: Pair.addressA)
    #expect(pair.all("NOTIFY", from: .b).first?.message.headers["Event"] == "presence;id=7")
    #expect(pair.b.census.dialogs == 1 && pair.b.census.subscriptions == 1)
    pair.act { pair.b.hangUp(callee, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }
}
