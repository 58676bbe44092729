internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Replaces")
struct ReplacesTests {
  static func invite(_ pair: Pair, _ replaces: [String], branch: String = "z9hG4bKr") {
    pair.inject(
      Requests.text(
        .invite, callID: "other\(branch)", branch: branch,
        headers: replaces.map { "Replaces: \($0)" } + ["Content-Type: application/sdp", "Contact: <sip:c@192.0.2.3>"],
        body: "offer"), to: .b, from: SocketAddress(ipv4: 0xC000_0203, port: 5060))
  }

  /// What the peer of B's call would write to replace it.
  static func value(_ pair: Pair) throws -> String {
    let answer = try SIPEssentials(#require(pair.sent.last { $0.from == .b && $0.name.hasSuffix(" INVITE") }?.message))
    return "\(answer.callID);to-tag=\(answer.to.tag ?? "");from-tag=\(answer.from.tag ?? "")"
  }

  static func replaced(_ pair: Pair) -> (new: SessionID, old: SessionID?)? {
    for entry in pair.events.reversed() {
      if entry.side == .b, case .incomingCall(let id, let invite) = entry.event { return (id, invite.replaces) }
    }
    return nil
  }

  @Test("the call that is replaced is hung up as soon as the new one is accepted (RFC 3891 §3)")
  func confirmed() throws {
    let (pair, _, callee) = try Pair.standing()
    Self.invite(pair, [try Self.value(pair)])
    let call = try #require(Self.replaced(pair))
    #expect(call.old == callee && pair.ends(.b).isEmpty)
    pair.act { pair.b.accept(call.new, body: Pair.answer, now: $0) }
    #expect(pair.ends(.b) == [.replaced(by: call.new)])
    pair.run(1_000)
    #expect(pair.count("BYE", from: .b) == 1 && pair.ends(.a) == [.remoteHangup])
  }

  @Test("a new call that is refused leaves the old one alone")
  func refused() throws {
    let (pair, _, _) = try Pair.standing()
    Self.invite(pair, [try Self.value(pair)])
    let call = try #require(Self.replaced(pair))
    pair.act { pair.b.reject(call.new, status: 486, now: $0) }
    pair.run(1_000)
    #expect(pair.ends(.a).isEmpty && pair.count("BYE", from: .b) == 0)
  }

  @Test("what cannot be replaced: unknown 481, over 603, answered but early-only 486, nonsense 400, ringing here 481")
  func refusals() throws {
    let (pair, _, callee) = try Pair.standing()
    let value = try Self.value(pair)
    func status(_ values: [String], _ branch: String) -> String? {
      Self.invite(pair, values, branch: branch)
      return pair.sent.last { $0.from == .b && $0.name.hasSuffix("INVITE") }?.name
    }
    #expect(status(["nobody;to-tag=1;from-tag=2"], "z9hG4bK1") == "481 INVITE")
    #expect(status([value + ";early-only"], "z9hG4bK2") == "486 INVITE")
    #expect(status(["x;to-tag=1"], "z9hG4bK3") == "400 INVITE")
    #expect(status([value, value], "z9hG4bK4") == "400 INVITE")
    pair.act { pair.b.hangUp(callee, now: $0) }
    #expect(status([value], "z9hG4bK5") == "603 INVITE")
    #expect(Self.replaced(pair)?.new == callee, "none of these was an incoming call")

    let ringing = Pair()
    ringing.onEvent = { [unowned ringing] _, event in
      if case .incomingCall(let id, _) = event { ringing.b.ring(id, now: ringing.now) }
    }
    _ = ringing.call()
    ringing.run(100)
    Self.invite(ringing, [try Self.value(ringing)])
    #expect(ringing.sent.last { $0.from == .b }?.name == "481 INVITE")
  }

  @Test("a call of ours that is still ringing may be replaced: it is cancelled")
  func ringing() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      if case .incomingCall(let id, _) = event, side == .a { pair.a.ring(id, now: pair.now) }
    }
    pair.act {
      _ = pair.b.invite(
        OutgoingInvite(
          from: NameAddress(uri: Pair.uri("sip:b@192.0.2.2")), to: NameAddress(uri: Pair.uri("sip:a@192.0.2.1")),
          contact: Pair.uri("sip:b@192.0.2.2"), destination: Pair.addressA, local: Pair.addressB, body: Pair.offer),
        now: $0)
    }
    pair.run(100)
    let ring = try SIPEssentials(#require(pair.all("180 INVITE", from: .a).first?.message))
    Self.invite(pair, ["\(ring.callID);to-tag=\(ring.from.tag ?? "");from-tag=\(ring.to.tag ?? "");early-only"])
    let call = try #require(Self.replaced(pair))
    #expect(call.old != nil)
    pair.act { pair.b.accept(call.new, body: Pair.answer, now: $0) }
    pair.run(1_000)
    #expect(pair.count("CANCEL", from: .b) == 1 && pair.ends(.a) == [.cancelled])
  }

  @Test("an attended transfer, end to end: A, who talks to B twice, has B replace one call by the other")
  func attended() throws {
    // Both calls end at B here: the dialogs are what matters, not how many machines there are.
    let (pair, first, _) = try Pair.standing()
    pair.answerByItself(ring: false, after: 10)
    let second = pair.call()
    pair.run(1_000)
    let callees = pair.events.compactMap { entry in
      if entry.side == .b, case .incomingCall(let id, _) = entry.event { id } else { nil }
    }
    pair.onEvent = { [unowned pair] side, event in
      switch event {
      case .referRequested(let refer, let request):
        pair.b.acceptRefer(refer, now: pair.now)
        #expect(request.session == callees[0] && request.replaces?.callID != nil)
        _ = pair.b.invite(
          OutgoingInvite(
            from: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")), to: request.target,
            contact: Pair.uri("sip:bob@192.0.2.2"), destination: Pair.addressB, local: Pair.addressB,
            headers: request.inviteHeaders, body: Pair.offer), now: pair.now)
      case .incomingCall(let id, let invite):
        #expect(invite.replaces == callees[1])
        pair.endpoint(side).accept(id, body: Pair.answer, now: pair.now)
      default: break
      }
    }
    pair.act {
      if let target = pair.a.remoteParty(of: second) { _ = pair.a.refer(first, to: target, replaces: second, now: $0) }
    }
    pair.run(2_000)
    let ended = pair.events.compactMap { entry in
      if case .ended(let id, let reason) = entry.event { "\(entry.side) \(id): \(reason)" } else { nil }
    }
    #expect(ended.contains("a \(second): remoteHangup") && ended.contains { $0.contains("\(callees[1]): replaced") })
    #expect(!ended.contains { $0.contains("a \(first)") })
  }
}
