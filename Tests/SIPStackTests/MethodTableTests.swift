internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Every request in every state")
struct MethodTableTests {
  enum State: String, CaseIterable {
    /// No dialog is named.
    case outside
    /// A dialog is named that is not there.
    case unknown
    /// From the caller, while the callee rings.
    case ringing
    /// From the callee, to the caller.
    case ringback
    /// From the caller, whose ACK was lost.
    case unacknowledged
    case standing
    /// From the caller, while his re-INVITE waits for its answer.
    case changing
    /// From the caller, while his UPDATE waits for its answer.
    case updating
    /// From the callee, meanwhile.
    case updated
    /// From the caller, while a provisional response waits for its PRACK.
    case reliable
    /// From the caller, after his BYE.
    case over
    /// From the subscriber, in the dialog of his subscription.
    case subscribed
  }

  static let methods: [SIPMethod] = [
    .invite, .ack, .bye, .cancel, .options, .update, .prack, .info, .message, .refer, .subscribe, .notify, .register,
    .publish, SIPMethod("LEVITATE"),
  ]

  /// What the answers are: `user` where the user is asked, a dash where nothing is to be said. 491 and 500 follow RFC 3261
  /// §14.2 and RFC 3311 §5.2, by whose offer waits.
  static let expected = """
              outside        unknown        ringing        ringback       unacknowledged standing       changing       updating       updated        reliable       over           subscribed
    INVITE    100 user       481            500            491            100 user       100 user       500            500            491            500            481            481
    ACK       -              -              -              -              -              -              -              -              -              -              -              -
    BYE       481            481            200            200            200            200            200            200            200            200            481            481
    CANCEL    481            481            481            481            481            481            481            481            481            481            481            481
    OPTIONS   200            481            200            200            200            200            200            200            200            200            481            200
    UPDATE    481            481            500            491            491            user           500            500            491            500            481            481
    PRACK     481            481            481            481            481            481            481            481            481            481            481            481
    INFO      user           481            200            200            200            200            200            200            200            200            481            481
    MESSAGE   200            481            200            200            200            200            200            200            200            200            481            200
    REFER     user           481            491            491            user           user           user           user           user           491            481            user
    SUBSCRIBE 489            481            489            489            489            489            489            489            489            489            481            200
    NOTIFY    user           481            481            481            481            481            481            481            481            481            481            481
    REGISTER  405            405            405            405            405            405            405            405            405            405            405            405
    PUBLISH   405            405            405            405            405            405            405            405            405            405            405            405
    LEVITATE  405            405            405            405            405            405            405            405            405            405            405            405
    """

  @Test("is answered as the table says")
  func table() throws {
    var lines = ["          " + State.allCases.map { Self.padded($0.rawValue) }.joined()]
    for method in Self.methods {
      let answers = try State.allCases.map { try Self.padded(Self.answer(to: method, in: $0)) }
      lines.append(method.name.padding(to: 10) + answers.joined())
    }
    let table = lines.map { line in String(line.reversed().drop { $0 == " " }.reversed()) }.joined(separator: "\n")
    #expect(table == Self.expected, "\n\(table)")
  }

  private static func padded(_ text: String) -> String { text.padding(to: 15) }

