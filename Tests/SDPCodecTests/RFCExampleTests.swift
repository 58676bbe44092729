import NetBase
import SDPCodec
import Testing

/// The exchanges of RFC 3264 §10 and RFC 4317, played by two agents.
@Suite struct RFCExampleTests {
  /// Alice and Bob, each with their agent.
  struct Pair {
    var alice: OfferAnswer
    var bob: OfferAnswer

    init() throws {
      self.alice = try agent("192.0.2.1", id: 1)
      self.bob = try agent("192.0.2.2", id: 2)
    }

    /// One exchange, over the wire; both sides' results.
    mutating func aliceOffers(_ offer: [LocalMedia?], _ answer: [LocalMedia?]) throws -> Exchange {
      try Pair.exchange(&self.alice, offer, &self.bob, answer)
    }

    mutating func bobOffers(_ offer: [LocalMedia?], _ answer: [LocalMedia?]) throws -> Exchange {
      try Pair.exchange(&self.bob, offer, &self.alice, answer)
    }

    private static func exchange(
      _ offerer: inout OfferAnswer, _ offer: [LocalMedia?], _ answerer: inout OfferAnswer, _ answer: [LocalMedia?]
    ) throws -> Exchange {
      let sent = try offerer.makeOffer(offer)
      try answerer.receiveOffer(try SessionDescription(parsing: sent.bytes))
      let returned = try answerer.makeAnswer(answer)
      try offerer.receiveAnswer(try SessionDescription(parsing: returned.bytes))
      return Exchange(offer: sent, answer: returned)
    }
  }

  struct Exchange {
    var offer: SessionDescription
    var answer: SessionDescription
    var offered: [String] { self.offer.media.map(Exchange.line) }
    var answered: [String] { self.answer.media.map(Exchange.line) }
    static func line(_ media: MediaDescription) -> String {
      ([media.kind.description, "\(media.port)"] + media.formats).joined(separator: " ")
    }
  }

  @Test("RFC 3264 §10.1: one video stream is refused, then a stream of telephone events is added")
  func basicExchange() throws {
    var pair = try Pair()
    let first = try pair.aliceOffers(
      [
        try audio([pcmu], at: "192.0.2.1:49170"), try video([h261], at: "192.0.2.1:51372"),
        try video([mpv], at: "192.0.2.1:53000"),
      ],
      [try audio([pcmu], at: "192.0.2.2:49920"), nil, try video([mpv], at: "192.0.2.2:53000")])
    #expect(first.offered == ["audio 49170 0", "video 51372 31", "video 53000 32"])
    #expect(first.answered == ["audio 49920 0", "video 0 31", "video 53000 32"])
    #expect(pair.alice.negotiated.map(\.rejection) == [nil, .refusedByPeer, nil])
    #expect(pair.bob.negotiated.map(\.rejection) == [nil, .notWanted, nil])

    let digits = CodecCapability("telephone-event", clockRate: 8000, payloadType: 110)
    let second = try pair.bobOffers(
      [
        try audio([pcmu], at: "192.0.2.2:65422"), nil, try video([mpv], at: "192.0.2.2:53000"),
        try audio([digits], at: "192.0.2.2:51434", direction: .recvonly),
      ],
      [
        try audio([pcmu], at: "192.0.2.1:49170"), nil, try video([mpv], at: "192.0.2.1:53000"),
        try audio([events], at: "192.0.2.1:53122"),
      ])
    #expect(second.offered == ["audio 65422 0", "video 0 31", "video 53000 32", "audio 51434 110"])
    #expect(second.answered == ["audio 49170 0", "video 0 31", "video 53000 32", "audio 53122 110"])
    #expect(second.answer.media[3].direction == .sendonly)
    #expect(pair.alice.negotiated[3].sendTelephoneEvent?.payloadType == 110)
    #expect(pair.alice.negotiated[3].sends && !pair.alice.negotiated[3].receives)
    #expect(pair.alice.negotiated[1].rejection == .notOffered)
    #expect(pair.alice.negotiated[0].remoteRTP?.port == 65422)
  }

  @Test("RFC 3264 §10.2: of several codecs one is selected in a second offer")
  func oneOfN() throws {
    let g723 = CodecCapability("G723", clockRate: 8000)
    let g729 = CodecCapability("G729", clockRate: 8000)
    var pair = try Pair()
    let first = try pair.aliceOffers(
      [try audio([pcmu, g723, g729], at: "192.0.2.1:62986", direction: .inactive)],
      [try audio([pcmu, g723], at: "192.0.2.2:54344")])
    #expect(first.offered == ["audio 62986 0 4 18"])
    #expect(first.answered == ["audio 54344 0 4"])
    #expect(first.answer.media[0].direction == .inactive)
    #expect(!pair.alice.negotiated[0].sends && !pair.bob.negotiated[0].receives)
    let second = try pair.aliceOffers(
      [try audio([g723], at: "192.0.2.1:62986")], [try audio([pcmu, g723], at: "192.0.2.2:54344")])
    #expect(second.answered == ["audio 54344 4"])
    #expect(pair.alice.negotiated[0].direction == .sendrecv)
    #expect(second.offer.origin.sessionVersion == "2" && second.answer.origin.sessionVersion == "2")
  }

  @Test("RFC 4317 §2.1: audio and video, each narrowed to one codec")
  func audioAndVideo() throws {
    var pair = try Pair()
    let exchange = try pair.aliceOffers(
      [try audio([pcmu, pcma, ilbc], at: "192.0.2.1:49170"), try video([h261, mpv], at: "192.0.2.1:51372")],
      [try audio([pcmu], at: "192.0.2.2:49174"), try video([mpv], at: "192.0.2.2:49170")])
    #expect(exchange.offered == ["audio 49170 0 8 96", "video 51372 31 32"])
    #expect(exchange.answered == ["audio 49174 0", "video 49170 32"])
  }

