import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import Testing
import sip_udp

/// What a transport tells, kept where a test can read it.
private final class Heard: Sendable {
  struct Message: Equatable, Sendable {
    let bytes: [UInt8]
    let source: SocketAddress
  }

  let messages = Locked<[Message]>([])
  let failures = Locked<[(SocketAddress, String)]>([])
}

private final class Receiver: SIPTransportReceiver {
  let heard: Heard
  init(_ heard: Heard) { self.heard = heard }

  func received(_ bytes: RawSpan, from source: SocketAddress, on transport: any SIPTransport) {
    let message = Heard.Message(bytes: bytes.copied(), source: source)
    self.heard.messages.withLock { $0.append(message) }
  }

  func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {
    self.heard.failures.withLock { $0.append((address, reason)) }
  }
}

/// A loop with one open transport on it.
private final class Bench: Sendable {
  struct Parts {
    let transport: any SIPTransport
    let receiver: Receiver
  }

  let loop: EventLoop
  let heard = Heard()
  let address: SocketAddress
  private let parts: LoopBound<Parts>

  init(_ host: String = "127.0.0.1") throws {
    let loop = EventLoop.start(name: "main")
    let (heard, parts) = (self.heard, LoopBound<Parts>(on: loop))
    let wanted = try #require(SocketAddress(host: host, port: 0))
    let address = loop.sync { context -> SocketAddress? in
      let receiver = Receiver(heard)
      guard
        let transport = try? SIPUDPProvider().open(wanted, typeOfService: 0xA0, on: context, receiver: receiver)
      else { return nil }
      parts.put(Parts(transport: transport, receiver: receiver))
      return transport.localAddress
    }
    self.loop = loop
    self.parts = parts
    self.address = try #require(address ?? nil)
  }

  func send(_ bytes: [UInt8], to address: SocketAddress) -> String? {
    self.loop.sync { _ in self.parts.withValue { $0.transport.send(bytes, to: address) } ?? nil } ?? nil
  }

  func close() { self.loop.sync { _ in self.parts.withValue { $0.transport.close() } } }

  func stop() {
    self.loop.sync { _ in _ = self.parts.take() }
    self.loop.stop()
  }
}

@Suite("sip_udp") struct SIPUDPTests {
  @Test("the module brings one SIP transport, for the main loop")
  func facets() {
    let facets = SIPUDP(settings: ModuleSettings(keys: [])).facets
    #expect(facets.count == 1 && facets[0].kind == "SIP transport" && facets[0].safety == .mainOnly)
    #expect(!facets[0].isOnMediaPath && SIPUDPProvider().name == "udp")
  }

  @Test("messages cross whole, up to the largest that UDP carries", arguments: ["127.0.0.1", "::1"])
  func crossing(host: String) throws {
    let (left, right) = (try Bench(host), try Bench(host))
    defer {
      left.stop()
      right.stop()
    }
    for size in [4, 1300, 20_000, 65_000] {
      let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      #expect(left.send(message, to: right.address) == nil)
      for _ in 0..<2000 where right.heard.messages.withLock({ $0.isEmpty }) { usleep(1000) }
      #expect(
        right.heard.messages.withLock { $0 } == [Heard.Message(bytes: message, source: left.address)], "\(size)")
      right.heard.messages.withLock { $0 = [] }
    }
  }

  @Test("a message that can't be sent at all says why")
  func tooLong() throws {
    let bench = try Bench()
    defer { bench.stop() }
    #expect(bench.send([UInt8](repeating: 1, count: 70_000), to: bench.address)?.contains("too long") == true)
  }

  @Test("a burst is taken to its end")
  func burst() throws {
    let (left, right) = (try Bench(), try Bench())
    defer {
      left.stop()
      right.stop()
    }
    for number in 0..<100 { _ = left.send([UInt8(number)], to: right.address) }
    for _ in 0..<2000 where right.heard.messages.withLock({ $0.count }) < 100 { usleep(1000) }
    #expect(right.heard.messages.withLock { $0.map(\.bytes) } == (0..<100).map { [UInt8($0)] })
  }

  @Test("a port where nothing listens is told at once", arguments: ["127.0.0.1", "::1"])
  func refused(host: String) throws {
    let gone = try Bench(host)
    let target = gone.address
    gone.stop()
    let bench = try Bench(host)
    defer { bench.stop() }
    #expect(bench.send([1, 2, 3], to: target) == nil)
    for _ in 0..<2000 where bench.heard.failures.withLock({ $0.isEmpty }) { usleep(1000) }
    let failures = bench.heard.failures.withLock { $0 }
    #expect(failures.count == 1 && failures.first?.0 == target)
    #expect(failures.first?.1 == "\(target): connection refused")
  }

  @Test("a taken port is a sentence that says what to change")
  func takenPort() throws {
    let bench = try Bench()
    defer { bench.stop() }
    let address = bench.address
    let sentence = bench.loop.sync { context -> String in
      do throws(ModuleError) {
        let second = try SIPUDPProvider().open(
          address, typeOfService: 0, on: context, receiver: Receiver(Heard()))
        return "opened \(second.localAddress)"
      } catch { return error.message }
    }
    #expect(
      sentence
        == "module sip_udp: cannot listen on \(address): address already in use; choose another sip_listen")
  }

  @Test("a closed transport hears nothing more")
  func closed() throws {
    let (left, right) = (try Bench(), try Bench())
    defer {
      left.stop()
      right.stop()
    }
    right.close()
    _ = left.send([1], to: right.address)
    usleep(20_000)
    #expect(right.heard.messages.withLock { $0.isEmpty })
    right.close()
  }
}
