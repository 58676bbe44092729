internal import ModuleKit

/// Decoded samples that wait for their tick; its room follows the most that has waited.
struct PCMQueue {
  private var samples: [Int16] = []
  private let capacity: Int
  private(set) var count = 0

  init(capacity: Int) { self.capacity = capacity }

  /// Samples that it takes yet.
  var room: Int { self.capacity - self.count }

  /// Lets `body` write at the end, `wanted` samples at most or what there is room for; it returns how many it wrote.
  mutating func append(upTo wanted: Int, _ body: (inout MutableSpan<Int16>) -> Int) {
    let (start, end) = (self.count, self.count + min(wanted, self.room))
    self.enlarge(to: end)
    var all = self.samples.mutableSpan
    var tail = all._mutatingExtracting(start..<end)
    let written = body(&tail)
    self.count = min(start + written, end)
  }

  mutating func appendSilence(_ count: Int) {
    let end = self.count + min(count, self.room)
    self.enlarge(to: end)
    for index in self.count..<end { self.samples[index] = 0 }
    self.count = end
  }

  private mutating func enlarge(to count: Int) {
    guard count > self.samples.count else { return }
    let new = min(max(count, 2 * self.samples.count), self.capacity)
    self.samples += repeatElement(0, count: new - self.samples.count)
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
