internal import CMemory
internal import Glibc

/// What a process holds at one moment.
package struct Footprint: Sendable {
  package let descriptors: Int
  package let threads: Int
  /// Bytes that malloc has given out, in all arenas.
  package let heap: Int
  /// Kilobytes in memory.
  package let resident: Int

  package static func now() -> Footprint {
    Footprint(
      descriptors: self.entries(of: "/proc/self/fd"), threads: self.entries(of: "/proc/self/task"),
      heap: Int(cmemory_in_use()), resident: self.residentPages() * 4)
  }

  private static func entries(of path: String) -> Int {
    guard let directory = unsafe opendir(path) else { return -1 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    // Without `.` and `..`.
    return count - 2
  }

  private static func residentPages() -> Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard unsafe fgets(&line, 128, file) != nil else { return 0 }
    let words = String(decoding: line.prefix { $0 > 0 }.map { UInt8($0) }, as: UTF8.self).split(separator: " ")
    return words.count > 1 ? Int(words[1]) ?? 0 : 0
  }
}

/// How much grows with each call, by least squares.
package struct Slopes: CustomStringConvertible {
  package let descriptors: Double
  package let threads: Double
  /// Bytes.
  package let heap: Double
  /// Bytes.
  package let resident: Double

  /// - Parameter footprints: one after every `calls` calls.
  package init(of footprints: [Footprint], every calls: Int) {
    func slope(_ value: (Footprint) -> Double) -> Double {
      let count = Double(footprints.count)
      let middle = (count - 1) / 2
      let mean = footprints.map(value).reduce(0, +) / count
      var (above, below) = (0.0, 0.0)
      for (index, footprint) in footprints.enumerated() {
        let distance = Double(index) - middle
        above += distance * (value(footprint) - mean)
        below += distance * distance
      }
      return below > 0 ? above / below / Double(calls) : 0
    }
    self.descriptors = slope { Double($0.descriptors) }
    self.threads = slope { Double($0.threads) }
    self.heap = slope { Double($0.heap) }
    self.resident = slope { Double($0.resident) * 1024 }
  }

  package var description: String {
    func rounded(_ value: Double, _ places: Double) -> String {
      let power = places
      return "\((value * power).rounded() / power)"
    }
    return "a call: descriptors \(rounded(self.descriptors, 10_000)), threads \(rounded(self.threads, 10_000)),"
      + " heap \(rounded(self.heap, 10)) bytes, resident \(rounded(self.resident, 1)) bytes"
  }
}
