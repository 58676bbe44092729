internal import Handoff
package import ModuleKit

/// PCM whose every sample tells its place: noise that is the same in every run.
package enum ProbeNoise {
  /// The sample at `index`, all channels counted.
  package static func sample(_ index: Int) -> Int16 {
    var value = UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15
    value ^= value >> 29
    value = value &* 0xBF58_476D_1CE4_E5B9
    return Int16(truncatingIfNeeded: value >> 40)
  }

  /// A minute at 8 kHz, made once: most tests hear no more.
  private static let beginning = (0..<480_000).map { Self.sample($0) }

  static func fill(_ samples: inout MutableSpan<Int16>, from place: Int) {
    guard place + samples.count <= self.beginning.count else {
      for index in 0..<samples.count { samples[index] = self.sample(place + index) }
      return
    }
    let count = samples.count
    unsafe samples.withUnsafeMutableBufferPointer { target in
      unsafe self.beginning.withUnsafeBufferPointer { source in
        guard let from = source.baseAddress, let to = target.baseAddress else { return }
        unsafe to.update(from: from + place, count: count)
      }
    }
  }
}

/// What players of `probe` heard, by device; devices are named anew for each test, so tests don't meet.
package enum ProbeCapture {
  private static let heard = Locked<[String: [Int16]]>([:])
  private static let finished = Locked<[String: Int]>([:])
  private static let lastName = Locked(0)

  /// A device name that no other test has.
  package static func makeName() -> String {
    self.lastName.withLock { number in
      number += 1
      return "probe-\(number)"
    }
  }

  /// Everything that was played on the device.
  package static func samples(_ device: String) -> [Int16] { self.heard.withLock { $0[device] ?? [] } }

  /// Everything that was played on the device; it is forgotten.
  package static func take(_ device: String) -> [Int16] { self.heard.withLock { $0.removeValue(forKey: device) ?? [] } }

  /// How many players of the device were finished.
  package static func finishes(_ device: String) -> Int { self.finished.withLock { $0[device] ?? 0 } }

  static func open(_ device: String) { self.heard.withLock { $0[device, default: []].reserveCapacity(1 << 16) } }

  static func append(_ samples: Span<Int16>, to device: String) {
    let copy = unsafe samples.withUnsafeBufferPointer { unsafe Array($0) }
    self.heard.withLock { $0[device, default: []] += copy }
  }

  static func finish(_ device: String) { self.finished.withLock { $0[device, default: 0] += 1 } }
}

/// Audio for tests: a source of numbered noise, and a player that remembers; both in the stream's own format.
///
/// The player `refused` can't be planned, the player `broken` can't be made.
package struct ProbeAudio: Module {
  package static let name = "probe"
  package static let summary = "a source and a player of the tests"

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    [
      .source(
        .confined { request throws(ModuleError) in
          { () throws(ModuleError) in ProbeSource(format: request.format) }
        }),
      .player(
        .confined { request throws(ModuleError) in
          guard request.device != "refused" else { throw ModuleError(.cannotCreate, "module probe: refused") }
          ProbeCapture.open(request.device)
          return { () throws(ModuleError) in
            guard request.device != "broken" else { throw ModuleError(.cannotCreate, "module probe: broken") }
            return ProbePlayer(format: request.format, device: request.device)
          }
        }),
    ]
  }
}

private final class ProbeSource: AudioStage {
  let format: AudioFormat
  private var place = 0

  init(format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    ProbeNoise.fill(&frame.samples, from: self.place)
    self.place += frame.samples.count
    return .forward
  }

  func finish(_ stream: StreamID) {}
}

private final class ProbePlayer: AudioStage {
  let format: AudioFormat
  private let device: String

  init(format: AudioFormat, device: String) {
    self.format = format
    self.device = device
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    ProbeCapture.append(frame.samples.span, to: self.device)
    return .forward
  }

  func finish(_ stream: StreamID) { ProbeCapture.finish(self.device) }
}
