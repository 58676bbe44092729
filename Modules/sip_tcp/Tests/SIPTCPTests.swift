import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import SIPStreams
import TestSupport
import Testing
import sip_tcp

@Suite("sip_tcp") struct SIPTCPTests {
  /// - Parameter change: of the limits that the module has by default.
  static func bench(_ host: String = "127.0.0.1", _ change: (inout StreamLimits) -> Void = { _ in }) throws -> SIPBench
  {
    var provider = SIPTCP(settings: ModuleSettings(keys: SIPTCP.configKeys)).provider
    change(&provider.limits)
    return try SIPBench(provider, host: host)
  }

  static func counters(_ bench: SIPBench) -> StreamCounters {
    bench.act { ($0 as? StreamTransport)?.counters ?? StreamCounters() } ?? StreamCounters()
  }

  static func connections(_ bench: SIPBench) -> Int {
    bench.act { ($0 as? StreamTransport)?.connectionCount ?? -1 } ?? -1
  }

  @Test("the module brings one SIP transport, for the main loop, with its settings")
  func facets() {
    let module = SIPTCP(
      settings: ModuleSettings(keys: SIPTCP.configKeys, values: ["sip_tcp_connections": "7", "sip_tcp_keepalive": "0"]))
    #expect(module.facets.count == 1 && module.facets[0].kind == "SIP transport")
    #expect(module.facets[0].safety == .mainOnly && module.provider.kind == .tcp)
    #expect(module.provider.limits.connections == 7 && module.provider.limits.idle == .seconds(3600))
    #expect(module.provider.limits.keepalive == .zero)
  }

  @Test("messages cross whole, and the answer goes back over the same connection", arguments: ["127.0.0.1", "::1"])
  func crossing(host: String) throws {
    let (left, right) = (try Self.bench(host), try Self.bench(host))
    defer {
      left.stop()
      right.stop()
    }
    let sizes = [0, 1300, 20_000, 65_000]
    for (number, size) in sizes.enumerated() {
      let sent = left.send(SIPTexts.request(number, bodyLength: size), to: right.address)
      #expect(sent == .sent(SIPFlow(number: 1)), "one connection for all of them")
    }
    #expect(right.wait { $0.messages.count == sizes.count })
    #expect(right.messages.map(\.bytes) == sizes.enumerated().map { SIPTexts.request($0, bodyLength: $1) })
    let origin = try #require(right.messages.first?.origin)
    #expect(origin.local == right.address && right.events.opened.first?.isAccepted == true)
    #expect(left.events.opened.first?.peer == right.address && left.events.opened.first?.isAccepted == false)

    let answer = SIPTexts.request(99)
    #expect(right.send(answer, to: SIPDestination(origin.source, flow: origin.flow)) == .sent(origin.flow))
    #expect(left.wait { !$0.messages.isEmpty })
    #expect(left.messages.first?.bytes == answer && left.messages.first?.origin.source == right.address)
    // A request to where the peer comes from finds its connection too.
    #expect(right.send(answer, to: origin.source) == .sent(origin.flow))
    #expect(Self.connections(left) == 1 && Self.connections(right) == 1)
  }

  @Test("a connection leaves from the port that it is told, again and again", arguments: ["127.0.0.1", "::1"])
  func sourcePort(host: String) throws {
    let right = try Self.bench(host)
    defer { right.stop() }
    // A port that was free a moment ago.
    let free = try Self.bench(host)
    let port = free.address.port
    free.stop()
    for round in 1...2 {
      let left = try Self.bench(host)
      var destination = SIPDestination(right.address)
      destination.sourcePort = port
      left.send(SIPTexts.request(round), to: destination)
      #expect(right.wait { $0.messages.count == round }, "round \(round): \(left.events.closed)")
      #expect(right.messages.last?.origin.source.port == port)
      left.stop()
      #expect(right.wait { $0.closed.count == round })
    }
  }

  @Test("what is sent before the connection stands arrives in order")
  func orderWhileOpening() throws {
    let (left, right) = (try Self.bench(), try Self.bench())
    defer {
      left.stop()
      right.stop()
    }
    let address = right.address
    _ = left.act { transport in
      for number in 0..<100 { _ = transport.send(SIPTexts.request(number), to: SIPDestination(address)) }
    }
    #expect(right.wait { $0.messages.count == 100 })
    #expect(right.messages.map(\.bytes) == (0..<100).map { SIPTexts.request($0) })
  }

