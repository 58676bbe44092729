import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import srtp

private let allSuites: [SRTPProfile] = [
  .aesCM128HMACSHA1Tag80, .aesCM128HMACSHA1Tag32, .aes256CMHMACSHA1Tag80, .aeadAES128GCM, .aeadAES256GCM,
]

private func makeSession(
  _ mode: SDESEncryption.Mode = .mandatory, _ suites: [SRTPProfile] = allSuites
) throws -> any MediaEncryptionSession {
  try SDESEncryption(mode, suites: suites).makeSession()
}

private func description(_ attributes: [DescriptionAttribute], _ token: String = "RTP/SAVP") -> RemoteSecurity {
  RemoteSecurity(
    protocolToken: token, attributes: attributes, rtpAddress: SocketAddress(ipv4: 0xC000_0201, port: 4000),
    rtcpAddress: nil)
}

private func description(_ lines: String..., token: String = "RTP/SAVP") -> RemoteSecurity {
  description(lines.map { DescriptionAttribute("crypto", $0) }, token)
}

private func key(_ count: Int, _ first: UInt8 = 1) -> String {
  (0..<count).map { UInt8($0) &+ first }.withRawSpan { Base64.encode($0) }
}

/// What a session told its transport, with the keys' bytes.
private enum Told: Equatable {
  case plain
  case inbound(SRTPProfile, [UInt8], isFresh: Bool)
  case outbound(SRTPProfile, [UInt8], isFresh: Bool, now: Bool)
  case switchOutbound
  case other
}

private func told(_ session: any MediaEncryptionSession) -> [Told] {
  var told: [Told] = []
  while let command = session.nextCommand() {
    switch consume command {
    case .plain: told.append(.plain)
    case .installInbound(let material, let continuity):
      told.append(.inbound(material.profile, material.keyAndSalt.bytes.copied(), isFresh: continuity == .fresh))
    case .installOutbound(let material, let continuity, let switchNow):
      told.append(
        .outbound(
          material.profile, material.keyAndSalt.bytes.copied(), isFresh: continuity == .fresh, now: switchNow))
    case .switchOutbound: told.append(.switchOutbound)
    case .expectInbound: break
    case .makeKeyExchange: told.append(.other)
    case .startKeyExchange: told.append(.other)
    case .withdrawKeyExchange: told.append(.other)
    }
  }
  return told
}

/// What a session told its transport of keys that are not here yet.
private func expectations(of session: any MediaEncryptionSession) -> [Bool] {
  var expectations: [Bool] = []
  while let command = session.nextCommand() {
    if case .expectInbound(let isOpen) = command { expectations.append(isOpen) }
  }
  return expectations
}

