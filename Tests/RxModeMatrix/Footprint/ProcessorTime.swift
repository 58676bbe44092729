import Glibc

/// What all of this machine's processors together have done so far, in ticks (`/proc/stat`).
struct ProcessorTime: Sendable {
  private let busy: Double
  private let all: Double

  /// Zero where the kernel does not tell.
  static var now: ProcessorTime {
    guard let file = unsafe fopen("/proc/stat", "r") else { return ProcessorTime(busy: 0, all: 0) }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    guard unsafe fgets(&line, 512, file) != nil else { return ProcessorTime(busy: 0, all: 0) }
    let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    // user nice system idle iowait irq softirq steal, then guests' time, which is in user already.
    let ticks = text.split(separator: " ").dropFirst().prefix(8).compactMap { Double($0) }
    guard ticks.count == 8 else { return ProcessorTime(busy: 0, all: 0) }
    let all = ticks.reduce(0, +)
    return ProcessorTime(busy: all - ticks[3] - ticks[4], all: all)
  }

  /// From 0 to 1; a machine of which nothing is known counts as busy.
  func busyShare(since before: ProcessorTime) -> Double {
    guard self.all > before.all else { return 1 }
    return (self.busy - before.busy) / (self.all - before.all)
  }
}
