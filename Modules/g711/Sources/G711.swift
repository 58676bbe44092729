package import ModuleKit
internal import NetBase

/// PCMU and PCMA (ITU-T G.711, RFC 3551 §4.5.14).
package struct G711: Module {
  package static let name = "g711"
  package static let summary = "G.711 audio codecs PCMU and PCMA (RFC 3551)"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] { [.codec(G711Codec(law: .mu)), .codec(G711Codec(law: .a))] }
}

/// One of the two laws as a codec.
struct G711Codec: AudioCodec {
  let law: CompandingLaw

  var encodingName: String {
    switch self.law {
    case .mu: "PCMU"
    case .a: "PCMA"
    }
  }
  var clockRate: Int { 8000 }
  var channels: Int { 1 }
  var staticPayloadType: UInt8? {
    switch self.law {
    case .mu: 0
    case .a: 8
    }
  }
  var offeredParameters: String? { nil }
  func answeredParameters(to remote: String?) -> String? { nil }

  func makeEncoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioEncoder {
    let law = self.law
    return { () throws(ModuleError) in G711Encoder(law: law) }
  }

  func makeDecoder(_ parameters: CodecParameters) -> @Sendable () throws(ModuleError) -> sending any AudioDecoder {
    let law = self.law
    return { () throws(ModuleError) in G711Decoder(law: law) }
  }
}

/// A byte a sample; no state.
final class G711Encoder: AudioEncoder {
  let format = AudioFormat(sampleRate: 8000, channels: 1)
  private let codes: [UInt8]
  private let ignoredBits: Int16

  init(law: CompandingLaw) { (self.codes, self.ignoredBits) = (law.codes, law.ignoredBits) }

  func encode(_ samples: Span<Int16>, into payload: inout MutableRawSpan) -> EncodeResult {
    guard !samples.isEmpty, samples.count <= payload.byteCount else { return .failed }
    let (middle, ignored) = (self.codes.count / 2, self.ignoredBits)
    // Every sample has a code, and there is room for all of them: nothing is left to check for each.
    unsafe payload.withUnsafeMutableBytes { bytes in
      unsafe samples.withUnsafeBufferPointer { samples in
        unsafe self.codes.withUnsafeBufferPointer { codes in
          for index in 0..<samples.count { unsafe bytes[index] = codes[middle &+ Int(samples[index] &>> ignored)] }
        }
      }
    }
    return .payload(samples.count)
  }

  func adapt(lossPercent: Int) {}
}

/// A sample a byte, and a waveform that goes on for a while when packets are lost.
final class G711Decoder: AudioDecoder {
  let format = AudioFormat(sampleRate: 8000, channels: 1)
  private let table: [Int16]
  private var concealment: Concealment

  init(law: CompandingLaw) { (self.table, self.concealment) = (law.table, Concealment(law: law)) }

  func decode(_ payload: RawSpan, into samples: inout MutableSpan<Int16>) -> Int? {
    let count = payload.byteCount
    guard count > 0, count <= samples.count else { return nil }
    // Every byte has a sample, and there is room for all of them: nothing is left to check for each.
    unsafe samples.withUnsafeMutableBufferPointer { samples in
      unsafe payload.withUnsafeBytes { bytes in
        unsafe self.table.withUnsafeBufferPointer { table in
          for index in 0..<count { unsafe samples[index] = table[Int(bytes[index])] }
        }
      }
    }
    self.concealment.heard(payload, &samples)
    return count
  }

  func conceal(next: RawSpan?, into samples: inout MutableSpan<Int16>) { self.concealment.fill(&samples) }
}
