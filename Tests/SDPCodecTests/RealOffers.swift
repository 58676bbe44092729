import Testing

/// An offer of the shape that a real user agent sends.
struct RealOffer: Sendable, CustomTestStringConvertible {
  var name: String
  var text: String
  var testDescription: String { self.name }

  init(_ name: String, _ lines: [String]) {
    self.name = name
    self.text = lines.map { $0 + "\r\n" }.joined()
  }
}

enum RealOffers {
  static let all = [baresip, baresipDTLS, linphone, chromium, pjsip, rtpengine, sipp]

  static let baresip = RealOffer(
    "baresip, SDES under RTP/AVP",
    [
      "v=0", "o=- 3977120334 2106384172 IN IP4 10.77.0.1", "s=-", "c=IN IP4 10.77.0.1", "t=0 0",
      "a=tool:baresip 4.10.0", "m=audio 31064 RTP/AVP 96 9 0 8 101", "a=rtpmap:96 opus/48000/2",
      "a=fmtp:96 stereo=1;sprop-stereo=1", "a=rtpmap:9 G722/8000", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
      "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=rtcp:31065", "a=sendrecv", "a=label:1",
      "a=rtcp-rsize", "a=ssrc:1934207251 cname:sip:a@10.77.0.1", "a=ptime:20",
      "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj",
    ])

  static let baresipDTLS = RealOffer(
    "baresip, DTLS-SRTP",
    [
      "v=0", "o=- 77 78 IN IP6 2001:db8::77", "s=-", "c=IN IP6 2001:db8::77", "t=0 0",
      "m=audio 20000 UDP/TLS/RTP/SAVPF 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
      "a=fmtp:101 0-15", "a=sendrecv", "a=rtcp-mux", "a=setup:actpass",
      "a=fingerprint:SHA-256 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB:4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF",
    ])

  static let linphone = RealOffer(
    "linphone, four SDES suites",
    [
      "v=0", "o=alice 2103 1573 IN IP4 198.51.100.7", "s=Talk", "c=IN IP4 198.51.100.7", "t=0 0",
      "a=ice-pwd:6b1c4a3ef5bcd6c88ed2b6d5", "a=ice-ufrag:3c1c9f2a", "a=rtcp-xr:rcvr-rtt=all:10000 voip-metrics",
      "a=record:off", "m=audio 7078 RTP/SAVP 96 97 98 0 8 101 99", "a=rtpmap:96 opus/48000/2",
      "a=fmtp:96 useinbandfec=1", "a=rtpmap:97 speex/16000", "a=fmtp:97 vbr=on", "a=rtpmap:98 speex/8000",
      "a=rtpmap:101 telephone-event/48000", "a=rtpmap:99 telephone-event/8000", "a=rtcp:7079 IN IP4 203.0.113.7",
      "a=crypto:1 AES_CM_256_HMAC_SHA1_80 inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdA==",
      "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw",
      "a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB|2^31|1:4",
      "a=candidate:1 1 UDP 2130706303 198.51.100.7 7078 typ host",
      "a=rtcp-fb:* trr-int 1000",
    ])

  static let chromium = RealOffer(
    "Chromium, trickle ICE, BUNDLE",
    [
      "v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
      "a=extmap-allow-mixed", "a=msid-semantic: WMS stream",
      "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0",
      "a=ice-ufrag:EsAw", "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=ice-options:trickle",
      "a=fingerprint:sha-256 D2:FA:0E:C3:22:59:5E:14:95:69:92:3D:13:B4:84:24:2C:C2:A2:C0:3E:FD:34:8E:5E:EA:6F:AF:52:CE:E6:0F",
      "a=setup:actpass", "a=mid:0", "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level", "a=sendrecv",
      "a=msid:stream track", "a=rtcp-mux", "a=rtcp-rsize", "a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc",
      "a=fmtp:111 minptime=10;useinbandfec=1", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111", "a=rtpmap:9 G722/8000",
      "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:13 CN/8000", "a=rtpmap:110 telephone-event/48000",
      "a=rtpmap:126 telephone-event/8000", "a=ssrc:2754920552 cname:6pZ5B2iNrlPpvHKi",
      "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", "a=rtcp:9 IN IP4 0.0.0.0", "a=ice-ufrag:EsAw",
      "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1", "a=mid:1", "a=sendrecv", "a=rtcp-mux", "a=rtpmap:96 VP8/90000",
      "a=rtcp-fb:96 nack pli", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96",
    ])

  static let pjsip = RealOffer(
    "PJSIP, SDES under RTP/AVP, TIAS",
    [
      "v=0", "o=- 3976990101 3976990101 IN IP4 192.0.2.55", "s=pjmedia", "b=AS:84", "t=0 0", "a=X-nat:0",
      "m=audio 4000 RTP/AVP 98 97 99 104 3 0 8 9 96", "c=IN IP4 192.0.2.55", "b=TIAS:64000",
      "a=rtcp:4001 IN IP4 192.0.2.55", "a=sendrecv", "a=rtpmap:98 speex/16000", "a=rtpmap:97 speex/8000",
      "a=rtpmap:99 speex/32000", "a=rtpmap:104 iLBC/8000", "a=fmtp:104 mode=30", "a=rtpmap:3 GSM/8000",
      "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:9 G722/8000", "a=rtpmap:96 telephone-event/8000",
      "a=fmtp:96 0-16", "a=ssrc:1193407127 cname:3b8d0d9c3a2e4b1f",
      "a=crypto:1 AES_256_CM_HMAC_SHA1_80 inline:Vm9pY2VPdmVySVBJc0Z1bkFuZFNlY3JldHNNdXN0U3RheVNlY3JldDEyMw==",
      "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0",
    ])

  static let rtpengine = RealOffer(
    "rtpengine, host-name origin, keys without padding",
    [
      "v=0", "o=- 1545997027 1 IN IP4 sbc.example.net", "s=tester", "t=0 0", "m=audio 40066 RTP/SAVPF 8 0 101",
      "c=IN IP4 203.0.113.20", "a=mid:audio", "a=rtpmap:8 PCMA/8000", "a=rtpmap:0 PCMU/8000",
      "a=rtpmap:101 telephone-event/8000", "a=sendrecv", "a=rtcp:40067", "a=rtcp-mux", "a=setup:actpass",
      "a=fingerprint:sha-1 89:52:F6:A6:16:4B:E0:12:1F:25:40:61:82:19:FB:4C:D2:9E:10:EB",
      "a=crypto:1 AEAD_AES_256_GCM inline:2Wk2jgCzrMYWYX6Zwm5tXeXTo6wqJLXVTPnr3S3G7oy5ZPVvUFAiYuMp9Zk",
      "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:wP8vPPAcfKhnFbJLgUXZWcO8tUTVDiFEjPWMOw8N UNENCRYPTED_SRTCP",
      "a=tls-id:3a1d6b2f8c7e9d0a4b5c6d7e8f901234", "a=ptime:20",
    ])

  static let sipp = RealOffer(
    "SIPp, no rtpmap, LF in its template",
    [
      "v=0", "o=user1 53655765 2353687637 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0",
      "m=audio 6000 RTP/AVP 0",
    ])
}
