import Glibc
import ModuleKit
import NetBase
import SIPStack
import SIPStreams
import TestSupport
import Testing
import sip_ws

@Suite("sip_ws") struct SIPWSTests {
  /// A transport that listens at a free port.
  static func server(_ change: (inout StreamLimits) -> Void = { _ in }) throws -> SIPBench {
    var provider = try Self.module(["sip_ws_listen": "127.0.0.1:0"]).provider
    change(&provider.limits)
    return try SIPBench(provider)
  }

  static func counters(_ bench: SIPBench) -> StreamCounters {
    bench.act { ($0 as? StreamTransport)?.counters ?? StreamCounters() } ?? StreamCounters()
  }

  static func client(_ values: [String: String] = [:]) throws -> SIPBench {
    try SIPBench(Self.module(values).provider)
  }

  static func module(_ values: [String: String]) throws -> SIPWS {
    try SIPWS(settings: ModuleSettings(keys: SIPWS.configKeys, values: values))
  }

  /// A request for an upgrade, as a browser sends it.
  static func upgrade(_ subprotocol: String?) -> String {
    let line = subprotocol.map { "Sec-WebSocket-Protocol: \($0)\r\n" } ?? ""
    return "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\(line)"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  }

  /// A peer with its WebSocket open.
  static func open(_ address: SocketAddress) throws -> RawPeer {
    let peer = try RawPeer(to: address)
    peer.send(Self.upgrade("sip"))
    let response = String(decoding: peer.receive() ?? [], as: UTF8.self)
    #expect(response.hasPrefix("HTTP/1.1 101 "))
    #expect(response.lowercased().contains("sec-websocket-protocol: sip\r\n"))
    #expect(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 §1.3")
    return peer
  }

  /// A frame of a client's, masked with zeros.
  static func frame(_ opcode: UInt8, _ bytes: [UInt8], isFinal: Bool = true, isMasked: Bool = true) -> [UInt8] {
    let mask: UInt8 = isMasked ? 0x80 : 0
    let length: [UInt8] =
      bytes.count < 126
      ? [mask | UInt8(bytes.count)]
      : bytes.count < 65_536
        ? [mask | 126, UInt8(bytes.count >> 8), UInt8(bytes.count & 255)]
        : [mask | 127, 0, 0, 0, 0, 0] + [16, 8, 0].map { UInt8(bytes.count >> $0 & 255) }
    return [opcode | (isFinal ? 0x80 : 0)] + length + (isMasked ? [0, 0, 0, 0] : []) + bytes
  }

