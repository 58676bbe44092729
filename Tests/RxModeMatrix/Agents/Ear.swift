import Handoff
import ModuleKit
import Synchronization

/// A source of noise and a player that counts what is no silence, for one agent.
///
/// Relaxed atomics and no lock on the frames' way, as in `Wire`.
final class Ear: Sendable {
  /// By device: `0` and `1`.
  private let counts = [FrameCount(), FrameCount()]

  /// Frames with sound that a player of the device was given.
  func heard(_ device: Int = 0) -> Int { self.counts[device].heard.load(ordering: .relaxed) }
  /// Players of the device that were finished.
  func finished(_ device: Int = 0) -> Int { self.counts[device].finished.load(ordering: .relaxed) }

  static let name = "ear"

  /// For `AgentSettings.programFacets`.
  var facets: [(module: String, facet: Facet)] {
    let source = Facet.source(
      .confined { request throws(ModuleError) in
        { () throws(ModuleError) in NoiseSource(format: request.format) }
      })
    let player = Facet.player(
      .confined { [counts] request throws(ModuleError) in
        let count = counts[request.device == "1" ? 1 : 0]
        return { () throws(ModuleError) in CountingPlayer(format: request.format, count: count) }
      })
    return [(Self.name, source), (Self.name, player)]
  }
}

private final class FrameCount: Sendable {
  let heard = Atomic(0)
  let finished = Atomic(0)
}

private final class NoiseSource: AudioStage {
  let format: AudioFormat
  private var state: UInt32 = 0x5EED

  init(format: AudioFormat) { self.format = format }

  func process(_ frame: inout AudioFrame) -> Verdict {
    for index in 0..<frame.samples.count {
      self.state = self.state &* 1_664_525 &+ 1_013_904_223
      frame.samples[index] = Int16(truncatingIfNeeded: Int32(bitPattern: self.state) >> 18)
    }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}

private final class CountingPlayer: AudioStage {
  let format: AudioFormat
  private let count: FrameCount

  init(format: AudioFormat, count: FrameCount) {
    self.format = format
    self.count = count
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    var isLoud = false
    for index in 0..<frame.samples.count where frame.samples[index].magnitude > 200 { isLoud = true }
    if isLoud { self.count.heard.add(1, ordering: .relaxed) }
    return .forward
  }

  func finish(_ stream: StreamID) { self.count.finished.add(1, ordering: .relaxed) }
}
