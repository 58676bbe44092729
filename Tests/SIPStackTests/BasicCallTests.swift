internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Basic calls")
struct BasicCallTests {
  @Test("a call is set up and hung up as in RFC 3261 §24.2")
  func session() throws {
    let pair = Pair()
    pair.answerByItself()
    let id = pair.call()
    pair.run(5_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    #expect(
      pair.ladder == [
        "a:INVITE", "b:100 INVITE", "b:180 INVITE", "b:200 INVITE", "a:ACK", "a:BYE", "b:200 BYE",
      ])
    #expect(pair.ends(.a) == [.localHangup])
    #expect(pair.ends(.b) == [.remoteHangup])
    #expect(pair.established(.a) == [Pair.answer])
    #expect(pair.established(.b) == [nil])
    pair.expectEmpty()
  }

  @Test("the INVITE has every header that it needs (RFC 3261 §8.1.1, RFC 3581 §3)")
  func inviteHeaders() throws {
    let pair = Pair(configuration: SIPConfiguration(supported: ["replaces"]))
    _ = pair.call(headers: [("X-Extra", "1")])
    let invite = try #require(pair.sent.first?.message)
    let essentials = try SIPEssentials(invite)
    #expect(essentials.via.branch.hasPrefix("z9hG4bK") && essentials.via.branch.count >= 7 + 16)
    #expect(essentials.via.parameters.contains("rport") && essentials.via.transport == "UDP")
    #expect(essentials.from.tag?.count == 16 && essentials.to.tag == nil)
    #expect(essentials.callID.count >= 16)
    #expect(essentials.cseq == CSeq(number: 1, method: .invite))
    #expect(invite.headers["Max-Forwards"] == "70")
    #expect(invite.headers["Contact"] == "<sip:alice@192.0.2.1:5060>")
    #expect(invite.headers["Allow"] == Pair.allowed)
    #expect(invite.headers["Supported"] == "replaces, timer")
    #expect(invite.headers["User-Agent"] == "Apus")
    #expect(invite.headers["Content-Type"] == "application/sdp")
    #expect(invite.headers["Content-Length"] == "5")
    #expect(invite.headers["X-Extra"] == "1")
  }

