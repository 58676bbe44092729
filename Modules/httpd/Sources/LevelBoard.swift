internal import Handoff
package import ModuleKit
internal import Synchronization

/// The last levels of every stream: meters write them, each where its stream lives; main reads them.
package final class LevelBoard: Sendable {
  private let cells = Locked<[StreamID: (transmit: LevelCell?, receive: LevelCell?)]>([:])

  package init() {}

  /// The place of one direction's level; made when a call is set up.
  package func cell(of stream: StreamID, _ direction: MediaDirection) -> LevelCell {
    let cell = LevelCell()
    self.cells.withLock { cells in
      switch direction {
      case .transmit: cells[stream, default: (nil, nil)].transmit = cell
      case .receive: cells[stream, default: (nil, nil)].receive = cell
      }
    }
    return cell
  }

  /// What was sent and heard last, in dB of full scale; nil where nothing was yet.
  package func levels(of stream: StreamID) -> (transmit: Double?, receive: Double?) {
    self.cells.withLock { cells in (cells[stream]?.transmit?.decibels, cells[stream]?.receive?.decibels) }
  }

  func forget(_ stream: StreamID) { self.cells.withLock { $0[stream] = nil } }

  /// How many streams are known.
  package var count: Int { self.cells.withLock { $0.count } }
}

/// One level, which is written and read without a lock.
package final class LevelCell: Sendable {
  /// Hundredths of a decibel.
  private let hundredths = Atomic<Int>(Int.min)

  func put(_ level: Level) { self.hundredths.store(Int(level.rms * 100), ordering: .relaxed) }

  var decibels: Double? {
    let value = self.hundredths.load(ordering: .relaxed)
    return value == Int.min ? nil : Double(value) / 100
  }
}

/// Measures frames as they pass, unchanged; a level comes of every 100 ms of audio.
final class LevelMeter: AudioStage {
  let format: AudioFormat
  private let cell: LevelCell
  private let board: LevelBoard
  private var gauge = LevelGauge()
  private let period: Int

  init(_ request: AudioRequest, cell: LevelCell, board: LevelBoard) {
    (self.format, self.cell, self.board) = (request.format, cell, board)
    self.period = request.format.sampleCount(milliseconds: 100)
  }

  func process(_ frame: inout AudioFrame) -> Verdict {
    if let level = self.gauge.add(frame.samples.span, period: self.period) { self.cell.put(level) }
    return .forward
  }

  func finish(_ stream: StreamID) { self.board.forget(stream) }
}
