internal import ModuleKit
internal import NetBase
internal import Testing
internal import UACore

@testable internal import CLI

@Suite("the audio of a load")
struct LoadAudioTests {
  private static let format = AudioFormat(sampleRate: 8000, channels: 1)
  private static let parameters = CodecParameters(remoteParameters: nil, packetTime: 20, bitrate: nil)

  /// A second of samples that all differ.
  private static let speech = LoadSpeech((0..<8000).map { Int16($0) }, format: Self.format)

  private func frames(_ stage: any AudioStage, _ count: Int) -> [[Int16]] {
    var room = [Int16](repeating: -1, count: 160)
    return (0..<count).map { _ in
      var frame = AudioFrame(samples: room.mutableSpan, direction: .transmit, stream: StreamID(number: 1))
      _ = stage.process(&frame)
      return room
    }
  }

  private func source(_ number: UInt64, side: Int) throws -> any AudioStage {
    guard case .source(.confined(let prepare)) = Self.speech.facet(side: side).facet.body else {
      throw Failure(.usage, "not a confined source")
    }
    let stream = StreamID(number: number)
    return try prepare(AudioRequest(device: "", format: Self.format, stream: stream, direction: .transmit))()
  }

  @Test("a source goes round without a gap")
  func round() {
    let source = RoundSource((0..<400).map { Int16($0) }, format: Self.format, start: 300)
    let heard = self.frames(source, 5).flatMap { $0 }
    #expect(heard == (300..<1100).map { Int16($0 % 400) })
  }

  @Test("no two legs of two agents send the same at the same time")
  func ownAudio() throws {
    var firsts: Set<Int16> = []
    for number in 1...100 as ClosedRange<UInt64> {
      for side in 0...1 {
        let first = self.frames(try self.source(number, side: side), 1)[0][0]
        #expect(firsts.insert(first).inserted, "leg \(number) of side \(side)")
      }
    }
  }

  @Test("in another format the speech lasts as long")
  func converted() throws {
    let samples = try Self.speech.samples(in: AudioFormat(sampleRate: 48_000, channels: 2))
    #expect(samples.count == 96_000)
    #expect(try Self.speech.samples(in: Self.format).count == 8000)
  }

  @Test("legs that share the encoding send its payloads in turn, each from a place of its own")
  func shared() throws {
    let counter = CountingCodec()
    let codec = SharedEncoding(counter, Self.speech)
    let (first, second) = (try codec.makeEncoder(Self.parameters)(), try codec.makeEncoder(Self.parameters)())
    func payloads(_ encoder: any AudioEncoder) -> [[UInt8]] {
      var room = [UInt8](repeating: 0, count: 200)
      return (0..<51).map { _ in
        var all = room.mutableSpan
        var payload = unsafe all.mutableBytes
        guard case .payload(let count) = encoder.encode([Int16](repeating: 0, count: 160).span, into: &payload) else {
          return []
        }
        return Array(room[..<count])
      }
    }
    let (one, other) = (payloads(first), payloads(second))
    #expect(Set(one) == Set(other) && Set(one).count == 50, "a second has fifty packets")
    #expect(one[0] == one[50] && one[0] != other[0])
    #expect(one[1] == [UInt8((Int(one[0][0]) + 1) % 50)])
    #expect(counter.encoders.value == 1, "encoded once")
  }

  @Test("no room for a payload is no crash")
  func crowded() throws {
    let encoder = try SharedEncoding(CountingCodec(), Self.speech).makeEncoder(Self.parameters)()
    var room: [UInt8] = []
    var all = room.mutableSpan
    var payload = unsafe all.mutableBytes
    guard case .failed = encoder.encode([Int16](repeating: 0, count: 160).span, into: &payload) else {
      Issue.record("it fitted")
      return
    }
  }
}

/// A codec whose payload is the number of the 20 ms that it encodes.
private struct CountingCodec: AudioCodec {
  final class Counter: AudioEncoder, Sendable {
    let format = AudioFormat(sampleRate: 8000, channels: 1)

    func encode(_ samples: Span<Int16>, into payload: inout MutableRawSpan) -> EncodeResult {
      guard payload.byteCount > 0 else { return .failed }
      payload.set(uint8: UInt8(samples[0] / 160), at: 0)
      return .payload(1)
    }

    func adapt(lossPercent: Int) {}
  }

  let encoders = Tally()
  let encodingName = "COUNT"
  let clockRate = 8000
  let channels = 1
  let staticPayloadType: UInt8? = nil
  let offeredParameters: String? = nil
  func answeredParameters(to remote: String?) -> String? { nil }

  func makeEncoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioEncoder {
    let encoders = self.encoders
    return { () throws(ModuleError) in
      encoders.add()
      return Counter()
    }
  }

  func makeDecoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioDecoder {
    { () throws(ModuleError) in throw ModuleError(.configuration, "it only encodes") }
  }
}

/// Counts on any thread.
private final class Tally: Sendable {
  private let tally = DelayTally(stripes: 1)
  func add() { self.tally.stripe(0).count(0) }
  var value: Int { self.tally.counts.total }
}
