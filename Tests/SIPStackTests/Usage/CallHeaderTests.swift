internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Header fields of a call")
struct CallHeaderTests {
  static func heard(_ pair: Pair, _ side: Pair.Side) -> [(name: String, headers: SIPHeaders)] {
    pair.events.compactMap { entry in
      guard entry.side == side, case .headers(_, let method, let status, let headers) = entry.event else { return nil }
      return ((status.map { "\($0) " } ?? "") + method.name, headers)
    }
  }

  @Test("own header fields on INVITE, 180, 200 and BYE arrive; a BYE says why (RFC 3326)")
  func life() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      guard side == .b, case .incomingCall(let id, let invite) = event else { return }
      #expect(invite.headers["X-Invite"] == "1")
      pair.b.ring(id, headers: [("X-Ring", "2")], now: pair.now)
      pair.b.accept(id, headers: [("X-Accept", "3")], body: Pair.answer, now: pair.now)
    }
    let id = pair.call(headers: [("X-Invite", "1")])
    pair.run(1_000)
    guard case .progress(_, let progress)? = pair.events.first(where: { $0.side == .a })?.event else {
      Issue.record("no progress")
      return
    }
    #expect(progress.headers["X-Ring"] == "2")
    pair.act { pair.a.hangUp(id, headers: [("Reason", "Q.850;cause=16;text=\"Normal, clearing\"")], now: $0) }
    pair.run(1_000)
    #expect(Self.heard(pair, .a).map(\.name) == ["200 INVITE"] && Self.heard(pair, .a)[0].headers["X-Accept"] == "3")
    let bye = try #require(Self.heard(pair, .b).first { $0.name == "BYE" })
    #expect(bye.headers.reason("q.850")?.cause == 16 && bye.headers.reason("Q.850")?.text == "Normal, clearing")
    #expect(bye.headers.reason("SIP") == nil)
  }

  @Test("a refusal and a CANCEL carry theirs")
  func refusals() {
    let refused = Pair()
    refused.onEvent = { [unowned refused] _, event in
      if case .incomingCall(let id, _) = event {
        refused.b.hangUp(id, status: 480, headers: [("Retry-After", "60")], now: refused.now)
      }
    }
    _ = refused.call()
    refused.run(100)
    #expect(Self.heard(refused, .a).map(\.name) == ["480 INVITE"])
    #expect(Self.heard(refused, .a).first?.headers["Retry-After"] == "60")

    let cancelled = Pair()
    let id = cancelled.call()
    cancelled.run(100)
    cancelled.act {
      cancelled.a.hangUp(id, headers: [("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"")], now: $0)
    }
    cancelled.run(100)
    #expect(Self.heard(cancelled, .b).first { $0.name == "CANCEL" }?.headers.reason("SIP")?.cause == 200)
  }

  @Test("a hang-up before the ACK keeps its header fields for the BYE that has to wait")
  func delayedBye() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event {
        pair.b.accept(id, body: Pair.answer, now: pair.now)
        pair.b.hangUp(id, headers: [("X-Why", "no")], now: pair.now)
      }
    }
    _ = pair.call()
    pair.run(1_000)
    #expect(pair.all("BYE", from: .b).first?.message.headers["X-Why"] == "no")
  }

  @Test("an anonymous call hides From and tells a trusted proxy who it is (RFC 3323 §4.1, RFC 3325)")
  func anonymous() throws {
    let pair = Pair()
    var call = OutgoingInvite(
      from: NameAddress(displayName: "Alice", uri: Pair.uri("sip:alice@192.0.2.1")),
      to: NameAddress(uri: Pair.uri("sip:bob@192.0.2.2")), contact: Pair.uri("sip:alice@192.0.2.1:5060"),
      destination: Pair.addressB, local: Pair.addressA, body: Pair.offer)
    var direct = call
    call.makeAnonymous(tellsProxy: true)
    direct.makeAnonymous(tellsProxy: false)
    #expect(!direct.headers.contains { $0.0 == "P-Preferred-Identity" })
    pair.act { _ = pair.a.invite(call, now: $0) }
    pair.run(100)
    let invite = try #require(pair.all("INVITE", from: .a).first?.message)
    #expect(invite.headers["From"]?.hasPrefix("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=") == true)
    #expect(invite.headers["Contact"] == "<sip:anonymous@192.0.2.1:5060>")
    #expect(invite.headers.privacy == ["id"])
    #expect(invite.headers.preferredIdentities.first?.uri == Pair.uri("sip:alice@192.0.2.1"))
    let other = SIPHeaders([
      ("P-Asserted-Identity", "\"A, B\" <sip:a@b>, <tel:+1>"), ("Privacy", "Header;id, user"),
      ("Diversion", "<sip:x@y>;reason=no-answer"), ("Diversion", "<sip:z@y>"),
    ])
    #expect(other.assertedIdentities.map(\.uri.description) == ["sip:a@b", "tel:+1"])
    #expect(other.privacy == ["header", "id", "user"])
    #expect(other.diversions.map(\.uri.description) == ["sip:x@y", "sip:z@y"])
  }
}
