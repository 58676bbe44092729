import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

let addressA = SocketAddress(ipv4: 0xC000_0201, port: 4000)
let addressB = SocketAddress(ipv4: 0xC000_0202, port: 4000)
let other256 = "sha-256 " + Array(repeating: "AB", count: 32).joined(separator: ":")

func makeSession(keepsPorts: Bool = true) throws -> any MediaEncryptionSession {
  try DTLSSRTPEncryption(certificate: Certificate(), keepsPorts: keepsPorts).makeSession()
}

func description(
  _ attributes: [DescriptionAttribute], token: String = "UDP/TLS/RTP/SAVPF", from address: SocketAddress = addressA,
  rtcp: SocketAddress? = nil
) -> RemoteSecurity {
  RemoteSecurity(protocolToken: token, attributes: attributes, rtpAddress: address, rtcpAddress: rtcp)
}

func description(_ setup: String?, _ fingerprints: String...) -> RemoteSecurity {
  description(
    fingerprints.map { DescriptionAttribute("fingerprint", $0) }
      + (setup.map { [DescriptionAttribute("setup", $0)] } ?? []))
}

/// What a session told its transport.
struct Told {
  var made: [any KeyExchange] = []
  var started: [KeyExchangeRemote] = []
  /// In order: m for make, s for start, w for withdraw, x for anything else.
  var order = ""
}

func told(_ session: any MediaEncryptionSession) throws -> Told {
  var told = Told()
  while let command = session.nextCommand() {
    switch consume command {
    case .makeKeyExchange(let make):
      told.made.append(try make())
      told.order += "m"
    case .startKeyExchange(let remote):
      told.started.append(remote)
      told.order += "s"
    case .withdrawKeyExchange: told.order += "w"
    case .plain: told.order += "x"
    case .installInbound: told.order += "x"
    case .installOutbound: told.order += "x"
    case .switchOutbound: told.order += "x"
    case .expectInbound: break
    }
  }
  return told
}

func setup(_ attributes: [DescriptionAttribute]) -> String? {
  attributes.first { $0.name == "setup" }?.value
}

func value(of name: String, _ attributes: [DescriptionAttribute]) -> String? {
  attributes.first { $0.name == name }?.value
}

func reason(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch {
    return "\(error)"
  }
}

