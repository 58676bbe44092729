import NetBase
import SDPCodec
import Testing

@Suite struct AnswerTests {
  static let anything = ["RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF"]

  /// Answers `lines` from a peer with `local`; the answer and what was agreed.
  static func answer(
    _ lines: [String], _ local: LocalMedia?, matching: CodecMatching = CodecMatching()
  ) throws -> (SessionDescription, NegotiatedMedia) {
    var agent = try agent(matching: matching)
    let text = (["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"] + lines).joined(
      separator: "\n")
    try agent.receiveOffer(try SessionDescription(parsing: text))
    let answer = try agent.makeAnswer([local])
    return (answer, try #require(agent.negotiated.first))
  }

  @Test("numbers are the offer's, the order ours or, when asked, the peer's")
  func order() throws {
    let lines = ["m=audio 5000 RTP/AVP 0 8 111 9 99", "a=rtpmap:111 OPUS/48000/2", "a=rtpmap:99 telephone-event/8000"]
    let local = try audio([opus, g722, pcmu, events])
    let (ours, media) = try Self.answer(lines, local)
    #expect(ours.media[0].formats == ["111", "9", "0", "99"])
    #expect(ours.media[0].fmtps == [111: "stereo=1;sprop-stereo=1", 99: "0-15"])
    #expect(media.sendCodecs.brief == ["opus@111", "g722@9", "pcmu@0"])
    #expect(media.sendTelephoneEvent?.payloadType == 99)
    #expect(media.receiveTelephoneEvents.map(\.payloadType) == [99])
    let (theirs, _) = try Self.answer(lines, local, matching: CodecMatching(preferRemoteOrder: true))
    #expect(theirs.media[0].formats == ["0", "111", "9", "99"])
  }

  @Test(
    "a codec matches by name without case, clock rate and channels",
    arguments: [
      ("opus/48000/2", true), ("OPUS/48000/2", true), ("opus/48000", false), ("opus/16000/2", false),
      ("opux/48000/2", false),
    ])
  func match(rtpmap: String, expected: Bool) throws {
    let lines = ["m=audio 5000 RTP/AVP 100", "a=rtpmap:100 \(rtpmap)"]
    let answer = try? Self.answer(lines, try audio([opus])).0
    #expect((answer?.media[0].formats == ["100"]) == expected)
  }

  @Test("an rtpmap overrides the fixed meaning of a number")
  func overriding() throws {
    let (_, media) = try Self.answer(["m=audio 5000 RTP/AVP 0", "a=rtpmap:0 PCMA/8000"], try audio([pcmu, pcma]))
    #expect(media.sendCodecs.brief == ["pcma@0"])
  }

  @Test("the hook refuses parameters, or chooses those of the answer")
  func hook() throws {
    let matching = CodecMatching { local, remote in
      guard local.encodingName == "iLBC" else { return .accepted(fmtp: local.fmtp) }
      return remote.fmtp == "mode=30" ? .accepted(fmtp: "mode=30") : .refused
    }
    let lines = [
      "m=audio 5000 RTP/AVP 0 97 98", "a=rtpmap:97 iLBC/8000", "a=fmtp:97 mode=20", "a=rtpmap:98 iLBC/8000",
      "a=fmtp:98 mode=30",
    ]
    let (answer, media) = try Self.answer(lines, try audio([ilbc, pcmu]), matching: matching)
    #expect(answer.media[0].formats == ["98", "0"])
    #expect(answer.media[0].fmtps == [98: "mode=30"])
    #expect(media.sendCodecs[0].fmtp == "mode=30")
  }

  /// RFC 3264 §6.1: what the offer says, what we want, what the answer says.
  static let directionTable: [(MediaDirection, MediaDirection, MediaDirection)] = [
    (.sendrecv, .sendrecv, .sendrecv), (.sendrecv, .sendonly, .sendonly), (.sendrecv, .recvonly, .recvonly),
    (.sendrecv, .inactive, .inactive), (.sendonly, .sendrecv, .recvonly), (.sendonly, .sendonly, .inactive),
    (.sendonly, .recvonly, .recvonly), (.sendonly, .inactive, .inactive), (.recvonly, .sendrecv, .sendonly),
    (.recvonly, .sendonly, .sendonly), (.recvonly, .recvonly, .inactive), (.recvonly, .inactive, .inactive),
    (.inactive, .sendrecv, .inactive), (.inactive, .sendonly, .inactive), (.inactive, .recvonly, .inactive),
    (.inactive, .inactive, .inactive),
  ]

  @Test("directions are answered by RFC 3264 §6.1", arguments: directionTable)
  func direction(offered: MediaDirection, wanted: MediaDirection, expected: MediaDirection) throws {
    let lines = ["m=audio 5000 RTP/AVP 0", "a=\(offered.rawValue)"]
    let (answer, media) = try Self.answer(lines, try audio([pcmu], direction: wanted))
    #expect(answer.media[0].direction == expected)
    #expect(media.direction == expected)
    #expect(media.sends == expected.sends && media.receives == expected.receives)
    #expect(media.isHeldByPeer == !offered.receives)
  }

  static let holdTable: [([String], MediaDirection, Bool)] = [
    (["m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0"], .recvonly, true),
    (["m=audio 5000 RTP/AVP 0", "c=IN IP6 ::"], .recvonly, true),
    (["m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=sendonly"], .recvonly, true),
    (["m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=recvonly"], .inactive, true),
    (["m=audio 5000 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=inactive"], .inactive, true),
    (["a=sendonly", "m=audio 5000 RTP/AVP 0"], .recvonly, true),
    (["a=sendonly", "m=audio 5000 RTP/AVP 0", "a=sendrecv"], .sendrecv, false),
    (["m=audio 9 RTP/AVP 0", "c=IN IP4 0.0.0.0", "a=ice-ufrag:x"], .sendrecv, false),
  ]

  @Test("hold comes in several dialects", arguments: holdTable)
  func hold(lines: [String], expected: MediaDirection, held: Bool) throws {
    let (answer, media) = try Self.answer(lines, try audio([pcmu]))
    #expect(answer.media[0].direction == expected)
    #expect(media.isHeldByPeer == held)
  }

  @Test("RTCP shares the port only when both want it", arguments: [(true, true), (true, false), (false, true)])
  func mux(offered: Bool, wanted: Bool) throws {
    var local = try audio([pcmu], rtcpMux: wanted)
    (local.rtcpRsize, local.rtcpPort) = (wanted, 20000)
    let extra = offered ? ["a=rtcp-mux", "a=rtcp-rsize"] : []
    let (answer, media) = try Self.answer(["m=audio 5000 RTP/AVP 0", "a=rtcp:6000 IN IP4 192.0.2.10"] + extra, local)
    #expect(answer.media[0].rtcpMux == (offered && wanted))
    #expect(answer.media[0].rtcpRsize == (offered && wanted))
    #expect(media.rtcpMux == (offered && wanted))
    #expect(media.remoteRTCP?.description == (offered && wanted ? "192.0.2.9:5000" : "192.0.2.10:6000"))
    #expect(answer.media[0].rtcp?.port == (offered && wanted ? nil : 20000))
  }

  @Test("packet time: the peer's wish, else ours, at most the peer's maximum; from 10 to 120 ms")
  func packetTime() throws {
    func ptime(_ lines: String..., own: Int?) throws -> Int {
      var local = try audio([pcmu])
      local.ptime = own
      return try Self.answer(["m=audio 5000 RTP/AVP 0"] + lines, local).1.ptime
    }
    #expect(try ptime("a=ptime:30", own: 40) == 30)
    #expect(try ptime(own: 40) == 40)
    #expect(try ptime(own: nil) == 20)
    #expect(try ptime("a=maxptime:10", own: 40) == 10)
    #expect(try ptime("a=ptime:1", own: 20) == 10 && ptime("a=maxptime:5", own: 20) == 10)
    #expect(try ptime("a=ptime:1000", own: 20) == 120)
  }

  static let tokenTable: [(String, [String], Bool)] = [
    ("RTP/AVP", ["RTP/AVP"], true), ("RTP/SAVP", ["RTP/AVP", "RTP/SAVP"], true), ("rtp/savp", ["RTP/SAVP"], true),
    ("RTP/AVP", ["RTP/SAVP"], false), ("RTP/SAVPF", ["RTP/SAVP"], false),
    ("UDP/TLS/RTP/SAVPF", ["UDP/TLS/RTP/SAVPF"], true),
  ]

  @Test("the offered token is echoed when accepted, else the line is refused", arguments: tokenTable)
  func tokens(offered: String, accepted: [String], expected: Bool) throws {
    let local = try audio([pcmu], protocolName: "RTP/SAVP", accepts: accepted)
    var agent = try agent()
    try agent.receiveOffer(try peer("m=audio 5000 \(offered) 0"))
    if expected {
      #expect(try agent.makeAnswer([local]).media[0].protocolName == offered)
    } else {
      #expect(throws: NegotiationError.nothingInCommon([.protocolNotAccepted(offered)])) {
        try agent.makeAnswer([local])
      }
      #expect(agent.owesAnswer && agent.negotiated.isEmpty)
    }
  }

