import Glibc
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing
import sip_udp

@Suite("sip_udp") struct SIPUDPTests {
  @Test("the module brings one SIP transport, for the main loop")
  func facets() {
    let facets = SIPUDP(settings: ModuleSettings(keys: [])).facets
    #expect(facets.count == 1 && facets[0].kind == "SIP transport" && facets[0].safety == .mainOnly)
    #expect(!facets[0].isOnMediaPath && SIPUDPProvider().kind == .udp)
  }

  @Test("messages cross whole, up to the largest that UDP carries", arguments: ["127.0.0.1", "::1"])
  func crossing(host: String) throws {
    let (left, right) = (try SIPBench(SIPUDPProvider(), host: host), try SIPBench(SIPUDPProvider(), host: host))
    defer {
      left.stop()
      right.stop()
    }
    for size in [4, 1300, 20_000, 65_000] {
      let message = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) }
      #expect(left.send(message, to: right.address) == .sent(nil))
      right.wait { !$0.messages.isEmpty }
      let origin = SIPOrigin(left.address, local: right.address)
      #expect(right.messages == [SIPBench.Message(bytes: message, origin: origin)], "\(size)")
      right.forget()
    }
  }

  @Test("a message that can't be sent at all says why")
  func tooLong() throws {
    let bench = try SIPBench(SIPUDPProvider())
    defer { bench.stop() }
    guard case .refused(let reason) = bench.send([UInt8](repeating: 1, count: 70_000), to: bench.address) else {
      Issue.record("it was sent")
      return
    }
    #expect(reason.contains("too long"))
  }

  @Test("a burst is taken to its end")
  func burst() throws {
    let (left, right) = (try SIPBench(SIPUDPProvider()), try SIPBench(SIPUDPProvider()))
    defer {
      left.stop()
      right.stop()
    }
    for number in 0..<100 { left.send([UInt8(number)], to: right.address) }
    right.wait { $0.messages.count == 100 }
    #expect(right.messages.map(\.bytes) == (0..<100).map { [UInt8($0)] })
  }

  @Test("a port where nothing listens is told at once", arguments: ["127.0.0.1", "::1"])
  func refused(host: String) throws {
    let gone = try SIPBench(SIPUDPProvider(), host: host)
    let target = gone.address
    gone.stop()
    let bench = try SIPBench(SIPUDPProvider(), host: host)
    defer { bench.stop() }
    #expect(bench.send([1, 2, 3], to: target) == .sent(nil))
    bench.wait { !$0.failures.isEmpty }
    let failures = bench.events.failures
    #expect(failures.count == 1 && failures.first?.address == target)
    #expect(failures.first?.reason == "\(target): connection refused")
  }

  @Test("a port where nothing listens is not held against whoever is written to next", arguments: ["127.0.0.1", "::1"])
  func refusedBefore(host: String) throws {
    let gone = try SIPBench(SIPUDPProvider(), host: host)
    let target = gone.address
    gone.stop()
    let (left, right) = (try SIPBench(SIPUDPProvider(), host: host), try SIPBench(SIPUDPProvider(), host: host))
    defer {
      left.stop()
      right.stop()
    }
    for number in 1...5 as ClosedRange<UInt8> {
      // In one turn of the loop, before it looks for errors.
      let result = left.act { transport in
        _ = transport.send([0], to: SIPDestination(target))
        return transport.send([number], to: SIPDestination(right.address))
      }
      #expect(result == .sent(nil))
    }
    right.wait { $0.messages.count == 5 }
    #expect(right.messages.map(\.bytes) == (1...5).map { [$0] })
    #expect(left.events.failures.allSatisfy { $0.address == target })
  }

  @Test("a taken port is a sentence that says what to change")
  func takenPort() throws {
    let bench = try SIPBench(SIPUDPProvider())
    defer { bench.stop() }
    let address = bench.address
    let error = #expect(throws: ModuleError.self) {
      try SIPBench(SIPUDPProvider(), SIPTransportSettings(listen: address))
    }
    #expect(
      error?.message
        == "module sip_udp: cannot listen on \(address): address already in use; choose another sip_listen")
  }

  @Test("an address that is not this machine's is a sentence that says so")
  func foreignAddress() throws {
    // Of the documentation's, so nobody's (RFC 5737).
    let address = SocketAddress(ipv4: 0xC000_0209, port: 5060)
    let error = #expect(throws: ModuleError.self) {
      try SIPBench(SIPUDPProvider(), SIPTransportSettings(listen: address))
    }
    #expect(
      error?.message
        == "module sip_udp: cannot listen on \(address): it is no address of this machine; "
        + "choose another sip_listen or net_interface")
  }

  @Test("a closed transport hears nothing more")
  func closed() throws {
    let (left, right) = (try SIPBench(SIPUDPProvider()), try SIPBench(SIPUDPProvider()))
    defer {
      left.stop()
      right.stop()
    }
    right.close()
    left.send([1], to: right.address)
    usleep(20_000)
    #expect(right.messages.isEmpty)
    right.close()
  }
}