private func bytes(_ attribute: DescriptionAttribute) throws -> [UInt8] {
  let line = try CryptoAttribute(try #require(attribute.value))
  let secret = line.keys[0].material.keyAndSalt.duplicate()
  return secret.bytes.copied()
}

private func reason(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch {
    return "\(error)"
  }
}

/// Offerer and answerer after one exchange, their commands taken.
private func makeCall(
  _ suites: [SRTPProfile] = allSuites
) throws -> (offerer: any MediaEncryptionSession, answerer: any MediaEncryptionSession) {
  let (offerer, answerer) = (try makeSession(.mandatory, suites), try makeSession(.mandatory, suites))
  try exchange(offerer, answerer)
  _ = (told(offerer), told(answerer))
  return (offerer, answerer)
}

private func exchange(_ offerer: any MediaEncryptionSession, _ answerer: any MediaEncryptionSession) throws {
  let offer = try offerer.offerAttributes()
  let answer = try answerer.answer(to: description(offer))
  try offerer.receive(answer: description(answer))
  answerer.answerConfirmed()
}

@Suite("Keys in SDP: offers and answers") struct SDESSessionTests {
  @Test("an offer has a line per suite, each with a key of its own, and stays the same until it is answered")
  func offer() throws {
    let session = try makeSession()
    let offer = try session.offerAttributes()
    #expect(offer.map { $0.value?.split(separator: " ")[1] } == allSuites.map { Substring($0.rawValue) })
    #expect(offer.map { $0.value?.split(separator: " ")[0] } == ["1", "2", "3", "4", "5"])
    #expect(Set(try offer.map { try bytes($0) }).count == 5)
    #expect(try session.offerAttributes() == offer)
    #expect(told(session).isEmpty)
    #expect(try makeSession().offerAttributes() != offer)
  }

  @Test("both ends install each other's key, at once", arguments: allSuites)
  func agree(suite: SRTPProfile) throws {
    let (offerer, answerer) = (try makeSession(), try makeSession(.mandatory, [suite]))
    let offer = try offerer.offerAttributes()
    let answer = try answerer.answer(to: description(offer))
    let offered = try bytes(offer[try #require(allSuites.firstIndex(of: suite))])
    let answered = try bytes(try #require(answer.first))
    #expect(answer.count == 1)
    #expect(
      told(answerer) == [
        .inbound(suite, offered, isFresh: true), .outbound(suite, answered, isFresh: true, now: true),
      ])
    try offerer.receive(answer: description(answer))
    #expect(
      told(offerer) == [
        .inbound(suite, answered, isFresh: true), .outbound(suite, offered, isFresh: true, now: true),
      ])
    answerer.answerConfirmed()
    #expect(told(answerer).isEmpty)
    #expect(offered != answered)
  }

  @Test("offers met in the wild are answered with their tag and the first suite that both have")
  func wild() throws {
    let rtpengine = [
      "1 AEAD_AES_256_GCM inline:\(key(44).filter { $0 != "=" })",
      "2 AEAD_AES_128_GCM inline:\(key(28).filter { $0 != "=" })",
      "3 AES_256_CM_HMAC_SHA1_80 inline:\(key(46).filter { $0 != "=" })",
      "4 AES_256_CM_HMAC_SHA1_32 inline:\(key(46).filter { $0 != "=" })",
      "5 AES_192_CM_HMAC_SHA1_80 inline:\(key(38).filter { $0 != "=" })",
      "6 AES_192_CM_HMAC_SHA1_32 inline:\(key(38).filter { $0 != "=" })", "7 AES_CM_128_HMAC_SHA1_80 inline:\(key(30))",
      "8 AES_CM_128_HMAC_SHA1_32 inline:\(key(30))", "9 F8_128_HMAC_SHA1_80 inline:\(key(30))",
      "10 F8_128_HMAC_SHA1_32 inline:\(key(30))", "11 NULL_HMAC_SHA1_80 inline:\(key(30))",
      "12 NULL_HMAC_SHA1_32 inline:\(key(30))",
    ]
    let table: [([String], [SRTPProfile], String)] = [
      (["1 AES_CM_128_HMAC_SHA1_80 inline:\(key(30))"], allSuites, "1 AES_CM_128_HMAC_SHA1_80"),
      (
        [
          "1 AES_256_CM_HMAC_SHA1_80 inline:\(key(46))", "2 AES_256_CM_HMAC_SHA1_32 inline:\(key(46))",
          "3 AES_CM_128_HMAC_SHA1_80 inline:\(key(30))", "4 AES_CM_128_HMAC_SHA1_32 inline:\(key(30))",
        ], allSuites, "1 AES_256_CM_HMAC_SHA1_80"
      ),
      (rtpengine, allSuites, "1 AEAD_AES_256_GCM"), (rtpengine, [.aesCM128HMACSHA1Tag32], "8 AES_CM_128_HMAC_SHA1_32"),
      (rtpengine, [.aes256CMHMACSHA1Tag80], "3 AES_256_CM_HMAC_SHA1_80"),
    ]
    for (lines, suites, expected) in table {
      let session = try makeSession(.mandatory, suites)
      let answer = try session.answer(to: description(lines.map { DescriptionAttribute("crypto", $0) }))
      #expect(answer.count == 1)
      #expect(answer[0].value?.hasPrefix(expected + " inline:") == true, "\(expected)")
      #expect(told(session).count == 2)
    }
  }

  @Test("a bad line is passed over for a good one, and none left fails the media line with the reasons")
  func badLines() throws {
    let bad = "1 AES_CM_128_HMAC_SHA1_80 inline:\(key(29))"
    let session = try makeSession()
    let answer = try session.answer(to: description(bad, "9 AEAD_AES_128_GCM inline:\(key(28))"))
    #expect(answer[0].value?.hasPrefix("9 AEAD_AES_128_GCM ") == true)
    for mode in SDESEncryption.Mode.allCases {
      let refusing = try makeSession(mode, [.aesCM128HMACSHA1Tag80])
      let token = mode == .optional ? "RTP/AVP" : "RTP/SAVP"
      let text = try #require(
        reason {
          _ = try refusing.answer(
            to: description(
              bad, "2 AEAD_AES_128_GCM inline:\(key(28))", "3 XY_1 inline:\(key(30))", token: token))
        })
      #expect(text.contains("needs 30 bytes of key and salt, not 29"))
      #expect(text.contains("AEAD_AES_128_GCM is not in srtp_suites") && text.contains("unknown suite XY_1"))
      #expect(!text.contains("inline:") && !text.contains(key(29).prefix(6)))
      #expect(told(refusing).isEmpty)
    }
  }

  @Test(
    "the answer must be to a line of ours, with a right key",
    arguments: [
      "1 AES_256_CM_HMAC_SHA1_80 inline:\(key(46))", "1 AES_CM_128_HMAC_SHA1_80 inline:\(key(28))",
      "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!", "2 AES_CM_128_HMAC_SHA1_80 inline:\(key(30)) UNENCRYPTED_SRTP",
    ])
  func badAnswers(line: String) throws {
    let session = try makeSession(.mandatory, [.aesCM128HMACSHA1Tag80])
    _ = try session.offerAttributes()
    let text = try #require(reason { try session.receive(answer: description(line)) })
    #expect(!text.contains("inline"))
    #expect(told(session).isEmpty)
  }

  @Test("an answer with a wrong tag is taken by its suite")
  func wrongTag() throws {
    let session = try makeSession()
    let offer = try session.offerAttributes()
    try session.receive(answer: description("1 AEAD_AES_128_GCM inline:\(key(28))"))
    #expect(told(session).last == .outbound(.aeadAES128GCM, try bytes(offer[3]), isFresh: true, now: true))
  }

  @Test("a peer that gives us our own key is refused")
  func reflection() throws {
    let session = try makeSession()
    let offer = try session.offerAttributes()
    #expect(reason { try session.receive(answer: description([offer[0]])) } == "the peer answers with our own key")
    #expect(told(session).isEmpty)
  }

  @Test(
    "no crypto line: plain where it may be, else an error",
    arguments: [
      (SDESEncryption.Mode.optional, "RTP/AVP", true), (.optional, "RTP/SAVP", false), (.mandatory, "RTP/AVP", false),
      (.mandatory, "RTP/SAVP", false), (.mandatoryFeedback, "RTP/SAVPF", false), (.mandatoryFeedback, "RTP/AVP", false),
      (.optional, "UDP/TLS/RTP/SAVP", false),
    ])
  func withoutCrypto(mode: SDESEncryption.Mode, token: String, isPlain: Bool) throws {
    let answerer = try makeSession(mode)
    let offerer = try makeSession(mode)
    _ = try offerer.offerAttributes()
    let asAnswerer = reason {
      let answer = try answerer.answer(to: description([], token))
      #expect(answer.isEmpty)
    }
    let asOfferer = reason { try offerer.receive(answer: description([], token)) }
    #expect((asAnswerer == nil) == isPlain)
    #expect((asOfferer == nil) == isPlain)
    #expect(told(answerer) == (isPlain ? [.plain] : []))
    #expect(told(offerer) == (isPlain ? [.plain] : []))
  }

  @Test("a plain call may become an encrypted one, never the other way round")
  func upgrade() throws {
    let session = try makeSession(.optional)
    _ = try session.answer(to: description([], "RTP/AVP"))
    #expect(told(session) == [.plain])
    _ = try session.answer(to: description([], "RTP/AVP"))
    #expect(told(session).isEmpty)
    _ = try session.answer(to: description("1 AEAD_AES_128_GCM inline:\(key(28))", token: "RTP/AVP"))
    #expect(told(session).count == 2)
    #expect(reason { _ = try session.answer(to: description([], "RTP/AVP")) } != nil)
    #expect(told(session).isEmpty)
  }
}

@Suite("Keys in SDP: re-offers and re-keys") struct SDESRekeyTests {
  @Test("a re-offer without a new key changes nothing, whoever sends it")
  func unchanged() throws {
    let (offerer, answerer) = try makeCall()
    for (one, other) in [(offerer, answerer), (answerer, offerer), (offerer, answerer)] {
      let first = try one.offerAttributes()
      try exchange(one, other)
      #expect(told(one).isEmpty && told(other).isEmpty)
      #expect(try one.offerAttributes() == first)
      one.rollback()
    }
  }

  @Test("a re-key carries on, and the answerer switches when its answer is confirmed")
  func rekey() throws {
    let (offerer, answerer) = try makeCall()
    for (one, other) in [(offerer, answerer), (answerer, offerer)] {
      let before = try one.offerAttributes()
      one.rollback()
      let supported = one.requestRekey()
      #expect(supported)
      let offer = try one.offerAttributes()
      #expect(Set(try offer.map { try bytes($0) }).isDisjoint(with: try before.map { try bytes($0) }))
      let answer = try other.answer(to: description(offer))
      let (offered, answered) = (try bytes(offer[0]), try bytes(answer[0]))
      let suite = SRTPProfile.aesCM128HMACSHA1Tag80
      #expect(
        told(other) == [
          .inbound(suite, offered, isFresh: false), .outbound(suite, answered, isFresh: false, now: false),
        ])
      try one.receive(answer: description(answer))
      #expect(
        told(one) == [
          .inbound(suite, answered, isFresh: false), .outbound(suite, offered, isFresh: false, now: true),
        ])
      other.answerConfirmed()
      #expect(told(other) == [.switchOutbound])
      other.answerConfirmed()
      #expect(told(other).isEmpty)
      #expect(try one.offerAttributes() == offer)
      one.rollback()
    }
  }

  @Test("a suite may change in a re-offer")
  func suiteChange() throws {
    let session = try makeSession()
    _ = try session.answer(to: description("1 AES_CM_128_HMAC_SHA1_80 inline:\(key(30))"))
    session.answerConfirmed()
    #expect(told(session).count == 2)
    let answer = try session.answer(to: description("4 AEAD_AES_256_GCM inline:\(key(44))"))
    #expect(
      told(session) == [
        .inbound(.aeadAES256GCM, (1...44).map { UInt8($0) }, isFresh: false),
        .outbound(.aeadAES256GCM, try bytes(answer[0]), isFresh: false, now: false),
      ])
    session.answerConfirmed()
    #expect(told(session) == [.switchOutbound])
    // The suite in force leads our own next offer, with the key in force.
    let offer = try session.offerAttributes()
    #expect(offer[0].value?.contains("AEAD_AES_256_GCM") == true)
    #expect(try bytes(offer[0]) == bytes(answer[0]))
  }

  @Test("an offer that is rejected leaves the old keys at work")
  func rejectedOffer() throws {
    let (offerer, answerer) = try makeCall()
    let before = try offerer.offerAttributes()
    offerer.rollback()
    _ = offerer.requestRekey()
    #expect(try offerer.offerAttributes() != before)
    offerer.rollback()
    #expect(told(offerer).isEmpty)
    #expect(try offerer.offerAttributes() == before)
    offerer.rollback()
    try exchange(answerer, offerer)
    #expect(told(offerer).isEmpty && told(answerer).isEmpty)
  }

  @Test("an answer that came to nothing leaves the old keys at work")
  func lostAnswer() throws {
    let (offerer, answerer) = try makeCall()
    _ = offerer.requestRekey()
    _ = try answerer.answer(to: description(try offerer.offerAttributes()))
    _ = told(answerer)
    answerer.rollback()
    offerer.rollback()
    answerer.answerConfirmed()
    #expect(told(answerer).isEmpty)
    try exchange(offerer, answerer)
    #expect(told(offerer).isEmpty && told(answerer).isEmpty)
  }

  @Test("a bad re-offer or re-answer changes nothing")
  func badReoffer() throws {
    let (offerer, answerer) = try makeCall()
    #expect(reason { _ = try answerer.answer(to: description("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA")) } != nil)
    #expect(reason { _ = try answerer.answer(to: description([])) } != nil)
    answerer.rollback()
    _ = offerer.requestRekey()
    _ = try offerer.offerAttributes()
    #expect(reason { try offerer.receive(answer: description("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA")) } != nil)
    offerer.rollback()
    #expect(told(offerer).isEmpty && told(answerer).isEmpty)
    try exchange(offerer, answerer)
    #expect(told(offerer).isEmpty && told(answerer).isEmpty)
  }

  @Test("from an offer in a call until its answer, or its end, keys may come that are not here yet")
  func expectation() throws {
    let (offerer, answerer) = try makeCall()
    #expect(expectations(of: offerer).isEmpty)
    let answer = try answerer.answer(to: description(try offerer.offerAttributes()))
    #expect(expectations(of: offerer) == [true])
    try offerer.receive(answer: description(answer))
    #expect(expectations(of: offerer) == [false])
    _ = try offerer.offerAttributes()
    offerer.rollback()
    #expect(expectations(of: offerer) == [false])
    #expect(expectations(of: answerer).isEmpty)
  }

  @Test("there is nothing to re-key before the first answer")
  func early() throws {
    let session = try makeSession()
    #expect(!session.requestRekey())
    let offer = try session.offerAttributes()
    #expect(!session.requestRekey())
    #expect(try session.offerAttributes() == offer)
  }
}

@Suite("The module") struct ModuleTests {
  @Test("it brings the three modes, and refuses suites that it does not know")
  func facets() throws {
    let module = try SRTP(settings: ModuleSettings(keys: SRTP.configKeys))
    #expect(module.facets.count == 3)
    #expect(module.facets.map(\.kind) == Array(repeating: "media encryption", count: 3))
    for (value, isGood) in [
      ("AEAD_AES_128_GCM", true), ("AEAD_AES_128_GCM, AES_CM_128_HMAC_SHA1_32", true), ("", false), ("DES", false),
    ] {
      let settings = ModuleSettings(keys: SRTP.configKeys, values: ["srtp_suites": value])
      #expect((reason { _ = try SRTP(settings: settings) } == nil) == isGood)
    }
  }
}
