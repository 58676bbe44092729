internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Synchronization
internal import UACore

/// A codec whose legs all send payloads that were encoded once (`--share-encoding`): each begins at a place of its own.
struct SharedEncoding: AudioCodec {
  private let codec: any AudioCodec
  private let speech: LoadSpeech
  private let shelf = Shelf()

  init(_ codec: any AudioCodec, _ speech: LoadSpeech) { (self.codec, self.speech) = (codec, speech) }

  var encodingName: String { self.codec.encodingName }
  var clockRate: Int { self.codec.clockRate }
  var channels: Int { self.codec.channels }
  var staticPayloadType: UInt8? { self.codec.staticPayloadType }
  var offeredParameters: String? { self.codec.offeredParameters }
  func answeredParameters(to remote: String?) -> String? { self.codec.answeredParameters(to: remote) }
  func pcmFormat(_ parameters: CodecParameters) -> AudioFormat { self.codec.pcmFormat(parameters) }
  func packetTime(fitting agreed: Int) -> Int { self.codec.packetTime(fitting: agreed) }

  func makeDecoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioDecoder {
    self.codec.makeDecoder(parameters)
  }

  func makeEncoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioEncoder {
    let (codec, speech, shelf) = (self.codec, self.speech, self.shelf)
    return { () throws(ModuleError) in
      let encoded = try shelf.encoded.withLock { known throws(ModuleError) in
        if let one = known[parameters] { return one }
        let made = try EncodedSpeech(codec, parameters, speech)
        known[parameters] = made
        return made
      }
      let leg = shelf.legs.add(1, ordering: .relaxed).newValue
      return SharedEncoder(encoded, start: LoadSpeech.start(of: leg, in: encoded.count))
    }
  }

  /// What the legs share.
  private final class Shelf: Sendable {
    let encoded = Locked<[CodecParameters: EncodedSpeech]>([:])
    let legs = Atomic<Int>(0)
  }
}

/// The payloads of a speech, in order.
final class EncodedSpeech: Sendable {
  let format: AudioFormat
  private let bytes: [UInt8]
  /// Where each payload ends; one that is empty need not be sent.
  private let ends: [Int]

  init(_ codec: any AudioCodec, _ parameters: CodecParameters, _ speech: LoadSpeech) throws(ModuleError) {
    let encoder = try codec.makeEncoder(parameters)()
    self.format = encoder.format
    let samples = try speech.samples(in: encoder.format)
    let frame = encoder.format.sampleCount(milliseconds: parameters.packetTime)
    var (bytes, ends): ([UInt8], [Int]) = ([], [])
    var room = [UInt8](repeating: 0, count: 1500)
    for start in stride(from: 0, through: samples.count - frame, by: frame) {
      var all = room.mutableSpan
      var payload = unsafe all.mutableBytes
      if case .payload(let count) = encoder.encode(samples.span.extracting(start..<start + frame), into: &payload) {
        bytes += room[..<count]
      }
      ends.append(bytes.count)
    }
    (self.bytes, self.ends) = (bytes, ends)
  }

  var count: Int { self.ends.count }

  /// Copies the `index`th payload.
  func write(_ index: Int, into payload: inout MutableRawSpan) -> EncodeResult {
    let range = (index == 0 ? 0 : self.ends[index - 1])..<self.ends[index]
    guard !range.isEmpty else { return .silence }
    guard range.count <= payload.byteCount else { return .failed }
    let bytes = self.bytes
    payload.copy(unsafe bytes.span.bytes.extracting(range), at: 0)
    return .payload(range.count)
  }
}

/// Sends what was encoded, whatever it is given.
private final class SharedEncoder: AudioEncoder {
  private let encoded: EncodedSpeech
  private var next: Int

  init(_ encoded: EncodedSpeech, start: Int) { (self.encoded, self.next) = (encoded, start) }

  var format: AudioFormat { self.encoded.format }

  func encode(_ samples: Span<Int16>, into payload: inout MutableRawSpan) -> EncodeResult {
    guard self.encoded.count > 0 else { return .silence }
    defer { self.next = (self.next + 1) % self.encoded.count }
    return self.encoded.write(self.next, into: &payload)
  }

  func adapt(lossPercent: Int) {}
}
