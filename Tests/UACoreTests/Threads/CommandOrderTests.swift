import Dispatch
import Glibc
import ModuleKit
import NetBase
import Runtime
import SRTPEngine
import Testing
import g711
import udp

@testable import UACore

/// What a transport has been told when a packet comes.
@Suite struct CommandOrderTests {
  private struct NoAnswer: Error {}

  private final class Silence: AudioStage {
    let format: AudioFormat

    init(format: AudioFormat) { self.format = format }

    func process(_ frame: inout AudioFrame) -> Verdict { .forward }
    func finish(_ stream: StreamID) {}
  }

  private func material(_ number: UInt8) throws -> SRTPKeyMaterial {
    let profile = SRTPProfile.aesCM128HMACSHA1Tag80
    let bytes = [UInt8](repeating: number, count: profile.keyAndSaltLength)
    return try SRTPKeyMaterial(profile: profile, keyAndSalt: bytes.withRawSpan { SecretBytes($0) })
  }

  private func agreement(with peer: SocketAddress, _ main: EventLoop) throws -> MediaAgreement {
    let ends: [(module: String, facet: Facet)] = [
      ("silence", .source(.confined { request in { Silence(format: request.format) } })),
      ("silence", .player(.confined { request in { Silence(format: request.format) } })),
    ]
    let registry = try ModuleRegistry(available: [G711.self], active: ["g711"], settings: [:], programFacets: ends)
    let codec = try #require(registry.codecs.first)
    let negotiated = NegotiatedCodec(
      payloadType: 0, codec: codec, parameters: CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))
    let device = AudioDevice(driver: "silence", device: "")
    let plan = try StagePlanner(registry: registry, mode: .pool, policy: .lock, main: main).plan(
      source: device, player: device, format: AudioFormat(sampleRate: 8000, channels: 1), packetTime: 20,
      stream: StreamID(number: 1), failed: { _ in })
    let audio = StreamSettings(
      canSend: false, canReceive: true, sendCodec: negotiated, receiveCodecs: [negotiated], eventSendType: nil,
      eventReceiveTypes: PayloadTypeSet(), packetTime: 20, plan: plan)
    return MediaAgreement(remoteRTP: peer, remoteRTCP: nil, usesRTCPMux: true, audio: audio)
  }

  private func send(_ number: UInt8, under key: UInt8, from socket: borrowing UDPSocket, to address: SocketAddress)
    throws
  {
    var keys = try OutboundSRTP(self.material(key))
    var bytes = [0x80, 0, 0, number, 0, 0, 0, number, 0, 0, 0, 7] + [UInt8](repeating: number, count: 212)
    let result = bytes.withPacket(count: 172) { packet in
      #expect(keys.protect(rtp: &packet) == .ok)
      return socket.send(packet.bytes, to: address)
    }
    #expect(result == .sent)
  }

  @Test("a packet that was sent after a key was posted finds the key, whatever the loop meets first")
  func keyBeforePacket() throws {
    let main = EventLoop.start(name: "main")
    let loop = EventLoop.start(name: "transport")
    defer {
      loop.stop()
      main.stop()
    }
    let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
    let registry = try ModuleRegistry(available: [UDP.self], active: ["udp"], settings: [:], programFacets: [])
    var allocator = PortAllocator(
      transport: try #require(registry.datagrams), range: 10_000...59_998, typeOfService: 0,
      start: UInt64.random(in: 0..<20_000))
    let opened = try allocator.open(on: loopback)
    let address = opened.address
    let peer = try UDPSocket(loopback)
    let settings = TransportSettings(
      stream: StreamID(number: 1), jitterBuffer: JitterBufferSettings(), receiveTimeout: 0, canonicalName: "c", ssrc: 1,
      seed: 1, wallClockOffset: 0, loss: 0)
    let handle = TransportHandle(on: loop, ownsLoop: false, settings: settings, ports: opened) {}
    #expect(handle.post(.configure(try self.agreement(with: peer.localAddress, main))))
    #expect(handle.post(.keying(.installInbound(try self.material(1), .fresh))))
    try self.send(1, under: 1, from: peer, to: address)

    for key in UInt8(2)...20 {
      // While the loop is busy both wait for it, and it takes packets before it looks for what was posted.
      let (isBusy, isFree) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      loop.execute { _ in
        isBusy.signal()
        isFree.wait()
      }
      isBusy.wait()
      #expect(handle.post(.keying(.installInbound(try self.material(key), .carried))))
      try self.send(key, under: key, from: peer, to: address)
      isFree.signal()
    }
    handle.stop()
    let statistics = try self.waitForEnd(of: handle)
    #expect(statistics.receivedPackets == 20 && statistics.drops.total == 0, "\(statistics.drops)")
  }

  private func waitForEnd(of handle: TransportHandle) throws -> TransportStatistics {
    for _ in 0..<10_000 {
      while let event = handle.nextEvent() {
        if case .closed(let statistics) = consume event { return statistics }
      }
      usleep(1000)
    }
    throw NoAnswer()
  }
}
