import NetBase
import SDPCodec
import Testing

@Suite struct AttributeTests {
  static func section(_ lines: String...) throws -> MediaDescription {
    let text = (["v=0", "o=- 1 1 IN IP4 h", "s=-", "t=0 0", "m=audio 9 RTP/AVP 0"] + lines).joined(separator: "\r\n")
    return try #require(try SessionDescription(parsing: text).media.first)
  }

  @Test("typed values come out of their lines")
  func typed() throws {
    let media = try Self.section(
      "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1; stereo=0", "a=ptime:20", "a=maxptime:120.5",
      "a=rtcp:53020 IN IP6 2001:DB8::1", "a=rtcp-mux", "a=rtcp-rsize", "a=setup:ACTPASS", "a=mid:audio", "a=label:10",
      "a=tls-id:abc3de65", "a=ssrc:314159 cname:user@example.com", "a=ssrc:99", "a=crypto:1 SUITE inline:KEY",
      "a=candidate:1 1 UDP 1 192.0.2.1 9 typ host", "a=ice-ufrag:u", "a=ice-pwd:p", "a=ice-options:trickle ice2",
      "a=recvonly", "a=sendonly")
    #expect(media.rtpmaps == [RTPMap(payloadType: 96, encodingName: "opus", clockRate: 48000, channels: 2)])
    #expect(media.fmtps == [96: "useinbandfec=1; stereo=0"])
    #expect(media.ptime == 20 && media.maxptime == 120)
    #expect(
      media.rtcp == RTCPAttribute(port: 53020, connection: SDPConnection(addressType: "IP6", address: "2001:DB8::1")))
    #expect(media.rtcp?.text == "53020 IN IP6 2001:DB8::1")
    #expect(media.rtcpMux && media.rtcpRsize)
    #expect(media.setup == .actpass)
    #expect(media.mid == "audio" && media.label == "10" && media.tlsID == "abc3de65")
    #expect(media.ssrcs.map(\.ssrc) == [314159, 99])
    #expect(media.ssrcs[0].name == "cname" && media.ssrcs[0].value == "user@example.com")
    #expect(media.cryptos == ["1 SUITE inline:KEY"])
    #expect(media.candidates == ["1 1 UDP 1 192.0.2.1 9 typ host"])
    #expect(media.candidateAddresses == [SocketAddress(ipv4: 0xC000_0201, port: 9)])
    #expect(media.iceUfrag == "u" && media.icePwd == "p" && media.iceOptions == ["trickle", "ice2"] && !media.iceLite)
    #expect(media.direction == .recvonly)
  }

  @Test(
    "a malformed rtpmap is skipped",
    arguments: [
      "128 opus/48000", "x opus/48000", "96", "96 opus", "96 opus/0", "96 opus/x", "96 /8000", "-1 a/8000",
      "96 a/99999999999", "",
    ])
  func rtpmapRefused(text: String) throws {
    #expect(try Self.section("a=rtpmap:\(text)").rtpmaps.isEmpty)
  }

  @Test(
    "fingerprints: several are read, the hash function in lower case, others skipped",
    arguments: [
      ("SHA-256 AB:cd:01", ["sha-256 AB:CD:01"]), ("sha-1 00", ["sha-1 00"]), ("sha-256 ABC", []), ("sha-256 AB:", []),
      ("sha-256 :AB", []), ("sha-256 G0", []), ("sha-256", []), ("sha-256 AB CD", []), ("sha-256 AB::CD", []),
    ])
  func fingerprints(text: String, expected: [String]) throws {
    let media = try Self.section("a=fingerprint:\(text)", "a=fingerprint:sha-512 FF")
    #expect(media.fingerprints.map(\.text) == expected + ["sha-512 FF"])
    #expect(media.fingerprints.last?.bytes == [0xFF])
  }

  @Test("values out of range are as good as absent", arguments: ["0", "-20", "x", "", "1001", "99999999999999999999"])
  func packetTime(text: String) throws {
    #expect(try Self.section("a=ptime:\(text)").ptime == nil)
  }

  @Test("a BUNDLE group names its members")
  func groups() throws {
    let session = try sdp("v=0", "o=- 1 1 IN IP4 h", "s=-", "t=0 0", "a=group:LS a b", "a=group:BUNDLE 0 1")
    #expect(session.groups.count == 2)
    #expect(session.bundles == [["0", "1"]])
  }

  @Test("a section inherits from the session what it does not say itself")
  func inheritance() throws {
    let offer = try peer(
      "a=sendonly", "a=setup:active", "a=fingerprint:sha-1 01", "a=ice-ufrag:s", "a=ice-pwd:s", "a=mid:no",
      "m=audio 5000 RTP/AVP 0", "m=audio 5002/2 RTP/AVP 0", "c=IN IP6 2001:db8::2", "a=inactive", "a=setup:passive",
      "a=fingerprint:sha-1 02", "a=fingerprint:sha-1 03", "a=ice-ufrag:m", "m=audio 5004 RTP/AVP 0",
      "c=IN IP4 media.example.com", "a=rtcp:9000")
    let media = try agent().receiving(offer)
    #expect(media.map(\.mediaDirection) == [.sendonly, .inactive, .sendonly])
    #expect(media.map(\.setup) == [.active, .passive, .active])
    #expect(media.map { $0.fingerprints.map(\.bytes) } == [[[1]], [[2], [3]], [[1]]])
    #expect(media.map(\.iceUfrag) == ["s", "m", "s"])
    #expect(media.map(\.icePwd) == ["s", "s", "s"])
    #expect(media.map(\.mid) == [nil, nil, nil])
    #expect(media.map { $0.rtp?.description } == ["192.0.2.9:5000", "[2001:db8::2]:5002", "media.example.com:5004"])
    #expect(media.map { $0.rtcp?.port } == [5001, 5003, 9000])
    #expect(media[2].rtp?.address == nil)
    #expect(media[0].rtp?.address == (try address("192.0.2.9:5000")))
  }

  @Test("behind port 65535 there is no RTCP port, and no trap")
  func lastPort() throws {
    let media = try agent().receiving(try peer("m=audio 65535 RTP/AVP 0"))
    #expect(media[0].rtcp == nil)
  }
}
