import ModuleKit
import NetBase
import Runtime
import Testing
import g711

@testable import UACore

/// What the streams of one loop have between them.
@Suite struct WorkspaceTests {
  /// Has nothing, and writes nothing.
  private final class EmptySource: AudioStage {
    let format: AudioFormat

    init(format: AudioFormat) { self.format = format }

    func process(_ frame: inout AudioFrame) -> Verdict { .drop }
    func finish(_ stream: StreamID) {}
  }

  @Test("a source that writes nothing sends silence, never what another call left in the loop's workspace")
  func silence() throws {
    let main = EventLoop.start(name: "main")
    defer { main.stop() }
    let empty: [(module: String, facet: Facet)] = [
      ("empty", .source(.confined { request in { EmptySource(format: request.format) } }))
    ]
    let registry = try ModuleRegistry(
      available: [G711.self], active: ["g711"], settings: [:], programFacets: empty)
    let codec = try #require(registry.codecs.first)
    let negotiated = NegotiatedCodec(
      payloadType: 0, codec: codec, parameters: CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil))
    let plan = try StagePlanner(registry: registry, mode: .main, policy: .lock, main: main).plan(
      source: AudioDevice(driver: "empty", device: ""), player: nil, format: AudioFormat(sampleRate: 8000, channels: 1),
      packetTime: 20, stream: StreamID(number: 1), failed: { _ in })
    let now = Instant(nanoseconds: 0)
    var stream = AudioStream(
      settings: TransportSettings(
        stream: StreamID(number: 1), jitterBuffer: JitterBufferSettings(), receiveTimeout: 0, canonicalName: "c",
        ssrc: 1, seed: 1, wallClockOffset: 0, loss: 0), now: now)
    try stream.configure(
      StreamSettings(
        canSend: true, canReceive: false, sendCodec: negotiated, receiveCodecs: [negotiated], eventSendType: nil,
        eventReceiveTypes: PayloadTypeSet(), packetTime: 20, plan: plan), now: now)
    let output = VideoFeedbackTests.Output()
    var workspace = Workspace()
    workspace.frame = [Int16](repeating: 12_345, count: 480)
    workspace.scratch = workspace.frame
    workspace.packet = [UInt8](repeating: 0x55, count: Workspace.packetLength)
    stream.timeout(now: now, &workspace, output: output)
    let packet = try #require(output.packets.first)
    #expect(packet.count == 12 + 160)
    #expect(packet[12...].allSatisfy { $0 == 0xFF }, "what is silence in PCMU")
  }
}
