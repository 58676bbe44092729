internal import ModuleKit

/// Decoded samples that wait for their tick; allocates once.
struct PCMQueue {
  private var samples: [Int16]
  private(set) var count = 0

  init(capacity: Int) { self.samples = Array(repeating: 0, count: capacity) }

  /// Samples for which there is room.
  var room: Int { self.samples.count - self.count }

  /// Lets `body` write at the end; it returns how many samples it wrote.
  mutating func append(_ body: (inout MutableSpan<Int16>) -> Int) {
    let (start, room) = (self.count, self.room)
    var all = self.samples.mutableSpan
    var tail = all._mutatingExtracting(start...)
    let written = body(&tail)
    self.count += min(written, room)
  }

  mutating func appendSilence(_ count: Int) {
    let count = min(count, self.room)
    for index in self.count..<self.count + count { self.samples[index] = 0 }
    self.count += count
  }

  /// Moves the oldest samples into `target`; what is missing becomes silence.
  mutating func take(into target: inout MutableSpan<Int16>) {
    let taken = min(self.count, target.count)
    let left = self.count - taken
    var samples = self.samples.mutableSpan
    target.copy(samples.span.extracting(..<taken))
    for index in taken..<target.count { target[index] = 0 }
    samples.moveToFront(from: taken, count: left)
    self.count = left
  }
}
