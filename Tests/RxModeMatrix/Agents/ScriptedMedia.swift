import ModuleKit
import NetBase
import RTPStack
import Runtime
import SRTPEngine
import udp

@testable import UACore

/// The media of a scripted peer: a packet of G.711 every 20 ms under whatever keys were negotiated, and a count of what
/// comes; lives on the peer's loop.
final class ScriptedMedia {
  let port: UInt16
  /// 0 is PCMU, 8 is PCMA.
  var payloadType: UInt8 = 0
  private(set) var received = 0
  private(set) var refused = 0
  private let context: LoopContext
  private let rtp: any DatagramPort
  private let rtcp: any DatagramPort
  private var timer: TimerID?
  private var isRunning = false
  private var isPlain = false
  private var keys = KeyStore()
  private var exchange: (any KeyExchange)?
  private var target: SocketAddress?
  private var ssrc: UInt32 = 0x5EED_0001
  private var sequence: UInt16 = 1000
  private var timestamp: UInt32 = 0
  private var room = [UInt8](repeating: 0, count: 512)

  /// - Parameter address: where both sockets are bound, to an even port and the next one.
  init(_ context: LoopContext, on address: SocketAddress) throws(ModuleError) {
    self.context = context
    var tries = 100
    while true {
      let port = UInt16.random(in: 10_000..<16_000) * 2
      do throws(ModuleError) {
        let rtp = try UDPTransport().open(address.with(port: port), typeOfService: 0)
        let rtcp = try UDPTransport().open(address.with(port: port + 1), typeOfService: 0)
        (self.rtp, self.rtcp, self.port) = (rtp, rtcp, port)
        return
      } catch {
        tries -= 1
        if tries == 0 { throw error }
      }
    }
  }

  deinit { self.stop() }

  func start(towards target: SocketAddress) throws {
    self.target = target
    self.isRunning = true
    self.rtp.attach(to: self.context) { [unowned self] in self.receive(on: .rtp, self.rtp) }
    self.rtcp.attach(to: self.context) { [unowned self] in self.receive(on: .rtcp, self.rtcp) }
    let timer = self.context.makeTimer { [unowned self] in self.tick() }
    self.timer = timer
    self.context.arm(timer, at: self.context.now)
  }

  func stop() {
    guard self.isRunning else { return }
    self.isRunning = false
    self.rtp.detach(from: self.context)
    self.rtcp.detach(from: self.context)
    if let timer { self.context.remove(timer) }
  }

  func changeSource() {
    self.ssrc &+= 1
    self.sequence = 77
    self.timestamp = 0x7000_0000
  }

  func obey(_ command: consuming KeyingCommand) throws {
    let now = self.context.now
    switch consume command {
    case .plain: self.isPlain = true
    case .installInbound(let material, let continuity):
      try self.keys.installInbound(material, continuity, for: .rtp, now: now)
    case .installOutbound(let material, let continuity, let switchNow):
      try self.keys.installOutbound(material, continuity, for: .rtp, switchNow: switchNow)
    case .switchOutbound: try self.keys.switchOutbound()
    case .expectInbound: break
    case .withdrawKeyExchange: break
    case .makeKeyExchange(let make): self.exchange = try make()
    case .startKeyExchange(let remote):
      self.keys.isPerComponent = remote.rtcpAddress != nil
      self.exchange?.start(remote, now: now)
      self.runExchange()
    }
  }

  private func runExchange() {
    while let action = self.exchange?.nextAction() {
      switch consume action {
      case .send(let datagram, let address, let component):
        let port = component == .rtcp ? self.rtcp : self.rtp
        datagram.withRawSpan { _ = port.send($0, to: address) }
      case .secured(let component, let inbound, let outbound, _):
        try? self.keys.installInbound(inbound, .fresh, for: component, now: self.context.now)
        try? self.keys.installOutbound(outbound, .fresh, for: component, switchNow: true)
      case .failed: break
      case .closed: break
      }
    }
  }

  private func tick() {
    let now = self.context.now
    if let deadline = self.exchange?.nextDeadline, deadline <= now {
      self.exchange?.timeout(now: now)
      self.runExchange()
    }
    self.keys.timeout(now: now)
    self.send()
    if let timer { self.context.arm(timer, at: now.advanced(byMilliseconds: 20)) }
  }

  private func send() {
    guard let target, self.isPlain || self.keys.hasOutbound(for: .rtp) else { return }
    let header = RTPHeader(
      marker: false, payloadType: self.payloadType, sequenceNumber: self.sequence, timestamp: self.timestamp,
      ssrc: self.ssrc)
    self.sequence &+= 1
    self.timestamp &+= 160
    let isPlain = self.isPlain
    self.room.withPacket { packet in
      let start = header.write(into: &packet.storage)
      // Loud, and no two samples alike.
      for index in 0..<160 { packet.storage.set(uint8: UInt8(truncatingIfNeeded: index & 0x8F), at: start + index) }
      packet.count = start + 160
      if !isPlain { guard case .ok = self.keys.protect(&packet, isRTCP: false, on: .rtp) else { return } }
      _ = self.rtp.send(packet.bytes, to: target)
    }
  }

  private func receive(on component: Component, _ port: any DatagramPort) {
    port.fill(self.context.batch)
    let now = self.context.now
    for index in 0..<self.context.batch.count {
      let source = self.context.batch.source(index)
      self.context.batch.withPacket(index) { self.receive(&$0, from: source, on: component, now: now) }
    }
  }

  private func receive(_ packet: inout Packet, from source: SocketAddress, on component: Component, now: Instant) {
    switch PacketClass(packet.bytes) {
    case .dtls:
      self.exchange?.receive(packet.bytes, from: source, on: component, now: now)
      self.runExchange()
    case .rtp where self.isPlain: self.received += 1
    case .rtp:
      // Before the keys are there a packet says nothing.
      guard self.keys.inboundOwner(for: component) != nil else { return }
      let result = self.keys.unprotect(&packet, isRTCP: false, on: component, now: now)
      if case .ok = result { self.received += 1 } else { self.refused += 1 }
    default: break
    }
  }
}
