import NetBase
import SDPCodec
import Testing

@Suite struct AnsweredTests {
  @Test("numbers may differ by direction: the answer's to send, ours to receive")
  func asymmetric() throws {
    var agent = try agent()
    let offer = try agent.makeOffer([try audio([opus, ilbc, events])])
    #expect(offer.media[0].formats == ["96", "97", "101"])
    let media = try agent.receiveAnswer(
      try peer(
        "m=audio 5000 RTP/AVP 97 120 100", "a=rtpmap:97 opus/48000/2", "a=fmtp:97 stereo=0", "a=rtpmap:120 ilbc/8000",
        "a=rtpmap:100 telephone-event/8000"))
    #expect(media[0].sendCodecs.brief == ["opus@97", "ilbc@120"])
    #expect(media[0].receiveCodecs.brief == ["opus@96", "ilbc@97"])
    #expect(media[0].sendCodecs[0].fmtp == "stereo=0")
    #expect(media[0].receiveCodecs[0].fmtp == "stereo=1;sprop-stereo=1")
    #expect(media[0].sendTelephoneEvent?.payloadType == 100)
    #expect(media[0].receiveTelephoneEvents.map(\.payloadType) == [101])
    #expect(try agent.makeOffer([try audio([opus, ilbc, events])]).media[0].formats == ["96", "97", "101"])
  }

