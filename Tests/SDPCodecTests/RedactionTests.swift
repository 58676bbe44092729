import SDPCodec
import Testing

@Suite struct RedactionTests {
  @Test(
    "keys are replaced, what surrounds them stays",
    arguments: [
      ("a=crypto:1 S inline:SECRET", "a=crypto:1 S inline:<redacted>"),
      ("a=crypto:1 S inline:SECRET|2^20|1:4 KDR=1\r\n", "a=crypto:1 S inline:<redacted>|2^20|1:4 KDR=1\r\n"),
      ("a=crypto:1 S INLINE:SECRET;inline:SECRET|1:4\n", "a=crypto:1 S INLINE:<redacted>;inline:<redacted>|1:4\n"),
      ("inline:  SECRET x", "inline:<redacted> x"),
      ("k=clear:SECRET\r\nm=audio 9 RTP/AVP 0\r\n", "k=<redacted>\r\nm=audio 9 RTP/AVP 0\r\n"),
      ("a=ice-pwd:SECRET\r\na=mid:0", "a=ice-pwd:<redacted>\r\na=mid:0"),
      ("a=key-mgmt:mikey SECRET", "a=key-mgmt:<redacted>"),
      ("INVITE sip:x SIP/2.0\r\nk: timer\r\n", "INVITE sip:x SIP/2.0\r\nk: timer\r\n"),
      ("", ""), ("inline:", "inline:<redacted>"),
    ])
  func table(text: String, expected: String) {
    #expect(SDPRedaction.redacted(text) == expected)
  }

  @Test("however a description or a part of it is printed, no key shows", arguments: RealOffers.all)
  func printing(offer: RealOffer) throws {
    let session = try SessionDescription(parsing: offer.text)
    let secrets = session.media.flatMap { media in
      media.cryptos.flatMap {
        $0.split(separator: " ").filter { $0.hasPrefix("inline:") }.map { String($0.dropFirst(7).prefix(20)) }
      }
        + [media.icePwd].compactMap { $0 }
    }
    var agent = try agent()
    let remote = try agent.receiveOffer(session)
    let local = try audio([opus, pcmu, events], attributes: session.media[0].attributes)
    var printed = [
      "\(session)", String(reflecting: session), session.redacted, "\(session.media)", "\(session.attributes)",
    ]
    printed += ["\(remote)", "\(local)", String(reflecting: local), "\(agent)", "\(session.media[0].attributes)"]
    var dumped = ""
    dump(session, to: &dumped)
    dump(remote, to: &dumped)
    printed.append(dumped)
    for secret in secrets {
      #expect(session.text.contains(secret))
      for text in printed { #expect(!text.contains(secret)) }
    }
  }
}
