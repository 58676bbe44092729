import NetBase
import SDPCodec
import Testing

/// RFC 8285 §5 to §8: which header extensions a session has.
@Suite struct ExtensionMapTests {
  private static let level = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
  private static let mid = "urn:ietf:params:rtp-hdrext:sdes:mid"

  private static func line(_ maps: [ExtensionMap]) throws -> LocalMedia {
    var line = try audio([pcmu])
    line.extensions = maps
    return line
  }

  /// What is answered to an offer with these attributes, and agreed.
  private static func answer(_ attributes: [String], own: [ExtensionMap]) throws -> ([String], [ExtensionMap]) {
    var agent = try agent()
    let head = ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
    let offer = head + ["m=audio 4000 RTP/AVP 0"] + attributes
    try agent.receiveOffer(try SessionDescription(parsing: offer.joined(separator: "\n")))
    let answer = try agent.makeAnswer([try Self.line(own)])
    return (answer.media[0].values("extmap"), agent.negotiated[0].extensions)
  }

  @Test(
    "the value is read, and written as it was",
    arguments: [
      "1 urn:a", "14/sendonly urn:a", "255/recvonly urn:a vad=off x", "4096 urn:a", "4351/inactive urn:a",
    ])
  func text(value: String) throws {
    let found = try peer("m=audio 4000 RTP/AVP 0", "a=extmap:\(value)").media[0].extensionMaps
    #expect(found.map(\.text) == [value])
  }

  @Test(
    "what is no map is passed over",
    arguments: ["", "1", "0 urn:a", "256 urn:a", "4095 urn:a", "4352 urn:a", "1/both urn:a", "x urn:a", "-1 urn:a"])
  func malformed(value: String) throws {
    #expect(try peer("m=audio 4000 RTP/AVP 0", "a=extmap:\(value)").media[0].extensionMaps.isEmpty)
  }

  @Test("an answer has what both know, under the offer's number, with the direction that both agree on")
  func answers() throws {
    let own = [ExtensionMap(id: 1, uri: Self.level)]
    let offered = ["a=extmap:1 \(Self.mid)", "a=extmap:9/sendonly \(Self.level) vad=on", "a=extmap:3 urn:other"]
    let (written, agreed) = try Self.answer(offered, own: own)
    #expect(written == ["9/recvonly \(Self.level) vad=on"])
    #expect(agreed == [ExtensionMap(id: 9, direction: .recvonly, uri: Self.level, attributes: "vad=on")])
    #expect(try Self.answer(["a=extmap:9/recvonly \(Self.level)"], own: own).0 == ["9/sendonly \(Self.level)"])
    #expect(try Self.answer(["a=extmap:9/inactive \(Self.level)"], own: own).0 == [])
    #expect(try Self.answer(["a=extmap:4096 \(Self.level)"], own: own).0 == [])
    #expect(try Self.answer(offered, own: []) == ([], []))
    #expect(try Self.answer([], own: own) == ([], []))
    // One number for two kinds means the first.
    #expect(try Self.answer(["a=extmap:2 \(Self.mid)", "a=extmap:2 \(Self.level)"], own: own).0 == [])
  }

  @Test("maps at session level hold for every line")
  func session() throws {
    let text = ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0", "a=extmap:2 \(Self.level)"]
    let offer = text + ["m=audio 4000 RTP/AVP 0", "a=extmap:1 \(Self.mid)"]
    var agent = try agent()
    try agent.receiveOffer(try SessionDescription(parsing: offer.joined(separator: "\n")))
    let answer = try agent.makeAnswer([try Self.line([ExtensionMap(id: 1, uri: Self.level)])])
    #expect(answer.media[0].values("extmap") == ["2 \(Self.level)"])
  }

  @Test("an offer's numbers are its own; those agreed before stay, whoever gave them")
  func offers() throws {
    var (alice, bob) = (try agent(), try agent("192.0.2.2", id: 2000))
    let own = [ExtensionMap(id: 1, uri: Self.level), ExtensionMap(id: 2, uri: Self.mid)]
    let offer = try alice.makeOffer([try Self.line(own)])
    #expect(offer.media[0].values("extmap") == ["1 \(Self.level)", "2 \(Self.mid)"])
    try bob.receiveOffer(offer)
    let answer = try bob.makeAnswer([try Self.line([ExtensionMap(id: 1, direction: .recvonly, uri: Self.mid)])])
    #expect(answer.media[0].values("extmap") == ["2/recvonly \(Self.mid)"])
    let agreed = try alice.receiveAnswer(answer)[0].extensions
    #expect(agreed == [ExtensionMap(id: 2, direction: .sendonly, uri: Self.mid)])
    let again = try bob.makeOffer([
      try Self.line([ExtensionMap(id: 1, uri: Self.mid), ExtensionMap(id: 2, uri: Self.level)])
    ])
    #expect(again.media[0].values("extmap") == ["2 \(Self.mid)", "3 \(Self.level)"])
  }

  @Test("an answer that renumbers a map, or has one that was not offered, agrees to nothing")
  func renumbered() throws {
    var alice = try agent()
    _ = try alice.makeOffer([try Self.line([ExtensionMap(id: 1, uri: Self.level)])])
    let answer = try peer("m=audio 4000 RTP/AVP 0", "a=extmap:2 \(Self.level)", "a=extmap:3 \(Self.mid)")
    #expect(try alice.receiveAnswer(answer)[0].extensions.isEmpty)
  }
}