  @Test("the peer's mid is echoed, ours is not put in its place")
  func mid() throws {
    var local = try audio([pcmu])
    local.mid = "ours"
    #expect(try Self.answer(["m=audio 5000 RTP/AVP 0", "a=mid:theirs"], local).0.media[0].mid == "theirs")
    #expect(try Self.answer(["m=audio 5000 RTP/AVP 0"], local).0.media[0].mid == nil)
  }

  @Test("lines are answered in their order; what is not wanted, disabled or unknown gets port 0")
  func lines() throws {
    var agent = try agent()
    try agent.receiveOffer(
      try peer(
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 0 RTP/AVP 0", "m=image 5 udptl t38",
        "m=audio 5000 RTP/AVP 8", "m=audio 5002 RTP/AVP 18", "m=video 5004 RTP/AVP 31"))
    let line = try audio([pcmu, pcma])
    let answer = try agent.makeAnswer([nil, line, nil, line, line])
    #expect(
      answer.media.map { "\($0.kind) \($0.port) \($0.protocolName) \($0.formats.joined(separator: " "))" } == [
        "application 0 UDP/DTLS/SCTP webrtc-datachannel", "audio 0 RTP/AVP 0", "image 0 udptl t38",
        "audio 10000 RTP/AVP 8", "audio 0 RTP/AVP 18", "video 0 RTP/AVP 31",
      ])
    #expect(
      agent.negotiated.map(\.rejection) == [.notWanted, .notOffered, .notWanted, nil, .noCommonCodec, .notWanted])
    #expect(agent.negotiated.map(\.isActive) == [false, false, false, true, false, false])
  }

  @Test("without any address a line is refused")
  func noAddress() throws {
    var agent = try agent()
    try agent.receiveOffer(try sdp("v=0", "o=- 1 1 IN IP4 h", "s=-", "t=0 0", "m=audio 5000 RTP/AVP 0"))
    #expect(throws: NegotiationError.nothingInCommon([.noAddress])) { try agent.makeAnswer([try audio([pcmu])]) }
  }

  @Test("telephone events alone are no common codec")
  func eventsOnly() throws {
    var agent = try agent()
    try agent.receiveOffer(try peer("m=audio 5000 RTP/AVP 18 101 13", "a=rtpmap:101 telephone-event/8000"))
    #expect(throws: NegotiationError.nothingInCommon([.noCommonCodec])) {
      try agent.makeAnswer([try audio([pcmu, CodecCapability("CN", clockRate: 8000), events])])
    }
  }

  @Test("comfort noise never comes first among the codecs to send")
  func comfortNoise() throws {
    let (_, media) = try Self.answer(
      ["m=audio 5000 RTP/AVP 13 0"], try audio([CodecCapability("CN", clockRate: 8000), pcmu]))
    #expect(media.sendCodecs.brief == ["pcmu@0", "cn@13"])
  }

  @Test("redundant audio is first in an answer where the offer has it first, under the offer's numbers, and never sent")
  func redundantAudio() throws {
    let red = CodecCapability("red", clockRate: 8000)
    let matching = CodecMatching { local, remote in .accepted(fmtp: remote.isRedundantAudio ? remote.fmtp : local.fmtp)
    }
    for (formats, answered) in [("63 0 101", ["63", "0", "101"]), ("0 63 101", ["0", "101", "63"])] {
      var agent = try agent(matching: matching)
      _ = try agent.receiveOffer(
        try peer(
          "m=audio 5000 RTP/AVP \(formats)", "a=rtpmap:63 red/8000", "a=fmtp:63 0/0",
          "a=rtpmap:101 telephone-event/8000"))
      let answer = try agent.makeAnswer([try audio([pcmu, events, red])])
      #expect(answer.media[0].formats == answered && answer.media[0].values("fmtp").contains("63 0/0"))
      let media = try #require(agent.negotiated.first)
      #expect(media.sendCodecs.brief == ["pcmu@0", "red@63"] && media.receiveCodecs.brief == ["pcmu@0", "red@63"])
    }
  }

  @Test("feedback is answered for formats that the offer has it for, where the profile has feedback")
  func feedback() throws {
    let offer = [
      "a=rtcp-rsize", "a=rtcp-fb:0 transport-cc", "a=rtcp-fb:* nack pli", "a=rtcp-fb:8 nack",
      "a=rtcp-fb:x transport-cc",
    ]
    for (profile, kinds) in [
      ("RTP/SAVPF", ["0 transport-cc", "0 nack pli", "8 nack", "8 nack pli"]), ("RTP/SAVP", []),
    ] {
      var agent = try agent()
      let text =
        ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", "m=audio 5000 \(profile) 0 8"] + offer
      _ = try agent.receiveOffer(try SessionDescription(parsing: text.map { $0 + "\r\n" }.joined()))
      var own = try audio([pcmu, pcma], accepts: ["RTP/SAVPF", "RTP/SAVP"])
      own.feedback = ["transport-cc", "nack", "nack pli"].map { FeedbackAttribute(payloadType: nil, kind: $0) }
      own.rtcpRsize = true
      let answer = try agent.makeAnswer([own])
      #expect(answer.media[0].values("rtcp-fb") == kinds)
      #expect(agent.negotiated[0].feedback.map(\.text) == kinds && agent.negotiated[0].rtcpRsize)
    }
  }

  /// Per real offer: the formats that we answer with, and the token.
  static let realTable: [(RealOffer, [String], String)] = [
    (RealOffers.baresip, ["96", "9", "0", "101"], "RTP/AVP"),
    (RealOffers.baresipDTLS, ["0", "101"], "UDP/TLS/RTP/SAVPF"),
    (RealOffers.linphone, ["96", "0", "99"], "RTP/SAVP"),
    (RealOffers.chromium, ["111", "9", "0", "126"], "UDP/TLS/RTP/SAVPF"),
    (RealOffers.pjsip, ["9", "0", "96"], "RTP/AVP"),
    (RealOffers.rtpengine, ["0", "101"], "RTP/SAVPF"),
    (RealOffers.sipp, ["0"], "RTP/AVP"),
  ]

  @Test("offers of real user agents are answered", arguments: realTable)
  func realOffers(offer: RealOffer, formats: [String], token: String) throws {
    var agent = try agent()
    let session = try SessionDescription(parsing: offer.text)
    let remote = try agent.receiveOffer(session)
    let answer = try agent.makeAnswer([try audio([opus, g722, pcmu, events], accepts: Self.anything, rtcpMux: true)])
    #expect(answer.media.count == session.media.count)
    #expect(answer.media[0].formats == formats)
    #expect(answer.media[0].protocolName == token)
    #expect(answer.media.dropFirst().allSatisfy { $0.port == 0 })
    #expect(agent.negotiated[0].direction == .sendrecv)
    #expect(!agent.negotiated[0].isHeldByPeer)
    #expect(agent.negotiated[0].cryptos == session.media[0].cryptos)
    #expect(agent.negotiated[0].fingerprints == remote[0].fingerprints)
    #expect(agent.negotiated[0].remoteRTP?.address != nil)
  }
}
