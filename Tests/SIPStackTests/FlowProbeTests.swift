internal import ICEAgent
internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("STUN over a UDP flow (RFC 5626 §4.4.2)")
struct FlowProbeTests {
  /// A registrar over UDP that agrees to outbound, and answers to STUN as the test says.
  private final class Edge {
    let lab: RegistrationTests.Lab
    /// As whom it sees A; nil leaves a request without an answer.
    var mapped: SocketAddress? = Pair.addressA
    var refuses = false

    init(transport: SIPTransportKind = .udp) {
      self.lab = RegistrationTests.Lab(nil)
      self.lab.answer = { request in
        (200, [("Contact", request.headers["Contact"] ?? ""), ("Require", "outbound")])
      }
      self.lab.pair.link = { [unowned self] sent in
        if sent.name == "STUN", sent.from == .a { self.answer(sent) }
        return sent.name == "STUN" ? [] : [10]
      }
      self.lab.pair.act { now in
        self.lab.id = self.lab.pair.a.register(RegistrationTests.Lab.settings(outbound: true), now: now)
      }
      self.lab.pair.run(100)
    }

    private func answer(_ sent: Pair.Sent) {
      guard let mapped, let request = sent.bytes.withRawSpan({ STUNMessage($0) }) else { return }
      var writer = STUNWriter(self.refuses ? .failure : .success, id: request.id)
      if self.refuses { writer.addError(400, "Bad Request") } else { writer.addMapped(mapped) }
      self.send(writer.bytes, after: 20)
    }

    func send(_ bytes: [UInt8], after milliseconds: Int64, from source: SocketAddress = Pair.addressB) {
      self.lab.pair.after(milliseconds) { [unowned self] in
        bytes.withRawSpan {
          self.lab.pair.a.receive($0, from: source, on: Pair.addressA, transport: .udp, now: self.lab.pair.now)
        }
      }
    }

    var requests: [Int64] { self.lab.pair.times("STUN", from: .a) }
    var counters: SIPCounters { self.lab.pair.a.counters }
  }

  @Test("another address of ours is another flow, whose answers may differ")
  func moves() {
    let edge = Edge()
    edge.lab.pair.run(60_000)
    #expect(edge.requests.count >= 2)
    edge.mapped = SocketAddress(ipv4: 0xCB00_7109, port: 5060)
    let local = Pair.addressA.with(port: 5070)
    edge.lab.pair.locate = { _ in [SIPTarget(address: Pair.addressB, local: local)] }
    let link = edge.lab.pair.link
    edge.lab.pair.link = { [unowned pair = edge.lab.pair] sent in
      guard sent.to == local else { return link(sent) }
      pair.inject(sent.bytes, to: .a, from: Pair.addressB)
      return []
    }
    if let id = edge.lab.id { edge.lab.pair.act { _ = edge.lab.pair.a.reregister(id, now: $0) } }
    edge.lab.pair.run(200_000)
    #expect(
      edge.lab.story == ["registering", "registered 3600", "registering", "registered 3600"], "\(edge.lab.story)")
  }

  @Test("the edge is asked every 24 to 29 s, and its answer is heard")
  func asks() {
    let edge = Edge()
    edge.lab.pair.run(600_000)
    #expect(edge.requests.count >= 20)
    #expect(zip(edge.requests, edge.requests.dropFirst()).allSatisfy { (23_000...29_000).contains($1 - $0) })
    #expect(edge.counters.missedPongs == 0 && edge.counters.keepAlives == edge.requests.count)
    #expect(edge.lab.story == ["registering", "registered 3600"] && edge.lab.pair.count("PING", from: .a) == 0)
    edge.lab.leave()
    edge.lab.expectEmpty()
  }

  @Test("an edge that has answered and is silent then is asked five times, and the binding is made anew")
  func silence() {
    let edge = Edge()
    edge.lab.pair.run(70_000)
    edge.mapped = nil
    let before = edge.requests.count
    edge.lab.pair.run(29_000 + 15_600)
    let asked = edge.requests.dropFirst(before).map { $0 - edge.requests[before] }
    #expect(Array(asked.prefix(5)) == [0, 500, 1_500, 3_500, 7_500])
    #expect(edge.counters.missedPongs == 1)
    #expect(
      edge.lab.story.dropFirst(2) == ["failed - the keep-alive was not answered", "registering", "registered 3600"])
  }

  @Test("an edge that never answers may not know STUN: lines keep the way open")
  func withoutSTUN() {
    let edge = Edge()
    edge.mapped = nil
    edge.lab.pair.run(200_000)
    #expect(edge.requests.count == 5 && edge.lab.pair.count("PING", from: .a) >= 5)
    #expect(edge.lab.story == ["registering", "registered 3600"])
    // The refresh does not begin with it again.
    edge.lab.pair.run(4_000_000)
    #expect(edge.requests.count == 5)
    edge.lab.leave()
    edge.lab.expectEmpty()
  }

  @Test("another address, or a refusal, breaks the flow")
  func changes() {
    let edge = Edge()
    edge.lab.pair.run(40_000)
    edge.mapped = SocketAddress(ipv4: 0xC633_6401, port: 4_000)
    edge.lab.pair.run(30_000)
    #expect(
      edge.lab.story.dropFirst(2) == [
        "failed - the address that the registrar sees changed to 198.51.100.1:4000", "registering", "registered 3600",
      ])
    // The new address is the one to compare with from now on.
    edge.lab.pair.run(100_000)
    #expect(edge.lab.story.count == 5)
    edge.refuses = true
    edge.lab.pair.run(30_000)
    #expect(edge.lab.story.dropFirst(5).first == "failed - the keep-alive was refused with 400")
  }

  @Test("what nobody asked for is dropped and counted: a wrong number, another host, a request, no address")
  func strangers() {
    let edge = Edge()
    edge.mapped = nil
    edge.lab.pair.run(29_000)
    let request = edge.lab.pair.all("STUN", from: .a).last?.bytes.withRawSpan { STUNMessage($0) }
    let id = request?.id ?? STUNTransactionID(high: 0, low: 0)
    var right = STUNWriter(.success, id: id)
    right.addMapped(SocketAddress(ipv4: 0x0102_0304, port: 5))
    var wrong = STUNWriter(.success, id: STUNTransactionID(high: id.high ^ 1, low: id.low))
    wrong.addMapped(Pair.addressA)
    edge.send(right.bytes, after: 1, from: SocketAddress(ipv4: 0xC000_02FF, port: 5060))
    edge.send(wrong.bytes, after: 1)
    edge.send(STUNWriter(.request, id: id).bytes, after: 1)
    edge.send(STUNWriter(.success, id: id).bytes, after: 1)
    edge.lab.pair.run(100)
    #expect(edge.counters.strayKeepAlives == 4 && edge.counters.keepAlives == 0 && edge.counters.malformed == 0)
    #expect(edge.lab.story == ["registering", "registered 3600"])
  }
}