  @Test("a peer whose name is told has a connection of its own for every name only where TLS checks it")
  func namesDoNotMatter() throws {
    let (left, right) = (try Self.bench(), try Self.bench())
    defer {
      left.stop()
      right.stop()
    }
    let first = left.send(SIPTexts.request(), to: SIPDestination(right.address, serverName: "a.example"))
    let second = left.send(SIPTexts.request(), to: SIPDestination(right.address, serverName: "b.example"))
    #expect(first == second)
  }

  @Test("a port where nothing listens is told at once", arguments: ["127.0.0.1", "::1"])
  func refused(host: String) throws {
    let gone = try Self.bench(host)
    let target = gone.address
    gone.stop()
    let bench = try Self.bench(host)
    defer { bench.stop() }
    #expect(bench.send(SIPTexts.request(), to: target) == .sent(SIPFlow(number: 1)))
    #expect(bench.wait { !$0.closed.isEmpty })
    #expect(
      bench.events.closed == [
        SIPBench.Closed(flow: SIPFlow(number: 1), peer: target, reason: "connection refused")
      ])
    #expect(Self.connections(bench) == 0 && Self.counters(bench).failed == 1)
    // A new try is a new connection with a new number.
    #expect(bench.send(SIPTexts.request(), to: target) == .sent(SIPFlow(number: 2)))
  }

  @Test("a taken port is a sentence that says what to change")
  func takenPort() throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    let address = bench.address
    let provider = SIPTCP(settings: ModuleSettings(keys: SIPTCP.configKeys)).provider
    let error = #expect(throws: ModuleError.self) {
      try SIPBench(provider, SIPTransportSettings(listen: address))
    }
    #expect(
      error?.message
        == "module sip_tcp: cannot listen on \(address): address already in use; choose another sip_listen")
  }

  @Test("an address that is not this machine's is a sentence that says so")
  func foreignAddress() throws {
    // Of the documentation's, so nobody's (RFC 5737).
    let address = SocketAddress(ipv4: 0xC000_0209, port: 5060)
    let provider = SIPTCP(settings: ModuleSettings(keys: SIPTCP.configKeys)).provider
    let error = #expect(throws: ModuleError.self) {
      try SIPBench(provider, SIPTransportSettings(listen: address))
    }
    #expect(
      error?.message
        == "module sip_tcp: cannot listen on \(address): it is no address of this machine; "
        + "choose another sip_listen or net_interface")
  }

  @Test("when the peer closes, the flow is over and says so; a message to it is refused")
  func closedByPeer() throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    let flow: SIPFlow?
    do {
      let peer = try RawPeer(to: bench.address)
      peer.send(SIPTexts.request())
      #expect(bench.wait { !$0.messages.isEmpty })
      flow = bench.messages.first?.origin.flow
    }
    #expect(bench.wait { !$0.closed.isEmpty })
    #expect(bench.events.closed.first?.flow == flow)
    #expect(bench.events.closed.first?.reason == "the peer closed the connection")
    let destination = SIPDestination(bench.address, flow: flow)
    #expect(bench.send(SIPTexts.request(), to: destination) == .refused("the connection is closed"))
  }

  @Test("a connection that is closed here says nothing, and the peer sees its end after what was sent")
  func closedHere() throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    let listener = RawPeer.Listener()
    guard case .sent(let flow?) = bench.send(SIPTexts.request(5), to: listener.address) else {
      Issue.record("it was not sent")
      return
    }
    let peer = listener.accept()
    #expect(bench.wait { !$0.opened.isEmpty })
    bench.act { $0.close(flow) }
    let heard = peer.receive(count: 10_000)
    #expect(heard == SIPTexts.request(5))
    let peerEnded = peer.isClosedByPeer()
    #expect(peerEnded)
    #expect(bench.events.closed.isEmpty && Self.connections(bench) == 0)
  }

  @Test("a ping of the peer's is answered, and ours is, which the receiver is told")
  func keepalives() throws {
    let (left, right) = (try Self.bench(), try Self.bench())
    defer {
      left.stop()
      right.stop()
    }
    let peer = try RawPeer(to: right.address)
    peer.send([13, 10, 13, 10])
    let heard = peer.receive()
    #expect(heard == [13, 10])

    guard case .sent(let flow?) = left.send(SIPTexts.request(), to: right.address) else {
      Issue.record("it was not sent")
      return
    }
    #expect(left.wait { !$0.opened.isEmpty })
    #expect(left.act { $0.ping(flow) } == true && left.act { $0.ping(SIPFlow(number: 77)) } == false)
    #expect(left.wait { $0.pongs == [flow] })
    #expect(Self.counters(right).pings == 2 && Self.counters(left).pongs == 1)
  }

  @Test("a connection of ours is kept alive by itself, and given up when the peer falls silent")
  func keepaliveByItself() throws {
    let bench = try Self.bench {
      $0.keepalive = .milliseconds(30)
      $0.pong = .milliseconds(100)
    }
    defer { bench.stop() }
    let listener = RawPeer.Listener()
    bench.send(SIPTexts.request(), to: listener.address)
    let peer = listener.accept()
    let request = SIPTexts.request()
    let heard = peer.receive(count: request.count + 4)
    #expect(heard == request + [13, 10, 13, 10])
    // It has given a sign of life once: from now on it must.
    peer.send([13, 10])
    #expect(bench.wait { !$0.closed.isEmpty })
    #expect(bench.events.pongs.count == 1)
    #expect(bench.events.closed.first?.reason == "the peer gives no sign of life")
    let peerEnded = peer.isClosedByPeer()
    #expect(peerEnded)
  }

  @Test("a peer that never answers keepalives is not given up for that")
  func peerWithoutPongs() throws {
    let bench = try Self.bench {
      $0.keepalive = .milliseconds(10)
      $0.pong = .milliseconds(20)
    }
    defer { bench.stop() }
    let listener = RawPeer.Listener()
    bench.send(SIPTexts.request(), to: listener.address)
    let peer = listener.accept()
    let count = SIPTexts.request().count + 5 * 4
    let heard = peer.receive(count: count)
    #expect(heard.count >= count)
    #expect(bench.events.closed.isEmpty)
  }

  @Test("connections above the limit are closed at once and counted, and there is room again when one ends")
  func limit() throws {
    let bench = try Self.bench { $0.connections = 2 }
    defer { bench.stop() }
    let first = try RawPeer(to: bench.address)
    first.send(SIPTexts.request(1))
    #expect(bench.wait { $0.opened.count == 1 })
    do {
      let second = try RawPeer(to: bench.address)
      second.send(SIPTexts.request(2))
      #expect(bench.wait { $0.opened.count == 2 })
      let third = try RawPeer(to: bench.address)
      let thirdEnded = third.isClosedByPeer()
      #expect(thirdEnded)
      #expect(Self.counters(bench).refused == 1)
    }
    #expect(bench.wait { $0.closed.count == 1 })
    // Its end is told before its place is free; for ten seconds at most.
    for _ in 0..<2000 where Self.counters(bench).open > 1 { usleep(5000) }
    #expect(Self.counters(bench).open == 1)
    let fourth = try RawPeer(to: bench.address)
    fourth.send(SIPTexts.request(4))
    #expect(bench.wait { $0.opened.count == 3 })
    let counters = Self.counters(bench)
    #expect(counters.refused == 1 && counters.accepted == 3 && counters.open == 2)
  }

  @Test(
    "a stream that is no SIP ends, after what was sound before it",
    arguments: [
      ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "the peer sent a message without Content-Length"),
      ("BYE x SIP/2.0\r\nl: 70000\r\n\r\n", "the peer sent a message that is too long"),
      (String(repeating: "A", count: 70_000), "the peer sent a message that is too long"),
      ("BYE x SIP/2.0\r\nl: many\r\n\r\n", "the peer sent a message with an unsound Content-Length"),
    ])
  func unframed(text: String, reason: String) throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    let peer = try RawPeer(to: bench.address)
    peer.send(SIPTexts.request(1) + Array(text.utf8))
    #expect(bench.wait { !$0.closed.isEmpty })
    #expect(bench.messages.map(\.bytes) == [SIPTexts.request(1)])
    #expect(bench.events.closed.first?.reason == reason)
    let peerEnded = peer.isClosedByPeer()
    #expect(Self.counters(bench).unframed == 1 && peerEnded)
  }

  @Test("a peer that says nothing, half a message, or nothing more is closed in time")
  func patience() throws {
    let bench = try Self.bench {
      $0.setup = .milliseconds(50)
      $0.message = .milliseconds(150)
      $0.idle = .milliseconds(400)
    }
    defer { bench.stop() }
    let silent = try RawPeer(to: bench.address)
    let slow = try RawPeer(to: bench.address)
    let idle = try RawPeer(to: bench.address)
    idle.send(SIPTexts.request())
    slow.send(SIPTexts.request() + Array("BYE x SIP".utf8))
    let ended = [silent.isClosedByPeer(), slow.isClosedByPeer(), idle.isClosedByPeer()]
    #expect(ended == [true, true, true])
    #expect(bench.wait { $0.closed.count == 3 })
    #expect(
      Set(bench.events.closed.map(\.reason)) == [
        "no message came in time", "a message did not end in time", "it was idle for too long",
      ])
    #expect(Self.counters(bench).expired == 3)
  }

  @Test("while main is busy the peer has to wait, and then nothing is missing")
  func backpressure() throws {
    let bench = try Self.bench { $0.unreadBytes = 20_000 }
    defer { bench.stop() }
    let count = 3000
    let address = bench.address
    let isOpen = Locked(false)
    bench.main.execute { _ in while !isOpen.withLock({ $0 }) { usleep(1000) } }
    let sender = EventLoop.start(name: "sender")
    sender.execute { _ in
      guard let peer = try? RawPeer(to: address) else { return }
      for number in 0..<count { peer.send(SIPTexts.request(number, bodyLength: 3000)) }
      _ = peer.isClosedByPeer()
    }
    usleep(300_000)
    isOpen.withLock { $0 = true }
    #expect(bench.wait { $0.messages.count == count })
    #expect(bench.messages.map(\.bytes) == (0..<count).map { SIPTexts.request($0, bodyLength: 3000) })
    #expect(Self.counters(bench).pauses > 0)
    bench.close()
    sender.stop()
  }

  @Test("a peer that doesn't read is refused more when a limit waits, and what waited is counted")
  func slowReader() throws {
    let bench = try Self.bench { $0.unsentBytes = 200_000 }
    defer { bench.stop() }
    let listener = RawPeer.Listener()
    var result = bench.send(SIPTexts.request(), to: listener.address)
    let peer = listener.accept()
    peer.shrinkReceiveBuffer()
    for _ in 0..<2000 where result == .sent(SIPFlow(number: 1)) {
      result = bench.send(SIPTexts.request(bodyLength: 60_000), to: listener.address)
    }
    #expect(result == .refused("the peer does not read what was sent"))
    #expect(Self.counters(bench).overflows == 1)
    // When it reads again, there is room again.
    for _ in 0..<200 {
      _ = peer.receive()
      result = bench.send(SIPTexts.request(), to: listener.address)
      if result == .sent(SIPFlow(number: 1)) { break }
    }
    #expect(result == .sent(SIPFlow(number: 1)))
  }

  @Test("closing the transport closes its connections and its port, and nothing is told any more")
  func close() throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    let peer = try RawPeer(to: bench.address)
    peer.send(SIPTexts.request())
    #expect(bench.wait { !$0.messages.isEmpty })
    bench.close()
    bench.close()
    let peerEnded = peer.isClosedByPeer()
    #expect(peerEnded)
    for _ in 0..<1000 {
      guard (try? RawPeer(to: bench.address)) != nil else { break }
      usleep(1000)
    }
    #expect(bench.events.closed.isEmpty)
  }

  @Test("many connections come and go, and leave no descriptor behind")
  func churn() throws {
    let bench = try Self.bench()
    defer { bench.stop() }
    func descriptors() -> Int {
      guard let folder = unsafe opendir("/proc/self/fd") else { return -1 }
      defer { unsafe closedir(folder) }
      var count = 0
      while unsafe readdir(folder) != nil { count += 1 }
      return count
    }
    func round(_ number: Int) throws {
      let peer = try RawPeer(to: bench.address)
      peer.send(SIPTexts.request(number))
      if number % 2 == 0 { #expect(bench.wait { $0.messages.count >= number / 2 }) }
    }
    for number in 0..<20 { try round(number) }
    #expect(bench.wait { $0.closed.count >= 20 })
    let before = descriptors()
    for number in 20..<420 { try round(number) }
    #expect(bench.wait { $0.closed.count == 420 && $0.opened.count == 420 })
    var after = descriptors()
    for _ in 0..<2000 where after > before {
      usleep(1000)
      after = descriptors()
    }
    // Other tests of this process open descriptors too; 400 connections would show.
    #expect(after < before + 100)
    #expect(bench.wait { $0.messages.count == 420 })
  }
}
