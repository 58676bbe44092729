internal import Handoff
package import ModuleKit
internal import Synchronization

/// The last levels of every stream: meters write them, each where its stream lives; main reads them.
package final class LevelBoard: Sendable {
  private struct Place: Hashable {
    let stream: StreamID
    let direction: MediaDirection
  }

  private let cells = Locked<[Place: LevelCell]>([:])

  package init() {}

  /// What was sent and heard last, in dB of full scale; nil where nothing was yet, and where there is no meter.
  package func levels(of stream: StreamID) -> (transmit: Double?, receive: Double?) {
    self.cells.withLock { cells in
      (
        cells[Place(stream: stream, direction: .transmit)]?.decibels,
        cells[Place(stream: stream, direction: .receive)]?.decibels
      )
    }
  }

  /// How many meters there are whose level is told.
  package var count: Int { self.cells.withLock { $0.count } }

  /// Tells the level of a new meter, instead of that of the meter whose place it takes.
  fileprivate func add(_ cell: LevelCell, _ stream: StreamID, _ direction: MediaDirection) {
    self.cells.withLock { $0[Place(stream: stream, direction: direction)] = cell }
  }

  /// A meter has ended. When another one has taken its place, that one's level stays.
  fileprivate func remove(_ cell: LevelCell, _ stream: StreamID, _ direction: MediaDirection) {
    let place = Place(stream: stream, direction: direction)
    self.cells.withLock { cells in
      if cells[place] === cell { cells[place] = nil }
    }
  }
}

/// One level, which is written and read without a lock.
private final class LevelCell: Sendable {
  /// Hundredths of a decibel.
  private let hundredths = Atomic<Int>(Int.min)

  func put(_ level: Level) { self.hundredths.store(Int(level.rms * 100), ordering: .relaxed) }

  var decibels: Double? {
    let value = self.hundredths.load(ordering: .relaxed)
    return value == Int.min ? nil : Double(value) / 100
  }
}

/// Measures frames as they pass, unchanged; a level comes of every 100 ms of audio.
///
/// Its place on the board is its own: it is there from the meter's making to its end, also when the stages that
/// it was made with never ran.
final class LevelMeter: AudioStage {
  let format: AudioFormat
  private let stream: StreamID
  private let direction: MediaDirection
  private let cell = LevelCell()
  private let board: LevelBoard
  private var gauge = LevelGauge()
  private let period: Int

  init(_ request: AudioRequest, board: LevelBoard) {
    (self.format, self.stream, self.direction) = (request.format, request.stream, request.direction)
    self.board = board
    self.period = request.format.sampleCount(milliseconds: 100)
    board.add(self.cell, request.stream, request.direction)
  }

  deinit { self.board.remove(self.cell, self.stream, self.direction) }

  func process(_ frame: inout AudioFrame) -> Verdict {
    if let level = self.gauge.add(frame.samples.span, period: self.period) { self.cell.put(level) }
    return .forward
  }

  func finish(_ stream: StreamID) {}
}
