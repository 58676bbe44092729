import SDPCodec
import Testing

@Suite struct RoundTripTests {
  @Test("what is written is read back as it was", arguments: 1...20)
  func random(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    for _ in 0..<40 {
      let session = SessionDescription.random(&random)
      #expect(try SessionDescription(parsing: session.bytes) == session)
    }
  }

  @Test("a real offer survives reading, writing and reading", arguments: RealOffers.all)
  func real(offer: RealOffer) throws {
    let session = try SessionDescription(parsing: offer.text)
    #expect(try SessionDescription(parsing: session.text) == session)
  }

  @Test("a value cannot start a line of its own")
  func injection() throws {
    var session = try peer("m=audio 5000 RTP/AVP 0")
    session.add("label", "1\r\na=crypto:1 X inline:evil\0\nm=audio 1 RTP/AVP 0")
    let back = try SessionDescription(parsing: session.text)
    #expect(back.attributes.count == 1)
    #expect(back.media.count == 1)
  }
}

extension SessionDescription {
  /// Any description that the writer can express.
  static func random(_ random: inout SeededGenerator) -> SessionDescription {
    func flip(_ random: inout SeededGenerator) -> Bool { Bool.random(using: &random) }
    func text(_ random: inout SeededGenerator, from alphabet: String) -> String {
      let letters = Array(alphabet)
      let count = Int.random(in: 1...12, using: &random)
      return String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &random)] })
    }
    func token(_ random: inout SeededGenerator) -> String { text(&random, from: "abcXYZ019-_.+") }
    func value(_ random: inout SeededGenerator) -> String {
      // Blanks inside and in front are kept, those at the end are not.
      text(&random, from: "ab :=/;\t|éß→\u{301}\u{1F600}09") + "."
    }
    func connection(_ random: inout SeededGenerator) -> SDPConnection {
      let six = flip(&random)
      return SDPConnection(
        addressType: six ? "IP6" : "IP4",
        address: six ? "2001:db8::1" : "192.0.2.\(UInt8.random(in: 0...255, using: &random))")
    }
    func list<Element>(_ random: inout SeededGenerator, _ make: (inout SeededGenerator) -> Element) -> [Element] {
      (0..<Int.random(in: 0...3, using: &random)).map { _ in make(&random) }
    }
    func attributes(_ random: inout SeededGenerator) -> [SDPAttribute] {
      list(&random) { random in
        let name = token(&random)
        switch UInt8.random(in: 0...2, using: &random) {
        case 0: return SDPAttribute(name)
        case 1: return SDPAttribute(name, "")
        default: return SDPAttribute(name, value(&random))
        }
      }
    }
    func bandwidths(_ random: inout SeededGenerator) -> [SDPBandwidth] {
      list(&random) { random in SDPBandwidth(type: token(&random), value: random.next()) }
    }
    func media(_ random: inout SeededGenerator) -> MediaDescription {
      MediaDescription(
        kind: flip(&random) ? .audio : MediaKind(token(&random)), port: UInt16.random(in: 0...65535, using: &random),
        portCount: flip(&random) ? UInt16.random(in: 1...9, using: &random) : nil, protocolName: token(&random),
        formats: list(&random, token), information: flip(&random) ? value(&random) : nil,
        connection: flip(&random) ? connection(&random) : nil, bandwidths: bandwidths(&random),
        attributes: attributes(&random))
    }
    return SessionDescription(
      origin: SDPOrigin(
        username: token(&random), sessionID: "\(random.next())", sessionVersion: "\(random.next())",
        connection: connection(&random)),
      sessionName: value(&random), information: flip(&random) ? value(&random) : nil,
      uri: flip(&random) ? value(&random) : nil, emails: list(&random, value), phones: list(&random, value),
      connection: flip(&random) ? connection(&random) : nil, bandwidths: bandwidths(&random),
      timings: [SDPTiming()]
        + list(&random) { random in
          SDPTiming(start: random.next(), stop: random.next(), repeats: list(&random, value))
        },
      timeZones: flip(&random) ? value(&random) : nil, attributes: attributes(&random), media: list(&random, media))
  }
}
