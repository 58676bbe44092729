internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime

/// What a leg costs in resident memory: the slope from 10 to 100 calls, both legs in one fresh process.
struct LegMemory: Sendable {
  static let fewCalls = 10
  static let manyCalls = 100

  let mode: RxMode
  /// The account's word; nil for none.
  let encryption: String?
  /// Whether each leg keeps memory that it should not, to show that it is seen.
  let isPlanted: Bool
  private static let plantedBytes = 100 << 10

  var encryptionName: String { self.encryption ?? "none" }

  /// KiB that a leg may cost.
  var bound: Int { self.encryption == nil ? 120 : 200 }

  /// Measures in a process of its own: this program, asked for one line.
  func measure() throws -> MemoryFigures {
    let command =
      "/proc/\(getpid())/exe --leg-memory \(self.mode.rawValue),\(self.encryptionName)"
      + (self.isPlanted ? " --plant leg" : "")
    guard let pipe = unsafe popen(command, "r") else { throw BenchFailure("the memory benchmark did not start") }
    var line = [CChar](repeating: 0, count: 256)
    _ = unsafe fgets(&line, 256, pipe)
    let status = unsafe pclose(pipe)
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let numbers = text.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    guard status == 0, numbers.count == 2 else { throw BenchFailure("the memory benchmark failed: \(text)") }
    return MemoryFigures(memory: self, few: numbers[0], many: numbers[1])
  }

  /// In that process: KiB resident with few calls, and with many.
  func sample() async throws -> (few: Int, many: Int) {
    try await AgentPair.run(self.mode, self.encryption) { pair in
      // Nobody is told more than needed: what waits in the streams of events would count as memory of the calls.
      Task { for await _ in pair.events {} }
      var planted: [[UInt8]] = []
      try await self.place(Self.fewCalls, pair, planted: &planted)
      let few = Self.resident
      try await self.place(Self.manyCalls, pair, planted: &planted)
      let many = Self.resident
      _ = consume planted
      return (few, many)
    }
  }

  /// Goes on to `count` calls, and waits until all of them have been up for a second.
  private func place(_ count: Int, _ pair: AgentPair, planted: inout [[UInt8]]) async throws {
    let placed = try await pair.place(upTo: count, every: 12_000_000)
    if self.isPlanted { planted += placed.map { _ in [UInt8](repeating: 1, count: 2 * Self.plantedBytes) } }
    try await Pace.wait(until: Instant.now.advanced(byMilliseconds: 1000))
  }

  /// KiB.
  static var resident: Int {
    guard let file = unsafe fopen("/proc/self/statm", "r") else { return 0 }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard unsafe fgets(&line, 256, file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024 : 0
  }
}

/// Resident memory of one mode and encryption.
struct MemoryFigures: Sendable {
  let memory: LegMemory
  /// KiB.
  let few: Int
  let many: Int

  /// KiB for each leg; a call has two here.
  var slope: Double { Double(self.many - self.few) / Double(2 * (LegMemory.manyCalls - LegMemory.fewCalls)) }

  var violations: [String] {
    guard self.slope > Double(self.memory.bound) else { return [] }
    let name = "memory \(self.memory.mode) \(self.memory.encryptionName)"
    return ["\(name): \(fixed(self.slope, 0)) KiB a leg, \(self.memory.bound) allowed"]
  }
}