  @Test("the module brings one SIP transport; it listens only where it is told")
  func facets() throws {
    let module = try Self.module(["sip_ws_connections": "3"])
    #expect(module.facets.count == 1 && module.facets[0].safety == .mainOnly && module.provider.kind == .ws)
    #expect(module.provider.limits.connections == 3)
    let error = #expect(throws: ModuleError.self) { try Self.module(["sip_ws_listen": "everywhere"]) }
    #expect(
      error?.message == "sip_ws_listen everywhere: it takes an address and a port, for example 0.0.0.0:8080")
    let client = try Self.client()
    defer { client.stop() }
    #expect(client.address.port == 0)
  }

  @Test("messages cross whole both ways over one connection")
  func crossing() throws {
    let (server, client) = (try Self.server(), try Self.client())
    defer {
      server.stop()
      client.stop()
    }
    let sizes = [0, 100, 1300, 20_000, 65_000]
    for size in sizes { client.send(SIPTexts.request(size, bodyLength: size), to: server.address) }
    #expect(server.wait { $0.messages.count == sizes.count })
    #expect(server.messages.map(\.bytes) == sizes.map { SIPTexts.request($0, bodyLength: $0) })
    let origin = try #require(server.messages.first?.origin)
    for size in sizes {
      server.send(SIPTexts.request(size, bodyLength: size), to: SIPDestination(origin.source, flow: origin.flow))
    }
    #expect(client.wait { $0.messages.count == sizes.count })
    #expect(client.messages.map(\.bytes) == sizes.map { SIPTexts.request($0, bodyLength: $0) })
    #expect(client.events.opened.count == 1 && server.events.opened.count == 1)
  }

  @Test("text, binary and fragments are messages; a ping is answered with its own bytes")
  func frames() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    let message = SIPTexts.request(7, bodyLength: 300)
    peer.send(Self.frame(1, message) + Self.frame(2, message))
    peer.send(Self.frame(1, Array(message[..<100]), isFinal: false))
    peer.send(Self.frame(9, [1, 2, 3]))
    peer.send(Self.frame(0, Array(message[100...]), isFinal: true))
    #expect(server.wait { $0.messages.count == 3 })
    #expect(server.messages.map(\.bytes) == [message, message, message])
    let pong = peer.receive(count: 5)
    #expect(pong == [0x8A, 3, 1, 2, 3])
  }

  @Test(
    "a server speaks SIP or nothing",
    arguments: [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n", Self.upgrade(nil), Self.upgrade("mqtt"),
    ])
  func refusal(request: String) throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try RawPeer(to: server.address)
    peer.send(request)
    let response = String(decoding: peer.receive() ?? [], as: UTF8.self)
    #expect(response.hasPrefix("HTTP/1.1 4"), "\(response)")
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed && server.events.opened.isEmpty)
  }

  @Test("one of several subprotocols may be SIP")
  func severalSubprotocols() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try RawPeer(to: server.address)
    peer.send(Self.upgrade("mqtt, SIP"))
    let response = String(decoding: peer.receive() ?? [], as: UTF8.self)
    #expect(response.hasPrefix("HTTP/1.1 101 "))
  }

  @Test("a connection of ours asks for sip_ws_path; what is none is refused")
  func path() throws {
    let client = try Self.client(["sip_ws_path": "/ws?x=1"])
    defer { client.stop() }
    let listener = RawPeer.Listener()
    client.send(SIPTexts.request(), to: SIPDestination(listener.address, serverName: "sip.example"))
    let peer = listener.accept()
    #expect(String(decoding: peer.receive() ?? [], as: UTF8.self).hasPrefix("GET /ws?x=1 HTTP/1.1\r\n"))
    for text in ["ws", "/a b", "/\r\nX: y"] {
      let error = #expect(throws: ModuleError.self) { try Self.module(["sip_ws_path": text]) }
      #expect(error?.message.hasPrefix("sip_ws_path ") == true)
    }
  }

  @Test(
    "a server that has no SIP for us is told apart from one that refuses",
    arguments: [
      ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "the server refused a WebSocket: 403 Forbidden"),
      ("SIP/2.0 400 Bad Request\r\n\r\n", ""),
    ])
  func clientRefused(response: String, reason: String) throws {
    let client = try Self.client()
    defer { client.stop() }
    let listener = RawPeer.Listener()
    client.send(SIPTexts.request(), to: SIPDestination(listener.address, serverName: "sip.example"))
    let peer = listener.accept()
    let request = String(decoding: peer.receive() ?? [], as: UTF8.self)
    #expect(request.hasPrefix("GET / HTTP/1.1\r\n"))
    for line in ["Host: sip.example:\(listener.address.port)", "Sec-WebSocket-Protocol: sip", "Upgrade: websocket"] {
      #expect(request.lowercased().contains("\r\n\(line.lowercased())\r\n"), "\(line)")
    }
    peer.send(response)
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.opened.isEmpty && client.messages.isEmpty)
    if !reason.isEmpty { #expect(client.events.closed.first?.reason == reason) }
  }

  @Test(
    "what breaks RFC 6455 ends the connection",
    arguments: [
      Self.frame(1, SIPTexts.request(), isMasked: false), Self.frame(1, [UInt8](repeating: 65, count: 66_000)),
      Self.frame(0, [1]), Self.frame(3, [1]),
    ])
  func broken(frame: [UInt8]) throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    peer.send(Self.frame(1, SIPTexts.request(1)) + frame)
    #expect(server.wait { !$0.closed.isEmpty })
    #expect(server.messages.map(\.bytes) == [SIPTexts.request(1)])
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed)
  }

  @Test("fragments do not add up to more than a message may have")
  func endlessFragments() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    let piece = [UInt8](repeating: 65, count: 30_000)
    peer.send(Self.frame(1, piece, isFinal: false))
    for _ in 0..<3 { peer.send(Self.frame(0, piece, isFinal: false)) }
    #expect(server.wait { !$0.closed.isEmpty })
    #expect(server.messages.isEmpty)
  }

  @Test("a closing handshake is answered")
  func closing() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    #expect(server.wait { !$0.opened.isEmpty })
    peer.send(Self.frame(8, [0x03, 0xE8]))
    let answer = peer.receive(count: 4)
    #expect(answer == [0x88, 2, 0x03, 0xE8])
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed && server.wait { $0.closed.first?.reason == "the peer closed the connection" })
  }

  @Test("a ping of ours is answered, which the receiver is told")
  func keepalive() throws {
    let (server, client) = (try Self.server(), try Self.client())
    defer {
      server.stop()
      client.stop()
    }
    guard case .sent(let flow?) = client.send(SIPTexts.request(), to: server.address) else {
      Issue.record("it was not sent")
      return
    }
    #expect(client.wait { !$0.opened.isEmpty })
    #expect(client.act { $0.ping(flow) } == true)
    #expect(client.wait { $0.pongs == [flow] })
  }

  @Test("who asks for signs of life and reads none is not kept answers for")
  func pingsUnread() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    let pings = Array(repeating: Self.frame(9, Array(repeating: 7, count: 125)), count: 100).flatMap(\.self)
    // What the kernel holds, and 64 KiB of ours; it is 1,000 times as much at most.
    for _ in 0..<2_000 where server.events.closed.isEmpty { peer.send(pings) }
    #expect(server.wait { $0.closed.first?.reason == "the peer does not read what was sent" })
    #expect(Self.counters(server).overflows == 1, "\(Self.counters(server))")
  }

  @Test("a pong that nobody asked for is counted, and main hears nothing of it")
  func pongsUnasked() throws {
    let server = try Self.server()
    defer { server.stop() }
    let peer = try Self.open(server.address)
    for _ in 0..<1_000 { peer.send(Self.frame(10, [])) }
    peer.send(Self.frame(1, SIPTexts.request()))
    #expect(server.wait { !$0.messages.isEmpty })
    #expect(server.events.pongs.isEmpty && Self.counters(server).pongs == 1_000)
  }

  @Test("a peer that never finishes its request does not stay")
  func slowRequest() throws {
    let server = try Self.server { $0.setup = .milliseconds(100) }
    defer { server.stop() }
    let peer = try RawPeer(to: server.address)
    peer.send("GET / HTTP/1.1\r\nHost")
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed && server.events.opened.isEmpty)
  }
}
