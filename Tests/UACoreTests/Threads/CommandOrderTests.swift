import Dispatch
import ModuleKit
import NetBase
import Runtime
import SRTPEngine
import Testing
import g711

@testable import UACore

/// What a transport has been told when a packet comes.
@Suite struct CommandOrderTests {
  private final class Silence: AudioStage {
    let format: AudioFormat

    init(format: AudioFormat) { self.format = format }

    func process(_ frame: inout AudioFrame) -> Verdict { .forward }
    func finish(_ stream: StreamID) {}
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

  private func send(_ number: UInt8, under key: UInt8, to transport: LoneTransport) throws {
    var keys = try OutboundSRTP(SRTPKeyMaterial.numbered(key))
    var bytes = [0x80, 0, 0, number, 0, 0, 0, number, 0, 0, 0, 7] + [UInt8](repeating: number, count: 212)
    bytes.withPacket(count: 172) { packet in
      #expect(keys.protect(rtp: &packet) == .ok)
      transport.send(packet.bytes)
    }
  }

  @Test("a packet that was sent after a key was posted finds the key, whatever the loop meets first")
  func keyBeforePacket() throws {
    let main = EventLoop.start(name: "main")
    defer { main.stop() }
    let transport = try LoneTransport()
    let agreement = try self.agreement(with: transport.peer.localAddress, main)
    transport.post(.configure(agreement))
    try transport.post(.keying(.installInbound(SRTPKeyMaterial.numbered(1), .fresh)))
    try self.send(1, under: 1, to: transport)

    for key in UInt8(2)...20 {
      // While the loop is busy both wait for it, and it takes packets before it looks for what was posted.
      let (isBusy, isFree) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      transport.loop.execute { _ in
        isBusy.signal()
        isFree.wait()
      }
      isBusy.wait()
      defer { isFree.signal() }
      try transport.post(.keying(.installInbound(SRTPKeyMaterial.numbered(key), .carried)))
      try self.send(key, under: key, to: transport)
    }
    let statistics = try #require(transport.stop())
    #expect(statistics.receivedPackets == 20 && statistics.drops.total == 0, "\(statistics.drops)")
  }
}
