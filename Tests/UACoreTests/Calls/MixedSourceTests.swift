import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing
import g711

@testable import UACore

/// A second source in a call (the module mixausrc), sample by sample.
@Suite struct MixedSourceTests {
  /// Samples of a frame, and of a fade, at 8 kHz.
  private static let (frame, fade) = (160, 1280)
  /// Frames of noise, more than a test hears.
  private static let count = 200

  /// Noise as the call's source has it, with more of the same noise from its beginning mixed in from frame `start` on, and out again
  /// from frame `stop` on, at these volumes: before G.711.
  private static func mixed(_ stream: [Int16], start: Int, stop: Int, _ kept: Float, _ added: Float) -> [Int16] {
    stream.enumerated().map { place, sample in
      let down = place - start * Self.frame
      let up = place - stop * Self.frame
      if down < 0 || up >= Self.fade { return sample }
      if up >= 0 { return Int16(Float(sample) * (kept + (1 - kept) * (Float(up) / Float(Self.fade)))) }
      if down < Self.fade { return Int16(Float(sample) * (1 + (kept - 1) * (Float(down) / Float(Self.fade)))) }
      return Int16(max(-32_768, min(Float(sample) * kept + added * Float(ProbeNoise.sample(down - Self.fade)), 32_767)))
    }
  }

  private static func throughMuLaw(_ samples: [Int16]) throws -> [Int16] {
    guard case .codec(let codec) = try G711(settings: ModuleSettings(keys: [])).facets[0].body else { return [] }
    let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)
    var payload = [UInt8](repeating: 0, count: samples.count)
    var room = payload.mutableSpan
    var bytes = unsafe room.mutableBytes
    _ = try codec.makeEncoder(parameters)().encode(samples.span, into: &bytes)
    var decoded = [Int16](repeating: 0, count: samples.count)
    var heard = decoded.mutableSpan
    _ = payload.withRawSpan { (try? codec.makeDecoder(parameters)())?.decode($0, into: &heard) }
    return decoded
  }

  private static func agents(_ mode: RxMode) throws -> SimulatedAgents {
    try SimulatedAgents(mode: mode) { $0.activeModules.append("mixausrc") }
  }

  /// A command at a moment, a second of calls before and after.
  private static func run(_ lines: [String], in agents: SimulatedAgents) throws {
    try agents.establishedCall()
    for line in lines {
      agents.run(milliseconds: 1000)
      let result = agents.alice.act { $0.execute(line: line) }
      #expect(result.isOK, "\(line): \(result.text)")
    }
    agents.run(milliseconds: 1000)
  }

  /// The frames from which on `heard`, after its leading silence, is what `expected` makes of them; nil when it is not.
  private static func places(
    _ heard: [Int16], _ expected: (_ start: Int, _ stop: Int) throws -> [Int16]
  ) throws -> (start: Int, stop: Int)? {
    // Players of a virtual clock begin with silence until the jitter buffer is filled.
    guard let first = heard.firstIndex(where: { $0 != 0 }) else { return nil }
    func agrees(_ all: [Int16], atLeast count: Int) -> Bool {
      guard let lead = all.firstIndex(where: { $0 != 0 }), first >= lead else { return false }
      let played = heard[(first - lead)...].prefix(all.count)
      return played.count >= count && played.elementsEqual(all.prefix(played.count))
    }
    let never = Self.count
    guard
      let start = try (40..<60).first(where: { start in
        agrees(Array(try expected(start, never).prefix(85 * Self.frame)), atLeast: 85 * Self.frame)
      })
    else { return nil }
    let stop = try (85..<115).first { agrees(try expected(start, $0), atLeast: 130 * Self.frame) }
    return stop.map { (start, $0) }
  }

  @Test(
    "test_call_mixausrc: a second source is mixed into what is sent, and the stream is alone again after it",
    arguments: RxMode.allCases)
  func mixausrc(mode: RxMode) throws {
    let agents = try Self.agents(mode)
    try Self.run(["/mixausrc_enc_start probe x 50 25", "/mixausrc_enc_stop"], in: agents)
    let noise = (0..<Self.count * Self.frame).map { ProbeNoise.sample($0) }
    let heard = ProbeCapture.samples(agents.bobHears)
    let found = try Self.places(heard) { start, stop in
      try Self.throughMuLaw(Self.mixed(noise, start: start, stop: stop, 0.5, 0.25))
    }
    #expect(found != nil, "\(heard.count) samples")
    // Nothing of it in what she hears.
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) ?? 0 > 100 * Self.frame)
  }

  @Test("a second source is mixed into what is played, and nothing of it is sent", arguments: RxMode.allCases)
  func decoding(mode: RxMode) throws {
    let agents = try Self.agents(mode)
    try Self.run(["/mixausrc_dec_start probe x 20 80", "/mixausrc_dec_stop"], in: agents)
    let noise = try Self.throughMuLaw((0..<Self.count * Self.frame).map { ProbeNoise.sample($0) })
    let found = try Self.places(ProbeCapture.samples(agents.aliceHears)) { start, stop in
      Self.mixed(noise, start: start, stop: stop, 0.2, 0.8)
    }
    #expect(found != nil)
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.bobHears)) ?? 0 > 100 * Self.frame)
  }

  @Test("what is not possible is refused with a reason")
  func refused() throws {
    let agents = try Self.agents(.thread)
    func refusal(_ line: String) -> String {
      let result = agents.alice.act { $0.execute(line: line) }
      #expect(!result.isOK)
      return result.text
    }
    #expect(refusal("/mixausrc_enc_start ausine 440").contains("no call"))
    try agents.establishedCall()
    agents.run(milliseconds: 200)
    #expect(refusal("/mixausrc_enc_start ausine").contains("percent"))
    #expect(refusal("/mixausrc_enc_start nosuch 440").contains("nosuch"))
    #expect(refusal("/mixausrc_enc_start ausine nonsense").contains("frequency"))
    #expect(agents.alice.act { $0.execute(line: "/mixausrc_enc_start ausine 440") }.isOK)
    #expect(refusal("/mixausrc_enc_start ausine 440").contains("another source"))
    #expect(agents.alice.act { $0.execute(line: "/mixausrc_dec_start ausine 440") }.isOK)
    agents.run(milliseconds: 500)
    #expect(agents.alice.act { $0.execute(line: "/mixausrc_enc_stop") }.isOK)
    agents.run(milliseconds: 100)
    #expect(agents.alice.act { $0.execute(line: "/mixausrc_enc_start ausine 880") }.isOK)
    agents.run(milliseconds: 500)
  }
}
