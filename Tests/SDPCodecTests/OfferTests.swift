import NetBase
import SDPCodec
import Testing

@Suite struct OfferTests {
  @Test("an offer has every line in its place")
  func whole() throws {
    var agent = try agent()
    var media = try audio(
      [opus, g722, pcmu, pcma, events], at: "192.0.2.1:31064", rtcpMux: true,
      attributes: [SDPAttribute("crypto", "1 AES_CM_128_HMAC_SHA1_80 inline:KEY")])
    (media.rtcpPort, media.maxptime, media.rtcpRsize, media.mid) = (31070, 60, true, "0")
    (media.ssrc, media.cname) = (42, "sip:a@example.com")
    media.bandwidths = [SDPBandwidth(type: "AS", value: 64)]
    agent.sessionAttributes = [SDPAttribute("tool", "apus")]
    let expected = [
      "v=0", "o=- 1000 1 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", "a=tool:apus",
      "m=audio 31064 RTP/AVP 96 9 0 8 101", "b=AS:64", "a=rtpmap:96 opus/48000/2", "a=rtpmap:9 G722/8000",
      "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000",
      "a=fmtp:96 stereo=1;sprop-stereo=1", "a=fmtp:101 0-15", "a=ptime:20", "a=maxptime:60", "a=sendrecv", "a=mid:0",
      "a=rtcp:31070", "a=rtcp-mux", "a=rtcp-rsize", "a=ssrc:42 cname:sip:a@example.com",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:KEY", "",
    ]
    #expect(try agent.makeOffer([media]).text == expected.joined(separator: "\r\n"))
  }

  @Test("a line at another address has its own c=")
  func addresses() throws {
    var agent = try agent()
    let offer = try agent.makeOffer([try audio([pcmu]), try audio([pcmu], at: "[2001:db8::1]:5000")])
    #expect(offer.media.map { $0.connection?.text } == [nil, "IN IP6 2001:db8::1"])
    #expect(offer.connection?.text == "IN IP4 192.0.2.1")
  }

  @Test("the version goes up by one when the content changed, and only then")
  func version() throws {
    var agent = try agent()
    func offered(_ media: LocalMedia) throws -> String { try agent.makeOffer([media]).origin.sessionVersion }
    #expect(try offered(try audio([pcmu])) == "1")
    #expect(try offered(try audio([pcmu])) == "1")
    try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0"))
    #expect(try offered(try audio([pcmu])) == "1")
    #expect(try offered(try audio([pcmu], direction: .sendonly)) == "2")
    agent.rollback()
    #expect(try offered(try audio([pcmu])) == "3")
    agent.rollback()
    try agent.receiveOffer(try peer("m=audio 5000 RTP/AVP 0 8"))
    #expect(try agent.makeAnswer([try audio([pcmu])]).origin.sessionVersion == "3")
    try agent.receiveOffer(try peer("m=audio 5000 RTP/AVP 0 8"))
    #expect(try agent.makeAnswer([try audio([pcmu], direction: .inactive)]).origin.sessionVersion == "4")
  }

  @Test("dynamic numbers: from 96 up, never twice, 101 kept for telephone events, wishes first")
  func numbers() throws {
    let many = (0..<10).map { CodecCapability("x\($0)", clockRate: 8000) }
    var agent = try agent()
    let offer = try agent.makeOffer([try audio(many + [events])])
    #expect(offer.media[0].formats == ["96", "97", "98", "99", "100", "102", "103", "104", "105", "106", "101"])
    var wished = try OfferTests.fresh()
    let codecs = [
      ilbc, CodecCapability("opus", clockRate: 48000, channels: 2, payloadType: 96),
      CodecCapability("L16", clockRate: 16000, payloadType: 96),
    ]
    #expect(try wished.makeOffer([try audio(codecs)]).media[0].formats == ["97", "96", "98"])
  }

