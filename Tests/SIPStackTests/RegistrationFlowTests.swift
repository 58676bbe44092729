internal import NetBase
internal import Testing

@testable internal import SIPStack

/// Bindings and the connections that they are over (RFC 5626).
extension RegistrationTests {
  @Test("with outbound the flow is pinged as Flow-Timer says, and the pong is heard (RFC 5626 §4.4.1)")
  func keepAlive() {
    let lab = Self.outbound()
    #expect(lab.results.first?.isOutbound == true && lab.results.first?.route.flow == lab.pair.flow)
    lab.pair.run(600_000)
    let pings = lab.pair.times("PING", from: .a)
    #expect(pings.count >= 9)
    #expect(zip(pings, pings.dropFirst()).allSatisfy { (48_000...60_000).contains($1 - $0) })
    #expect(lab.pair.count("PONG", from: .b) == pings.count)
    #expect(lab.pair.a.counters.missedPongs == 0 && lab.story == ["registering", "registered 3600"])
    #expect(lab.pair.all("PING", from: .a).allSatisfy { $0.path.flow == lab.pair.flow })
    lab.leave()
    lab.expectEmpty()
  }

  @Test("a ping without a pong breaks the flow, and the binding is made anew over another")
  func missedPong() {
    let lab = Self.outbound()
    lab.pair.link = { sent in sent.name == "PING" ? [] : [10] }
    lab.pair.flow = SIPFlow(number: 2)
    lab.pair.run(75_000)
    #expect(lab.pair.a.counters.missedPongs == 1)
    #expect(
      lab.story == [
        "registering", "registered 3600", "failed - the keep-alive was not answered", "registering", "registered 3600",
      ])
    #expect(lab.results.last?.route.flow == SIPFlow(number: 2))
    #expect(lab.requests.last?.path.flow == nil, "the old flow is not used any more")
    #expect(lab.pair.closed.map(\.flow) == [SIPFlow(number: 1)], "nor is it found again by its address")
  }

  @Test("a refresh that nothing answers closes its connection, and the next REGISTER asks for a new one")
  func deadConnection() {
    let lab = Lab(Lab.settings(transport: .tcp))
    lab.pair.run(1_000)
    lab.pair.link = { _ in [] }
    lab.pair.run(3_280_000)
    #expect(lab.requests.count == 2 && lab.requests.last?.path.flow == lab.pair.flow)
    #expect(lab.pair.closed.map(\.flow) == [lab.pair.flow])
    lab.pair.link = { _ in [10] }
    lab.pair.run(31_000)
    #expect(lab.requests.last?.path.flow == nil && lab.story.last == "registered 3600")
  }

  @Test("a registrar that closes what it has just accepted is asked again at once only the first time")
  func closingRegistrar() throws {
    let lab = Self.outbound()
    let path = try #require(lab.results.first?.route)
    for _ in 0..<50 {
      lab.pair.act { lab.pair.a.flowFailed(path, error: "closed", now: $0) }
      lab.pair.run(100)
    }
    #expect(lab.requests.count == 2, "the first, and one at once")
    lab.pair.run(31_000)
    #expect(lab.requests.count == 3)
    // What lasts is forgiven.
    lab.pair.run(31_000)
    lab.pair.act { lab.pair.a.flowFailed(path, error: "closed", now: $0) }
    lab.pair.run(100)
    #expect(lab.requests.count == 4)
    lab.leave()
    lab.expectEmpty()
  }

  @Test("who accepts no connections is bound by the port of the one there is, and takes a wrong one back")
  func connectedPort() throws {
    let lab = Lab(nil)
    lab.pair.connectedPort = 40_001
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(transport: .tcp), now: $0) }
    lab.pair.run(1_000)
    #expect(lab.story == ["registering", "registered 3600"])
    let contacts = lab.requests.map { $0.message.headers.list("Contact") }
    #expect(
      contacts == [
        ["<sip:alice@192.0.2.1:5060;transport=tcp>;expires=3600"],
        [
          "<sip:alice@192.0.2.1:40001;transport=tcp>;expires=3600",
          "<sip:alice@192.0.2.1:5060;transport=tcp>;expires=0",
        ],
      ])
    lab.leave()
    lab.expectEmpty()
  }

  @Test("an instance that turns out to have another port is bound by that one, and takes nothing back (RFC 5626 §6)")
  func connectedPortOfInstance() throws {
    let lab = Lab(nil)
    lab.pair.connectedPort = 40_001
    lab.pair.act { lab.id = lab.pair.a.register(Lab.settings(transport: .tcp, outbound: true), now: $0) }
    lab.pair.run(1_000)
    #expect(lab.story == ["registering", "registered 3600"])
    let contacts = lab.requests.map { $0.message.headers.list("Contact") }
    try #require(contacts.map(\.count) == [1, 1])
    #expect(contacts[1][0].hasPrefix("<sip:alice@192.0.2.1:40001;") && contacts[1][0].hasSuffix(";expires=3600"))
    lab.leave()
    lab.expectEmpty()
  }
}