@Suite("DTLS-SRTP in SDP (RFC 5763, RFC 8842)") struct SessionTests {
  @Test("an offer is actpass with a fingerprint, and makes the exchange before the answer is there")
  func offer() throws {
    let session = try makeSession()
    let offer = try session.offerAttributes()
    #expect(offer.map(\.name) == ["fingerprint", "setup", "tls-id", "apus-dtls-mark"])
    #expect(value(of: "apus-dtls-mark", offer) == "00000000")
    #expect(offer[0].value?.hasPrefix("sha-256 ") == true)
    #expect(setup(offer) == "actpass")
    #expect(try told(session).order == "m")
    #expect(try session.offerAttributes() == offer)
    #expect(try told(session).order.isEmpty)
  }

  @Test(
    "the answer's role is the offer's counterpart",
    arguments: [
      ("actpass", "active"), ("passive", "active"), ("active", "passive"), (nil, "passive"), ("ACTPASS", "active"),
    ] as [(String?, String)])
  func answerRole(offered: String?, answered: String) throws {
    let session = try makeSession()
    let answer = try session.answer(to: description(offered, other256))
    #expect(setup(answer) == answered)
    let told = try told(session)
    #expect(told.order == "ms")
    #expect(told.started.first?.isActive == (answered == "active"))
    #expect(told.started.first?.fingerprints == [.init(function: "sha-256", digest: .init(repeating: 0xAB, count: 32))])
    #expect(told.started.first?.rtpAddress == addressA)
    #expect(told.started.first?.rtcpAddress == nil)
  }

  @Test(
    "the offerer takes the other role of the answer",
    arguments: [
      ("active", false), ("passive", true), (nil, true),
    ] as [(String?, Bool)])
  func offererRole(answered: String?, isActive: Bool) throws {
    let session = try makeSession()
    _ = try session.offerAttributes()
    try session.receive(answer: description(answered, other256))
    let told = try told(session)
    #expect(told.order == "ms")
    #expect(told.started.first?.isActive == isActive)
  }

  @Test("holdconn, an answer without a choice, and unknown roles are refused")
  func badRoles() throws {
    for role in ["holdconn", "sometimes", ""] {
      let session = try makeSession()
      #expect(reason { _ = try session.answer(to: description(role, other256)) } != nil, "\(role)")
      #expect(try told(session).order.isEmpty)
    }
    for role in ["actpass", "holdconn"] {
      let session = try makeSession()
      _ = try session.offerAttributes()
      #expect(reason { try session.receive(answer: description(role, other256)) } != nil, "\(role)")
      #expect(try told(session).order == "m")
    }
  }

  @Test("a description without an acceptable fingerprint or protocol is refused, with a sentence")
  func badDescriptions() throws {
    let table: [(RemoteSecurity, String)] = [
      (description("actpass"), "no a=fingerprint"),
      (description("actpass", "sha-1 " + Array(repeating: "00", count: 20).joined(separator: ":")), "sha-1"),
      (description("actpass", "sha-256 00"), "malformed"),
      (description("actpass", other256, "sha-256 zz"), "malformed"),
      (
        description(
          [DescriptionAttribute("fingerprint", other256), DescriptionAttribute("setup", "actpass")], token: "RTP/AVP"),
        "RTP/AVP"
      ),
    ]
    for (offer, word) in table {
      let session = try makeSession()
      let text = reason { _ = try session.answer(to: offer) }
      #expect(text?.contains(word) == true, "\(word): \(text ?? "accepted")")
      #expect(try told(session).order.isEmpty)
    }
    let session = try makeSession()
    _ = try session.answer(to: description("actpass", "sha-1 00", other256))
    #expect(try told(session).started.first?.fingerprints.count == 1)
  }

  @Test("re-offers keep the association and the roles, whoever sends them")
  func reoffers() throws {
    let (offerer, answerer) = (try makeSession(), try makeSession())
    let offer = try offerer.offerAttributes()
    let answer = try answerer.answer(to: description(offer))
    try offerer.receive(answer: description(answer, from: addressB))
    _ = (try told(offerer), try told(answerer))
    #expect(setup(answer) == "active")
    for (one, other, role) in [(offerer, answerer, "active"), (answerer, offerer, "passive")] {
      let again = try one.offerAttributes()
      #expect(setup(again) == "actpass")
      let answer = try other.answer(to: description(again))
      #expect(setup(answer) == role)
      try one.receive(answer: description(answer))
      other.answerConfirmed()
      #expect(try told(one).order.isEmpty)
      #expect(try told(other).order.isEmpty)
    }
    _ = try offerer.offerAttributes()
    offerer.rollback()
    #expect(try told(offerer).order.isEmpty, "nothing was asked for that could be withdrawn")
    let again = try answerer.answer(to: description(offer))
    #expect(setup(again) == "active")
  }

  @Test(
    "a re-offer that asks for another association gets one, on a path of its own",
    arguments: ["fingerprint", "role", "tls-id"])
  func otherAssociation(change: String) throws {
    let session = try makeSession()
    let fingerprint = DescriptionAttribute("fingerprint", other256)
    _ = try session.answer(to: description([fingerprint, DescriptionAttribute("setup", "active")]))
    #expect(try told(session).order == "ms")
    #expect(session.takeAssociationPath() == nil)
    var attributes = [fingerprint, DescriptionAttribute("setup", "actpass")]
    switch change {
    case "fingerprint": attributes[0] = DescriptionAttribute("fingerprint", other256.replacing("AB", with: "CD"))
    case "role": attributes[1] = DescriptionAttribute("setup", "passive")
    default: attributes.append(DescriptionAttribute("tls-id", "abc3de65cddef001be82"))
    }
    let answer = try session.answer(to: description(attributes))
    #expect(session.takeAssociationPath() == .another && session.takeAssociationPath() == nil)
    #expect((value(of: "tls-id", answer) != nil) == (change == "tls-id"))
    let first = try told(session)
    #expect(first.order == "ms" && first.started.first?.isActive == (change == "role"))
    // The same offer again is the same association.
    session.answerConfirmed()
    _ = try session.answer(to: description(attributes))
    #expect(try told(session).order.isEmpty && session.takeAssociationPath() == nil)
  }

  @Test("a re-key asks for a new association by tls-id, and both ends begin one")
  func rekey() throws {
    let (offerer, answerer) = (try makeSession(), try makeSession())
    #expect(!offerer.requestRekey(), "there is nothing to change yet")
    let first = try offerer.offerAttributes()
    let firstAnswer = try answerer.answer(to: description(first))
    try offerer.receive(answer: description(firstAnswer, from: addressB))
    answerer.answerConfirmed()
    _ = (try told(offerer), try told(answerer))
    #expect(offerer.requestRekey())
    let offer = try offerer.offerAttributes()
    #expect(value(of: "tls-id", offer) != value(of: "tls-id", first))
    #expect(value(of: "fingerprint", offer) == value(of: "fingerprint", first))
    #expect(offerer.takeAssociationPath() == .inUse)
    #expect(try told(offerer).order == "m")
    #expect(!offerer.requestRekey(), "one at a time")
    let answer = try answerer.answer(to: description(offer))
    #expect(value(of: "tls-id", answer) != value(of: "tls-id", firstAnswer))
    try offerer.receive(answer: description(answer, from: addressB))
    let (one, other) = (try told(offerer), try told(answerer))
    #expect(one.order == "s" && other.order == "ms" && one.started[0].isActive != other.started[0].isActive)
  }

  @Test("a peer without tls-id is asked for a new association by a new fingerprint")
  func rekeyWithoutAssociationID() throws {
    let session = try makeSession()
    let fingerprint = DescriptionAttribute("fingerprint", other256)
    let first = try session.offerAttributes()
    try session.receive(answer: description([fingerprint, DescriptionAttribute("setup", "active")]))
    _ = try told(session)
    #expect(session.requestRekey())
    let offer = try session.offerAttributes()
    #expect(value(of: "fingerprint", offer) != value(of: "fingerprint", first))
    try session.receive(answer: description([fingerprint, DescriptionAttribute("setup", "active")]))
    #expect(try told(session).order == "ms" && session.takeAssociationPath() == .another)
  }

  @Test("a refused re-key leaves the association, and the next offer says so")
  func refusedRekey() throws {
    let (offerer, answerer) = (try makeSession(), try makeSession())
    let first = try offerer.offerAttributes()
    let answer = try answerer.answer(to: description(first))
    try offerer.receive(answer: description(answer, from: addressB))
    #expect(offerer.requestRekey())
    let offer = try offerer.offerAttributes()
    offerer.rollback()
    #expect(try offerer.offerAttributes() == first)
    #expect(offerer.takeAssociationPath() == nil)
    #expect(try told(offerer).order.hasSuffix("w"))
    answerer.answerConfirmed()
    _ = try answerer.answer(to: description(offer))
    answerer.rollback()
    #expect(try told(answerer).order.hasSuffix("w"))
    #expect(try answerer.answer(to: description(first)) == answer)
    #expect(try told(answerer).order.isEmpty)
  }

  @Test("an answer that keeps or changes the association against the offer is refused")
  func wrongAssociationInAnswer() throws {
    let (offerer, answerer) = (try makeSession(), try makeSession())
    let first = try offerer.offerAttributes()
    let answer = try answerer.answer(to: description(first))
    try offerer.receive(answer: description(answer, from: addressB))
    _ = try offerer.offerAttributes()
    var changed = answer
    changed[2] = DescriptionAttribute("tls-id", "abc3de65cddef001be82")
    #expect(reason { try offerer.receive(answer: description(changed)) }?.contains("only an offer") == true)
    #expect(offerer.requestRekey())
    _ = try offerer.offerAttributes()
    #expect(reason { try offerer.receive(answer: description(answer)) }?.contains("of the old one") == true)
  }

  @Test("two sessions give two exchanges that secure each other, RTCP on its own socket too")
  func endToEnd() throws {
    let (offerer, answerer) = (try makeSession(), try makeSession())
    let offer = try offerer.offerAttributes()
    let answer = try answerer.answer(to: description(offer, from: addressA, rtcp: addressA.with(port: 4001)))
    let (early, right) = (try told(offerer), try told(answerer))
    let (server, client) = (try #require(early.made.first), try #require(right.made.first))
    let now = Instant(nanoseconds: 0)
    client.start(try #require(right.started.first), now: now)
    try offerer.receive(answer: description(answer, from: addressB, rtcp: addressB.with(port: 4001)))
    let late = try told(offerer)
    #expect(late.order == "s")
    var secured: [Component: [[UInt8]]] = [:]
    func deliver(from one: any KeyExchange, to other: any KeyExchange, as host: SocketAddress) -> Bool {
      var isBusy = false
      while let action = one.nextAction() {
        isBusy = true
        switch consume action {
        case .send(let datagram, _, let component):
          datagram.withRawSpan {
            other.receive($0, from: component == .rtp ? host : host.with(port: 4001), on: component, now: now)
          }
        case .secured(let component, let inbound, let outbound, _):
          secured[component, default: []] += [inbound.keyAndSalt.bytes.copied(), outbound.keyAndSalt.bytes.copied()]
        case .failed(let reason): Issue.record("\(reason)")
        case .closed: Issue.record("closed")
        }
      }
      return isBusy
    }
    // The ClientHellos are here before the answer.
    #expect(deliver(from: client, to: server, as: addressB))
    #expect(!deliver(from: server, to: client, as: addressA))
    server.start(try #require(late.started.first), now: now)
    while deliver(from: server, to: client, as: addressA) || deliver(from: client, to: server, as: addressB) {}
    for component in Component.allCases {
      let keys = try #require(secured[component])
      #expect(keys.count == 4 && keys[0] == keys[3] && keys[1] == keys[2])
    }
  }
}