  @Test("lines do not share a dynamic number, so that they can be bundled")
  func acrossLines() throws {
    var agent = try agent()
    let vp8 = CodecCapability("VP8", clockRate: 90000)
    let offer = try agent.makeOffer([try audio([opus, events]), try video([vp8], at: "192.0.2.1:6000")])
    #expect(offer.media.map(\.formats) == [["96", "101"], ["97"]])
  }

  @Test("what a line has not agreed on gets no number that was agreed on for another, be that a later one")
  func acrossAgreedLines() throws {
    var agent = try agent()
    try agent.receiveOffer(
      try peer(
        "a=group:BUNDLE 0 1", "m=audio 5000 RTP/AVP 111", "a=mid:0", "a=rtpmap:111 opus/48000/2",
        "m=video 5000 RTP/AVP 96", "a=mid:1", "a=rtpmap:96 VP8/90000"))
    let wide = CodecCapability.telephoneEvent(clockRate: 48000)
    let lines = [
      try audio([opus, pcmu, events, wide]),
      try video([CodecCapability("VP8", clockRate: 90000)], at: "192.0.2.1:6000"),
    ]
    _ = try agent.makeAnswer(lines)
    #expect(try agent.makeOffer(lines).media.map(\.formats) == [["111", "0", "101", "97"], ["96"]])
  }

  @Test("when the numbers run out the last codecs are dropped, not trapped")
  func exhaustion() throws {
    var agent = try agent()
    let many = (0..<100).map { CodecCapability("x\($0)", clockRate: 8000) }
    let formats = try agent.makeOffer([try audio(many + [events])]).media[0].formats
    #expect(formats.count == Set(formats).count)
    #expect(formats.count == 61)
  }

  @Test("a number keeps its meaning for the session's life")
  func stableNumbers() throws {
    var agent = try agent()
    try agent.receiveOffer(
      try peer("m=audio 5000 RTP/AVP 111 96", "a=rtpmap:111 opus/48000/2", "a=rtpmap:96 iLBC/8000"))
    _ = try agent.makeAnswer([try audio([opus, ilbc])])
    let speex = CodecCapability("speex", clockRate: 8000)
    #expect(try agent.makeOffer([try audio([speex, opus, ilbc])]).media[0].formats == ["97", "111", "96"])
    agent.rollback()
    #expect(
      try agent.makeOffer([try audio([opus, CodecCapability("new", clockRate: 8000)])]).media[0].formats == [
        "111", "98",
      ])
  }

  @Test("telephone events at clock rates of no codec are left out, unless none would be left")
  func clockRates() throws {
    let wide = CodecCapability.telephoneEvent(clockRate: 48000)
    var agent = try agent()
    #expect(
      try agent.makeOffer([try audio([opus, pcmu, wide, events])]).media[0].rtpmaps.map(\.text).suffix(2) == [
        "101 telephone-event/48000", "97 telephone-event/8000",
      ])
    var narrow = try OfferTests.fresh()
    #expect(try narrow.makeOffer([try audio([pcmu, wide, events])]).media[0].formats == ["0", "101"])
    var only = try OfferTests.fresh()
    #expect(try only.makeOffer([try audio([opus, events])]).media[0].formats == ["96", "101"])
  }

  @Test("impossible offers are refused and leave the state alone")
  func impossible() throws {
    var agent = try agent()
    #expect(throws: NegotiationError.unknownMedia(index: 0)) { try agent.makeOffer([nil]) }
    #expect(throws: NegotiationError.noCodec(index: 0)) { try agent.makeOffer([try audio([])]) }
    let line = try audio([pcmu])
    #expect(throws: NegotiationError.tooManyMedia(65)) { try agent.makeOffer(Array(repeating: line, count: 65)) }
    #expect(!agent.awaitsAnswer)
    try agent.receiveOffer(try peer("m=audio 5000 RTP/AVP 0"))
    #expect(throws: NegotiationError.offerPending) { try agent.makeOffer([line]) }
    #expect(agent.owesAnswer)
  }

  static func fresh() throws -> OfferAnswer { try agent() }
}
