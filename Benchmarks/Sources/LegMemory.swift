internal import AllModules
internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import UACore

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
    let pool = self.mode == .pool ? LoopPool(count: processorCount(), name: "rtp-pool") : nil
    let (caller, callee) = (self.agent(pool, "caller"), self.agent(pool, "callee"))
    try await callee.start()
    try await caller.start()
    try await callee.setAccounts([self.account])
    // Nobody is told more than needed: what waits in the streams of events would count as memory of the calls.
    let readers = [caller, callee].map { agent in Task { for await _ in agent.events {} } }
    let target = "sip:bench@127.0.0.1:\(await callee.listenAddress?.port ?? 0)"
    var planted: [[UInt8]] = []
    try await self.place(Self.fewCalls, caller, target, planted: &planted)
    let few = Self.resident
    try await self.place(Self.manyCalls, caller, target, planted: &planted)
    let many = Self.resident
    _ = consume planted
    await caller.shutDown()
    await callee.shutDown()
    for reader in readers { await reader.value }
    pool?.stop()
    return (few, many)
  }

  private func agent(_ pool: LoopPool?, _ name: String) -> UserAgent {
    var configuration = Configuration()
    configuration.activeModules = usualModuleNames
    configuration.rxMode = self.mode
    configuration.callMaxCalls = nil
    configuration.rtpPorts = 10_000...59_998
    let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)
    return UserAgent(
      AgentSettings(available: allModules, configuration: configuration, listen: loopback), pool: pool, name: name)
  }

  private var account: CallSettings {
    // A source at the codec's rate: a resampler is a cost of other calls.
    var call = CallSettings(
      identity: "sip:bench@127.0.0.1", source: AudioDevice(driver: "ausine", device: "440"), player: nil)
    call.mediaEncryption = self.encryption
    call.codecs = CodecPreference("pcmu").map { [$0] } ?? []
    call.usesRTCPMux = true
    call.answersAtOnce = true
    return call
  }

  /// Goes on to `count` calls, and waits until all of them have been up for a second.
  private func place(
    _ count: Int, _ caller: UserAgent, _ target: String, planted: inout [[UInt8]]
  ) async throws {
    while await caller.reports.count < count {
      if self.isPlanted { planted.append([UInt8](repeating: 1, count: 2 * Self.plantedBytes)) }
      _ = try await caller.call(target, settings: self.account)
      Pace.sleep(until: Instant.now.advanced(byMilliseconds: 12))
    }
    for _ in 0..<100 where await caller.reports.count(where: { $0.state == .established }) < count {
      Pace.sleep(until: Instant.now.advanced(byMilliseconds: 100))
    }
    guard await caller.reports.count(where: { $0.state == .established }) == count else {
      throw BenchFailure("not all of \(count) calls were established")
    }
    Pace.sleep(until: Instant.now.advanced(byMilliseconds: 1000))
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
