import Dispatch
import ModuleKit
import NetBase
import Runtime
import Testing
import udp

@testable import UACore

/// A transport on a loop of its own, without an agent: a test posts its commands and sends its datagrams.
final class LoneTransport {
  let loop: EventLoop
  private let handle: TransportHandle
  let address: SocketAddress
  let peer: UDPSocket
  private let told = DispatchSemaphore(value: 0)

  init() throws {
    let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
    let registry = try ModuleRegistry(available: [UDP.self], active: ["udp"], settings: [:], programFacets: [])
    var allocator = PortAllocator(
      transport: try #require(registry.datagrams), range: 10_000...59_998, typeOfService: 0,
      start: UInt64.random(in: 0..<20_000))
    let opened = try allocator.open(on: loopback)
    self.address = opened.address
    self.peer = try UDPSocket(loopback)
    self.loop = EventLoop.start(name: "transport")
    let settings = TransportSettings(
      stream: StreamID(number: 1), jitterBuffer: JitterBufferSettings(), receiveTimeout: 0, canonicalName: "c", ssrc: 1,
      seed: 1, wallClockOffset: 0, loss: 0)
    self.handle = TransportHandle(on: self.loop, ownsLoop: false, settings: settings, ports: opened) { [told] in
      told.signal()
    }
  }

  deinit { self.loop.stop() }

  func post(_ command: consuming sending TransportCommand) {
    let isTaken = self.handle.post(command)
    #expect(isTaken)
  }

  func send(_ bytes: RawSpan) { #expect(self.peer.send(bytes, to: self.address) == .sent) }

  /// Stops it; nil where it does not close in time.
  func stop() -> TransportStatistics? {
    self.handle.stop()
    while self.told.wait(timeout: .now() + 10) == .success {
      while let event = self.handle.nextEvent() {
        if case .closed(let statistics) = consume event { return statistics }
      }
    }
    return nil
  }
}