  @Test("RFC 4317 §2.2: two codecs are agreed, then a re-offer leaves one")
  func narrowing() throws {
    var pair = try Pair()
    let first = try pair.aliceOffers(
      [try audio([pcmu, pcma, ilbc]), try video([h261, mpv], at: "192.0.2.1:51372")],
      [try audio([pcmu, pcma], at: "192.0.2.2:49172"), try video([h261, mpv], at: "192.0.2.2:49168")])
    #expect(first.answered == ["audio 49172 0 8", "video 49168 31 32"])
    let second = try pair.aliceOffers(
      [try audio([pcmu]), try video([mpv], at: "192.0.2.1:51372")],
      [try audio([pcmu, pcma], at: "192.0.2.2:49172"), try video([h261, mpv], at: "192.0.2.2:49168")])
    #expect(second.answered == ["audio 49172 0", "video 49168 32"])
    #expect(pair.bob.negotiated[0].sendCodecs.brief == ["pcmu@0"])
  }

  @Test("RFC 4317 §2.3: the peer has a dynamic codec under the offer's number, and no video")
  func videoRefused() throws {
    var pair = try Pair()
    let exchange = try pair.aliceOffers(
      [try audio([pcmu, pcma, ilbc]), try video([h261, mpv], at: "192.0.2.1:51372")],
      [try audio([ilbc], at: "192.0.2.2:49174"), nil])
    #expect(exchange.answered == ["audio 49174 96", "video 0 31 32"])
    #expect(exchange.answer.media[0].rtpmaps.map(\.text) == ["96 iLBC/8000"])
  }

  @Test("RFC 4317 §2.4: audio with telephone events in the same line")
  func telephoneEvents() throws {
    var pair = try Pair()
    let exchange = try pair.aliceOffers(
      [try audio([pcmu, ilbc, events])], [try audio([ilbc, pcmu, events], at: "192.0.2.2:49178")])
    #expect(exchange.offered == ["audio 10000 0 96 101"])
    #expect(exchange.answered == ["audio 49178 96 0 101"])
    #expect(pair.alice.negotiated[0].sendTelephoneEvent?.payloadType == 101)
    #expect(pair.alice.negotiated[0].sendCodecs.brief == ["ilbc@96", "pcmu@0"])
  }

  @Test("RFC 4317 §3: hold, resume, and hold by both sides")
  func holding() throws {
    var pair = try Pair()
    let bob = try audio([pcmu, ilbc], at: "192.0.2.2:49172")
    var alice = try audio([pcmu, ilbc])
    _ = try pair.aliceOffers([alice], [bob])
    alice.direction = .sendonly
    let hold = try pair.aliceOffers([alice], [bob])
    #expect(hold.answer.media[0].direction == .recvonly)
    #expect(pair.bob.negotiated[0].isHeldByPeer && !pair.alice.negotiated[0].isHeldByPeer)
    var held = bob
    held.direction = .sendonly
    let both = try pair.bobOffers([held], [alice])
    #expect(both.answer.media[0].direction == .inactive)
    #expect(pair.alice.negotiated[0].isHeldByPeer && !pair.alice.negotiated[0].sends)
    #expect(pair.bob.negotiated[0].isHeldByPeer && !pair.bob.negotiated[0].receives)
    alice.direction = .sendrecv
    let resume = try pair.aliceOffers([alice], [bob])
    #expect(resume.answer.media[0].direction == .sendrecv)
    #expect(!pair.bob.negotiated[0].isHeldByPeer)
  }

  @Test("RFC 4317 §4: a second stream is added, another removed by port 0, and its place used again")
  func addingAndDeleting() throws {
    var pair = try Pair()
    let bobAudio = try audio([pcmu], at: "192.0.2.2:49174")
    let bobVideo = try video([h261], at: "192.0.2.2:49176")
    _ = try pair.aliceOffers([try audio([pcmu])], [bobAudio])
    let added = try pair.bobOffers(
      [bobAudio, bobVideo], [try audio([pcmu]), try video([h261], at: "192.0.2.1:51372")])
    #expect(added.answered == ["audio 10000 0", "video 51372 31"])
    let removed = try pair.aliceOffers([try audio([pcmu]), nil], [bobAudio, bobVideo])
    #expect(removed.offered == ["audio 10000 0", "video 0 31"])
    #expect(removed.answered == ["audio 49174 0", "video 0 31"])
    let shorter = try pair.aliceOffers([try audio([pcmu])], [bobAudio])
    #expect(shorter.offered == removed.offered)
    let again = try pair.aliceOffers(
      [try audio([pcmu]), try audio([pcma], at: "192.0.2.1:51372")],
      [bobAudio, try audio([pcma], at: "192.0.2.2:49176")])
    #expect(again.answered == ["audio 49174 0", "audio 49176 8"])
  }

  @Test("RFC 4317 §5: third party call control starts with an offer without media")
  func noMedia() throws {
    var pair = try Pair()
    let empty = try pair.aliceOffers([], [])
    #expect(empty.offered == [] && empty.answered == [])
    #expect(empty.offer.text.hasPrefix("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"))
    let real = try pair.aliceOffers([try audio([pcmu])], [try audio([pcmu], at: "192.0.2.2:49174")])
    #expect(real.answered == ["audio 49174 0"])
  }
}
