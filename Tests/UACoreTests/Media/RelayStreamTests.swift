import Glibc
import ICEAgent
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

/// A connection to a relay, with real sockets.
@Suite("a connection to a relay") struct RelayStreamTests {
  private static let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)

  private static func stream(to address: SocketAddress) throws -> RelayStream {
    try RelayStream(RelayConnection(.rtcp, from: loopback, to: address) { () throws(ModuleError) in nil })
  }

  /// Steps until it is idle; what it heard, and how it ended.
  private static func run(_ stream: RelayStream) -> (messages: [[UInt8]], connections: Int, end: String?) {
    var (messages, connections): ([[UInt8]], Int) = ([], 0)
    while true {
      switch stream.step(isReading: true) {
      case .idle: return (messages, connections, nil)
      case .connected: connections += 1
      case .read: while stream.withMessage({ messages.append($0.bytes.copied()) }) {}
      case .ended(let reason): return (messages, connections, reason)
      }
    }
  }

  /// Waits for something to be heard, or for the end.
  private static func wait(_ stream: RelayStream, for count: Int = .max) -> (messages: [[UInt8]], end: String?) {
    var messages: [[UInt8]] = []
    for _ in 0..<2_000 {
      let (more, _, end) = Self.run(stream)
      messages += more
      if end != nil || messages.count >= count { return (messages, end) }
      usleep(1_000)
    }
    return (messages, nil)
  }

  private static func message(_ number: Int, count: Int) -> [UInt8] {
    [0x40, 0, UInt8(count >> 8), UInt8(count & 255)] + (0..<count).map { UInt8(truncatingIfNeeded: $0 &+ number) }
  }

  @Test("messages cross whole both ways, however they are cut")
  func whole() throws {
    let listener = RawPeer.Listener()
    let stream = try Self.stream(to: listener.address)
    let peer = listener.accept()
    usleep(10_000)
    #expect(Self.run(stream).connections == 1 && stream.component == .rtcp)
    let messages = (0..<20).map { Self.message($0, count: 4 * $0) }
    for byte in messages.joined() { peer.send([byte]) }
    #expect(Self.wait(stream, for: 20).messages == messages)
    for message in messages {
      #expect(message.withRawSpan { stream.send($0, upTo: RelayStream.maximumMedia) } == .sent)
    }
    let received = peer.receive(count: messages.joined().count)
    #expect(received == Array(messages.joined()))
    stream.close()
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed)
  }

  @Test("a server that does not read is not waited for: what is too much is not sent, and the rest arrives whole")
  func full() throws {
    let listener = RawPeer.Listener()
    let stream = try Self.stream(to: listener.address)
    let peer = listener.accept()
    usleep(10_000)
    #expect(Self.run(stream).connections == 1)
    var (sent, refused): ([UInt8], Int) = ([], 0)
    for number in 0..<20_000 where refused < 100 {
      let message = Self.message(number, count: 1_200)
      switch message.withRawSpan({ stream.send($0, upTo: RelayStream.maximumMedia) }) {
      case .sent: sent += message
      case .wouldBlock: refused += 1
      case .failed(let code): Issue.record("\(code)")
      }
    }
    #expect(refused == 100)
    let request = Self.message(7, count: 96)
    let result = request.withRawSpan { stream.send($0, upTo: RelayStream.maximumWaiting) }
    #expect(result == .sent, "requests have more room")
    sent += request
    var heard: [UInt8] = []
    while heard.count < sent.count, let more = peer.receive(), !more.isEmpty {
      heard += more
      _ = Self.run(stream)
    }
    #expect(heard == sent)
    #expect(request.withRawSpan { stream.send($0, upTo: RelayStream.maximumMedia) } == .sent, "there is room again")
  }

  @Test("who refuses, closes, or speaks something else is left, with the reason")
  func ended() throws {
    let address = {
      let listener = RawPeer.Listener()
      return listener.address
    }()
    let refused = try Self.stream(to: address)
    usleep(10_000)
    #expect(Self.run(refused).end == "refuses the connection")
    let listener = RawPeer.Listener()
    for (said, reason) in [
      ("", "has closed the connection"), ("HTTP/1.1 400 Bad Request\r\n\r\n", "says what is no TURN"),
    ] {
      let stream = try Self.stream(to: listener.address)
      do {
        let peer = listener.accept()
        usleep(10_000)
        #expect(Self.run(stream).connections == 1)
        peer.send(said)
        if !said.isEmpty { #expect(Self.wait(stream).end == reason) }
      }
      #expect(Self.wait(stream).end == reason)
      let message = Self.message(1, count: 8)
      #expect(message.withRawSpan { stream.send($0, upTo: RelayStream.maximumMedia) } == .failed(ENOTCONN))
    }
  }
}
