import NetBase
import SDPCodec
import Testing

/// RFC 9143: lines on one transport.
@Suite struct BundleTests {
  private static let browser = [
    "a=group:BUNDLE 0 1 2", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0", "a=mid:0", "a=rtcp-mux", "a=rtpmap:111 opus/48000/2",
    "m=video 9 UDP/TLS/RTP/SAVPF 96", "a=mid:1", "a=rtcp-mux", "a=rtpmap:96 VP8/90000",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2",
  ]

  private static func answer(usesBundle: Bool, rtcpMux: Bool = true) throws -> SessionDescription {
    var agent = try agent()
    agent.usesBundle = usesBundle
    let head = ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    try agent.receiveOffer(try SessionDescription(parsing: (head + Self.browser).joined(separator: "\n")))
    return try agent.makeAnswer([try audio([opus, pcmu], protocolName: "UDP/TLS/RTP/SAVPF", rtcpMux: rtcpMux)])
  }

  @Test("an answer's group keeps the lines that were taken, and every line its name")
  func answer() throws {
    let answer = try Self.answer(usesBundle: true)
    #expect(answer.bundles == [["0"]])
    #expect(answer.media.map(\.mid) == ["0", "1", "2"])
    #expect(answer.media.map(\.port) == [10000, 0, 0])
  }

  @Test("no group is answered where it is not wanted, or RTCP has a port of its own")
  func refusal() throws {
    #expect(try Self.answer(usesBundle: false).groups.isEmpty)
    #expect(try Self.answer(usesBundle: true, rtcpMux: false).groups.isEmpty)
  }

  @Test("an offer groups its lines, and goes on when the peer does not")
  func offer() throws {
    var agent = try agent()
    agent.usesBundle = true
    var line = try audio([pcmu], rtcpMux: true)
    line.mid = "0"
    #expect(try agent.makeOffer([line]).bundles == [["0"]])
    let agreed = try agent.receiveAnswer(try peer("m=audio 5000 RTP/AVP 0"))
    #expect(agreed.first?.rejection == nil)
    line.rtcpMux = false
    #expect(try agent.makeOffer([line]).groups.isEmpty)
  }

  @Test("a later offer has the names that the peer chose, and none twice", arguments: [true, false])
  func names(takesVideo: Bool) throws {
    var agent = try agent()
    agent.usesBundle = true
    try agent.receiveOffer(
      try peer(
        "a=group:BUNDLE v a", "m=video 5000 RTP/AVP 96", "a=mid:v", "a=rtcp-mux", "a=rtpmap:96 VP8/90000",
        "m=audio 5000 RTP/AVP 0", "a=mid:a", "a=rtcp-mux"))
    var sound = try audio([pcmu], rtcpMux: true)
    sound.mid = "0"
    var picture = try video([CodecCapability("VP8", clockRate: 90000)], at: "192.0.2.1:10000")
    (picture.rtcpMux, picture.mid) = (true, "0")
    let lines = [takesVideo ? picture : nil, sound]
    _ = try agent.makeAnswer(lines)
    let offer = try agent.makeOffer(lines)
    #expect(offer.media.map(\.mid) == ["v", "a"])
    #expect(offer.bundles == [takesVideo ? ["v", "a"] : ["a"]])
    sound.mid = "a"
    #expect(try agent.makeOffer(lines + [sound]).media.map(\.mid) == ["v", "a", "0"])
  }
}