  @Test("an answer that leaves out the rtpmap of an offered number means what was offered")
  func noRtpmap() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([opus, events])])
    let media = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 96 101"))
    #expect(media[0].sendCodecs.brief == ["opus@96"])
    #expect(media[0].sendTelephoneEvent?.payloadType == 101)
  }

  @Test("codecs that were not offered are passed over")
  func extraCodecs() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([pcmu, pcma])])
    let media = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 18 8 8 0"))
    #expect(media[0].sendCodecs.brief == ["pcma@8", "pcmu@0"])
  }

  @Test("telephone events suit the clock rate of the first codec")
  func eventRate() throws {
    var agent = try agent()
    let wide = CodecCapability.telephoneEvent(clockRate: 48000, payloadType: 110)
    _ = try agent.makeOffer([try audio([opus, pcmu, events, wide])])
    let lines = ["a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:110 telephone-event/48000"]
    let media = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 96 101 110 0", lines[0], lines[1], lines[2]))
    #expect(media[0].sendTelephoneEvent?.payloadType == 110)
    #expect(Set(media[0].receiveTelephoneEvents.map(\.payloadType)) == [101, 110])
  }

  static let wrong: [([String], NegotiationError)] = [
    ([], .mediaCount(offered: 2, answered: 0)),
    (["m=audio 5000 RTP/SAVP 0"], .mediaCount(offered: 2, answered: 1)),
    (
      ["m=audio 5000 RTP/SAVP 0", "m=video 0 RTP/AVP 31", "m=video 0 RTP/AVP 31"], .mediaCount(offered: 2, answered: 3)
    ),
    (["m=video 5000 RTP/SAVP 0", "m=video 0 RTP/AVP 31"], .kindMismatch(index: 0)),
    (
      ["m=audio 5000 RTP/AVP 0", "m=video 0 RTP/AVP 31"],
      .protocolMismatch(index: 0, offered: "RTP/SAVP", answered: "RTP/AVP")
    ),
    (["m=audio 5000 RTP/SAVP 8", "m=video 0 RTP/AVP 31"], .noCommonCodec(index: 0)),
    (["m=audio 5000 RTP/SAVP 101", "m=video 0 RTP/AVP 31"], .noCommonCodec(index: 0)),
    (["m=audio 5000 RTP/SAVP", "m=video 0 RTP/AVP 31"], .noCommonCodec(index: 0)),
    (["m=audio 5000 RTP/SAVP 96", "a=rtpmap:96 PCMU/16000", "m=video 0 RTP/AVP 31"], .noCommonCodec(index: 0)),
    (["m=audio 5000 RTP/SAVP 0", "m=video 6000 RTP/AVP 32"], .noCommonCodec(index: 1)),
  ]

  @Test("a wrong answer is refused with its reason, and the offer still waits", arguments: wrong)
  func wrongAnswers(lines: [String], error: NegotiationError) throws {
    var agent = try agent()
    _ = try agent.makeOffer([
      try audio([pcmu, events], protocolName: "RTP/SAVP"), try video([h261], at: "192.0.2.1:6000"),
    ])
    let head = ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    let answer = try SessionDescription(parsing: (head + lines).joined(separator: "\n"))
    #expect(throws: error) { try agent.receiveAnswer(answer) }
    #expect(agent.awaitsAnswer && agent.negotiated.isEmpty)
    try agent.receiveAnswer(try peer("m=audio 5000 RTP/SAVP 0", "m=video 0 RTP/AVP 31"))
    #expect(agent.negotiated.map(\.rejection) == [nil, .refusedByPeer])
  }

  @Test("a disabled line cannot be answered, nor one without an address")
  func wrongLines() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([pcmu]), try audio([pcmu])])
    #expect(throws: NegotiationError.noAddress(index: 0)) {
      try agent.receiveAnswer(
        try sdp("v=0", "o=- 1 1 IN IP4 h", "s=-", "t=0 0", "m=audio 5000 RTP/AVP 0", "m=audio 0 RTP/AVP 0"))
    }
    try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0", "m=audio 5002 RTP/AVP 0"))
    _ = try agent.makeOffer([try audio([pcmu]), nil])
    #expect(throws: NegotiationError.answeredDisabledMedia(index: 1)) {
      try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0", "m=audio 5002 RTP/AVP 0"))
    }
  }

  @Test("an answer without an offer, and an offer across ours, are refused")
  func phases() throws {
    var agent = try agent()
    let other = try peer("m=audio 5000 RTP/AVP 0")
    #expect(throws: NegotiationError.noOffer) { try agent.receiveAnswer(other) }
    #expect(throws: NegotiationError.noOffer) { try agent.makeAnswer([try audio([pcmu])]) }
    _ = try agent.makeOffer([try audio([pcmu])])
    #expect(throws: NegotiationError.offerPending) { try agent.receiveOffer(other) }
    try agent.receiveAnswer(other)
    #expect(throws: NegotiationError.noOffer) { try agent.receiveAnswer(other) }
  }

  @Test("a rejected offer, ours or the peer's, leaves what was agreed")
  func rollback() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([pcmu, pcma])])
    try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0"))
    let (media, local, remote) = (agent.negotiated, agent.localDescription, agent.remoteDescription)
    _ = try agent.makeOffer([try audio([pcma], direction: .sendonly)])
    agent.rollback()
    #expect(agent.negotiated == media && agent.localDescription == local && agent.remoteDescription == remote)
    try agent.receiveOffer(try peer("m=audio 7000 RTP/AVP 8", "a=sendonly"))
    agent.rollback()
    #expect(agent.negotiated == media && agent.localDescription == local && agent.remoteDescription == remote)
    #expect(!agent.awaitsAnswer && !agent.owesAnswer)
  }

  @Test("a multiplexed RTCP port is taken only when it was offered")
  func mux() throws {
    var plain = try agent()
    _ = try plain.makeOffer([try audio([pcmu])])
    let answer = try peer("m=audio 5000 RTP/AVP 0", "a=rtcp-mux")
    #expect(try plain.receiveAnswer(answer)[0].remoteRTCP?.port == 5001)
    var muxed = try agent()
    _ = try muxed.makeOffer([try audio([pcmu], rtcpMux: true)])
    #expect(try muxed.receiveAnswer(answer)[0].remoteRTCP?.port == 5000)
  }

  @Test("an answer that claims more than was offered gets no more")
  func direction() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([pcmu], direction: .sendonly)])
    let media = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0", "a=sendrecv"))
    #expect(media[0].direction == .sendonly)
  }

  @Test("a host name is handed on for the caller to resolve")
  func hostName() throws {
    var agent = try agent()
    _ = try agent.makeOffer([try audio([pcmu])])
    let media = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0", "c=IN IP4 media.example.com"))
    #expect(media[0].remoteRTP == MediaEndpoint(host: "media.example.com", port: 5000))
    #expect(media[0].remoteRTP?.address == nil)
  }
}