  @Test("over IPv6 the Via has brackets and no scope; over TCP nothing is sent again")
  func otherTransports() throws {
    let endpoint = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 1))
    let start = Instant(nanoseconds: 0)
    _ = endpoint.invite(
      OutgoingInvite(
        from: NameAddress(uri: Pair.uri("sip:a@[fe80::1]")), to: NameAddress(uri: Pair.uri("sip:b@[fe80::2]")),
        contact: Pair.uri("sip:a@[fe80::1]"),
        destination: SocketAddress(ipv6: 0xFE80_0000_0000_0000, 2, port: 5060, scope: 3),
        local: SocketAddress(ipv6: 0xFE80_0000_0000_0000, 1, port: 5062, scope: 3), transport: .tcp, body: Pair.offer),
      now: start)
    guard case .send(let bytes, let path)? = endpoint.nextAction(), path.transport == .tcp else {
      Issue.record("nothing was sent over TCP")
      return
    }
    let message = try bytes.withRawSpan { span throws(SIPParseError) in try SIPMessage(datagram: span) }
    #expect(message.headers["Via"]?.hasPrefix("SIP/2.0/TCP [fe80::1]:5062;rport;branch=z9hG4bK") == true)
    #expect(endpoint.nextDeadline == start.advanced(byMilliseconds: 32_000))
  }

  @Test(
    "who is called by sips, or through a route that is, is reached by sips (RFC 3261 §12.1.1)",
    arguments: [
      ("sips:bob@192.0.2.2", "", "<sips:bob@192.0.2.2:5060>"),
      ("sip:bob@192.0.2.2", "Record-Route: <sips:192.0.2.9;lr>", "<sips:bob@192.0.2.2:5060>"),
      ("sip:bob@192.0.2.2", "Contact: <sips:eve@192.0.2.1>", "<sips:bob@192.0.2.2:5060>"),
      ("sip:bob@192.0.2.2", "Contact: <sip:eve@192.0.2.1>", "<sip:bob@192.0.2.2:5060;transport=tls>"),
    ])
  func secured(uri: String, header: String, contact: String) throws {
    let pair = Pair()
    let headers = header.isEmpty ? [] : [header]
    let text = Requests.text(.invite, uri: uri, via: "SIP/2.0/TLS 192.0.2.1:5061", headers: headers)
    Array(text.utf8).withRawSpan { span in
      pair.b.receive(
        span, from: Pair.addressA, on: Pair.addressB, transport: .tls, flow: SIPFlow(number: 3), now: pair.now)
    }
    pair.act { _ in }
    let id = try #require(pair.incoming)
    pair.act { pair.b.accept(id, body: Pair.answer, now: $0) }
    #expect(pair.all("200 INVITE", from: .b).first?.message.headers["Contact"] == contact)
  }

  @Test("the callee hears who calls, whom, and with what")
  func incoming() throws {
    let pair = Pair()
    _ = pair.call(headers: [("X-Extra", "1")])
    pair.run(100)
    var invites: [IncomingInvite] = []
    for entry in pair.events { if case .incomingCall(_, let invite) = entry.event { invites.append(invite) } }
    let invite = try #require(invites.first)
    #expect(invites.count == 1)
    #expect(invite.from.displayName == "Alice")
    #expect(invite.requestURI == Pair.uri("sip:bob@192.0.2.2"))
    #expect(invite.body == Pair.offer)
    #expect(invite.headers["x-extra"] == "1")
    #expect(invite.source == Pair.addressA)
  }

  @Test("the callee hangs up")
  func calleeHangsUp() throws {
    let (pair, _, callee) = try Pair.standing()
    pair.act { pair.b.hangUp(callee, now: $0) }
    pair.runToEnd()
    #expect(pair.ends(.b) == [.localHangup] && pair.ends(.a) == [.remoteHangup])
    pair.expectEmpty()
  }

  @Test("BYE crosses BYE: both get 200 and both end once")
  func crossingByes() throws {
    let (pair, caller, callee) = try Pair.standing()
    pair.act {
      pair.a.hangUp(caller, now: $0)
      pair.b.hangUp(callee, now: $0)
    }
    pair.runToEnd()
    #expect(pair.count("200 BYE", from: .a) == 1 && pair.count("200 BYE", from: .b) == 1)
    #expect(pair.ends(.a) == [.localHangup] && pair.ends(.b) == [.localHangup])
    pair.expectEmpty()
  }

  @Test("early media: a 183 brings its body, and the answer comes with the 200")
  func earlyMedia() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      if side == .b, case .incomingCall(let id, _) = event {
        pair.b.ring(id, status: 183, body: Pair.answer, now: pair.now)
      }
    }
    let id = pair.call()
    pair.run(100)
    guard case .progress(id, let progress)? = pair.events.last?.event else {
      Issue.record("no progress")
      return
    }
    #expect(progress.status == 183 && progress.reason == "Session Progress" && progress.body == Pair.answer)
    #expect(progress.dialog != nil && !progress.isReliable)
  }

  @Test("late offer: the offer comes with the 200, the answer goes with the ACK")
  func lateOffer() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      switch event {
      case .incomingCall(let id, let invite):
        #expect(invite.body == nil)
        pair.b.accept(id, body: Pair.offer, now: pair.now)
      case .answered(let id, let offer):
        #expect(offer == Pair.offer)
        pair.after(700) { pair.a.acknowledge(id, body: Pair.answer, now: pair.now) }
      default: break
      }
    }
    let id = pair.call(body: nil)
    pair.run(3_000)
    #expect(pair.established(.a) == [nil])
    #expect(pair.established(.b) == [Pair.answer])
    #expect(pair.count("ACK", from: .a) == 1, "the copy of the 200 was not acknowledged before the answer was there")
    pair.act { pair.a.hangUp(id, now: $0) }
    pair.runToEnd()
    pair.expectEmpty()
  }

  @Test("a refusal ends the call at both ends", arguments: [404, 480, 486, 488, 603])
  func refusal(status: Int) throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] side, event in
      if case .incomingCall(let id, _) = event { pair.b.reject(id, status: status, reason: "No", now: pair.now) }
    }
    _ = pair.call()
    pair.runToEnd()
    #expect(pair.ends(.a) == [.rejected(status: status, reason: "No")])
    #expect(pair.ends(.b) == [.rejected(status: status, reason: "No")])
    #expect(pair.count("ACK", from: .a) == 1)
    pair.expectEmpty()
  }

  @Test("the ACK of a refusal has the INVITE's branch, the ACK of a 2xx its own (RFC 3261 §17.1.1.3, §13.2.2.4)")
  func acknowledgementBranches() throws {
    let refused = Pair()
    refused.onEvent = { [unowned refused] _, event in
      if case .incomingCall(let id, _) = event { refused.b.reject(id, status: 486, now: refused.now) }
    }
    _ = refused.call()
    refused.runToEnd()
    let accepted = try Pair.standing().0
    for (pair, isSame) in [(refused, true), (accepted, false)] {
      let invite = try SIPEssentials(#require(pair.all("INVITE", from: .a).first?.message))
      let ack = try SIPEssentials(#require(pair.all("ACK", from: .a).first?.message))
      #expect((invite.via.branch == ack.via.branch) == isSame)
      #expect(ack.cseq.number == invite.cseq.number)
      #expect(ack.to.tag != nil)
    }
  }

  @Test("a redirect brings its contacts")
  func redirect() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event {
        pair.b.reject(
          id, status: 302, headers: [("Contact", "<sip:bob@192.0.2.9>;q=0.5, \"B, C\" <sip:c@192.0.2.10>")],
          now: pair.now)
      }
    }
    _ = pair.call()
    pair.runToEnd()
    guard case .redirected(let contacts)? = pair.ends(.a).first else {
      Issue.record("not redirected")
      return
    }
    #expect(contacts.map(\.uri.description) == ["sip:bob@192.0.2.9", "sip:c@192.0.2.10"])
    #expect(contacts.last?.displayName == "B, C")
    pair.expectEmpty()
  }

  @Test("requests inside the dialog follow the Record-Route set, reversed at the caller (RFC 3261 §12.1)")
  func recordRoute() throws {
    let pair = Pair()
    let proxies = ["<sip:192.0.2.2:5060;lr;n=1>", "<sip:192.0.2.2:5060;lr;n=2>"]
    pair.answerByItself()
    let id = pair.call(headers: proxies.map { ("Record-Route", $0) })
    pair.run(2_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    let bye = try #require(pair.all("BYE", from: .a).first)
    #expect(bye.message.headers.all("Route") == proxies.reversed())
    #expect(bye.message.headers["CSeq"] == "2 BYE")
  }

  @Test("a strict router gets its own URI in the request line (RFC 3261 §12.2.1.1)")
  func strictRoute() throws {
    let pair = Pair()
    pair.answerByItself()
    let id = pair.call(headers: [("Record-Route", "<sip:192.0.2.2:5060>")])
    pair.run(2_000)
    pair.act { pair.a.hangUp(id, now: $0) }
    let bye = try #require(pair.all("BYE", from: .a).first?.message)
    #expect(bye.startLine == .request(.bye, Pair.uri("sip:192.0.2.2:5060")))
    #expect(bye.headers.all("Route") == ["<sip:bob@192.0.2.2:5060>"])
  }

  @Test("a call that rings for minutes repeats its 180 each minute (RFC 3261 §13.3.1.1)")
  func longRinging() throws {
    let pair = Pair()
    pair.onEvent = { [unowned pair] _, event in
      if case .incomingCall(let id, _) = event { pair.b.ring(id, now: pair.now) }
    }
    _ = pair.call()
    pair.run(130_000)
    #expect(pair.times("180 INVITE", from: .b) == [0, 60_000, 120_000])
  }
}