  private static func answer(to method: SIPMethod, in state: State) throws -> String {
    let pair = Pair(configuration: Self.configuration(state))
    switch state {
    case .outside: break
    case .unknown: break
    case .ringing, .ringback:
      pair.onEvent = { [unowned pair] side, event in
        if side == .b, case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
      }
    case .unacknowledged:
      pair.link = { $0.name == "ACK" ? [] : [10] }
      pair.answerByItself(after: 10)
    case .reliable:
      pair.link = { $0.name == "PRACK" ? [] : [10] }
      pair.answerByItself(after: 5000)
    case .standing, .changing, .updating, .updated, .over: pair.answerByItself(after: 10)
    case .subscribed:
      pair.onEvent = { [unowned pair] _, event in
        guard case .subscriptionRequested(let id, _) = event else { return }
        pair.b.acceptSubscription(id, body: SubscriptionTests.open, now: pair.now)
      }
      _ = SubscriptionTests.subscribe(pair)
    }
    let caller = [.outside, .unknown, .subscribed].contains(state) ? nil : pair.call()
    pair.run(200)
    if let caller, [.changing, .updating, .updated].contains(state) {
      pair.act { pair.a.reinvite(caller, body: Pair.offer, byUpdate: state != .changing, now: $0) }
      pair.run(100)
      #expect(pair.sent.last { $0.from == .a }?.name == (state == .changing ? "INVITE" : "UPDATE"))
    }
    if let caller, state == .over {
      pair.act { pair.a.hangUp(caller, now: $0) }
      pair.run(100)
    }
    let toCaller = state == .ringback || state == .updated
    let invite = pair.all(state == .subscribed ? "SUBSCRIBE" : "INVITE", from: .a).first?.message.headers
    let responses = ["180 INVITE", "200 INVITE", "200 SUBSCRIBE"]
    let to = pair.sent.last { $0.from == .b && responses.contains($0.name) }?.message.headers["To"]
    let ends = (
      from: invite?["From"] ?? "<sip:eve@192.0.2.1>;tag=f1",
      to: to ?? "<sip:bob@192.0.2.2>" + (state == .unknown ? ";tag=nobody" : "")
    )
    // Another contact would say that the callee has moved.
    let contact = pair.all("200 INVITE", from: .b).last.flatMap { toCaller ? $0.message.headers["Contact"] : nil }
    let (before, events) = (pair.sent.count, pair.events.count)
    pair.inject(
      Requests.text(
        method, uri: toCaller ? "sip:alice@192.0.2.1:5060" : "sip:bob@192.0.2.2", from: toCaller ? ends.to : ends.from,
        to: toCaller ? ends.from : ends.to, callID: invite?["Call-ID"] ?? "c1", sequence: 50,
        via: "SIP/2.0/UDP \(toCaller ? "192.0.2.2" : "192.0.2.1"):5060;rport",
        headers: Self.headers(method, contact: contact), body: Self.hasOffer(method) ? "offer" : ""),
      to: toCaller ? .a : .b, from: toCaller ? Pair.addressB : Pair.addressA)
    let answers = pair.sent.dropFirst(before).compactMap { sent -> String? in
      guard case .response(let status, _) = sent.message.startLine, sent.name == "\(status) \(method.name)" else {
        return nil
      }
      return "\(status)"
    }
    let asksUser = pair.events.dropFirst(events).contains { entry in
      switch entry.event {
      case .incomingCall, .reoffer, .incomingRequest, .referRequested, .subscriptionRequested: true
      default: false
      }
    }
    return (answers + (asksUser ? ["user"] : [])).joined(separator: " ").orDash
  }

  private static func configuration(_ state: State) -> SIPConfiguration {
    switch state {
    case .subscribed: SubscriptionTests.configuration
    case .reliable: SIPConfiguration(policy: CallPolicy(reliableProvisional: .yes))
    default: SIPConfiguration()
    }
  }

  private static func hasOffer(_ method: SIPMethod) -> Bool { method == .invite || method == .update }

  private static func headers(_ method: SIPMethod, contact: String?) -> [String] {
    let contact = ["Contact: \(contact ?? "<sip:eve@192.0.2.1>")", "Max-Forwards: 70"]
    return switch method {
    case .invite, .update: contact + ["Content-Type: application/sdp"]
    case .prack: ["RAck: 1 1 INVITE"]
    case .refer: contact + ["Refer-To: <sip:carol@192.0.2.9>"]
    case .subscribe: contact + ["Event: presence"]
    case .notify: contact + ["Event: refer", "Subscription-State: active"]
    default: contact
    }
  }
}

extension String {
  fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - self.count)) }
  fileprivate var orDash: String { self.isEmpty ? "-" : self }
}
