internal import Glibc
internal import ModuleKit
internal import SRTPEngine

/// The figures as a table for people, line by line as they come, or as one JSON object at the end.
struct Report {
  private var paths: [PathFigures] = []
  private var memories: [MemoryFigures] = []
  private var transforms: [TransformFigures] = []
  private var setups: [SetupFigures] = []
  private var rekeys: [RekeyFigures] = []
  private var urings: [UringFigures] = []
  private(set) var violations: [String] = []
  private var keptCount = 0
  private let json: Bool
  private let judgesTime: Bool

  init(json: Bool, judgesTime: Bool) {
    self.json = json
    self.judgesTime = judgesTime
  }

  mutating func add(_ figures: PathFigures) {
    if self.paths.isEmpty { self.say(Self.pathHeader) }
    self.paths.append(figures)
    let broken = figures.violations(judgesTime: self.judgesTime)
    self.count(broken)
    let bench = figures.bench
    self.say(
      pad(bench.direction.rawValue, 8) + pad(bench.mode.rawValue, 7) + pad(bench.codec.rawValue, 6)
        + pad(bench.profileName, 25) + pad(bench.transformName, 9) + right("\(bench.legs)", 5)
        + right("\(figures.packets)", 9)
        + right(fixed(figures.nanoseconds, 0), 9)
        + right(fixed(figures.limitNanoseconds, 0), 9) + right(fixed(figures.ratio, 2), 7)
        + right("\(figures.allocations)", 7) + right(fixed(figures.srtpPerPacket, 1), 9)
        + right(fixed(figures.limitSRTPPerPacket, 1), 9) + (broken.isEmpty ? "" : "  <-"))
  }

  mutating func add(_ figures: TransformFigures) {
    if self.transforms.isEmpty { self.say("\n" + Self.transformHeader) }
    self.transforms.append(figures)
    let broken = figures.violations(judgesTime: self.judgesTime)
    self.count(broken)
    self.say(
      pad("transform", 10) + pad(figures.profile.rawValue, 25) + right(fixed(figures.protect, 0), 8)
        + right(fixed(figures.unprotect, 0), 10) + right(fixed(figures.alone, 0), 7)
        + right(fixed(figures.libraryProtect, 0), 10) + right(fixed(figures.libraryUnprotect, 0), 10)
        + right(fixed(figures.ratio, 1), 7) + right("\(figures.allocations)", 7)
        + right(fixed(figures.pairNanoseconds / 1000, 1), 8) + right(fixed(figures.pairBytes, 0), 7)
        + (broken.isEmpty ? "" : "  <-"))
  }

  mutating func add(_ figures: MemoryFigures) {
    if self.memories.isEmpty { self.say("\n" + Self.memoryHeader) }
    self.memories.append(figures)
    self.count(figures.violations)
    let memory = figures.memory
    self.say(
      pad("memory", 8) + pad(memory.mode.rawValue, 7) + pad(memory.encryptionName, 25) + right("\(figures.few)", 14)
        + right("\(figures.many)", 15) + right(fixed(figures.slope, 1), 9) + right("\(memory.bound)", 7)
        + (figures.violations.isEmpty ? "" : "  <-"))
  }

  mutating func add(_ figures: SetupFigures) {
    if self.setups.isEmpty { self.say("\n" + Self.setupHeader) }
    self.setups.append(figures)
    let broken = figures.violations
    self.count(broken)
    let bench = figures.bench
    self.say(
      pad("setups", 8) + pad(bench.mode.rawValue, 7) + pad(bench.encryptionName, 25)
        + right(fixed(figures.rate, 0), 9) + right(fixed(figures.perCore, 0), 8)
        + right(fixed(figures.limitPerCore, 0, or: "-"), 8) + right(fixed(figures.ratio, 2, or: "-"), 7)
        + right(fixed(figures.secureTime, 1, or: "-"), 9) + (broken.isEmpty ? "" : "  <-"))
  }

  mutating func add(_ figures: RekeyFigures) {
    if self.rekeys.isEmpty { self.say("\n" + Self.rekeyHeader) }
    self.rekeys.append(figures)
    let broken = figures.violations
    self.count(broken)
    let bench = figures.bench
    let name = pad("rekeys", 8) + pad(bench.mode.rawValue, 7) + pad(bench.encryption, 25) + right("\(bench.calls)", 6)
    switch figures.outcome {
    case .cost(let cost):
      self.say(
        name + right(fixed(cost.changesPerSecond, 0), 10) + right(fixed(cost.alone, 2), 8)
          + right(fixed(cost.rekeyed, 2), 10) + right(fixed(cost.more, 2), 7) + right(fixed(bench.bound, 2), 7)
          + (broken.isEmpty ? "" : "  <-"))
    case .notCarried(_, let carried):
      self.say(name + "  not carried; carried: \(carried.map { "\($0)" } ?? "nor a few")  <-")
    }
  }

  mutating func add(_ figures: UringFigures) {
    if self.urings.isEmpty { self.say("\n" + Self.uringHeader) }
    self.urings.append(figures)
    self.count(figures.violations)
    let bench = figures.bench
    let name = pad(bench.wakeName, 9) + right("\(bench.legs)", 5) + "  " + pad(figures.way.name, 20)
    switch figures.outcome {
    case .cost(let cost):
      self.say(
        name + right("\(cost.packets)", 8) + right(fixed(cost.nanoseconds, 0), 8) + right(fixed(cost.user, 0), 7)
          + right(fixed(cost.system, 0), 8) + right(fixed(cost.ratio, 2, or: "-"), 7) + right(fixed(cost.calls, 2), 7)
          + right(fixed(cost.packetsPerTurn, 1), 8) + right(fixed(cost.feeding, 0), 8))
    case .notMeasured(let reason): self.say(name + "  \(reason)  <-")
    }
  }

  /// The last lines, or the object.
  func finish() {
    guard self.json else {
      print(self.violations.isEmpty ? "\nall bounds are kept" : "\nout of bounds:")
      for violation in self.violations { print("  \(violation)") }
      print("\(self.keptCount) passed, \(self.lineCount - self.keptCount) failed")
      return
    }
    let paths = self.paths.map { figures in
      """
      {"direction":"\(figures.bench.direction)","rxmode":"\(figures.bench.mode)","codec":"\(figures.bench.codec)",\
      "profile":"\(figures.bench.profileName)","srtp_engine":"\(figures.bench.transformName)",\
      "legs":\(figures.bench.legs),"packets":\(figures.packets),"ns_per_packet":\(fixed(figures.nanoseconds, 1)),\
      "c_ns_per_packet":\(fixed(figures.limitNanoseconds, 1)),"ratio":\(fixed(figures.ratio, 3)),\
      "allocations":\(figures.allocations),"srtp_allocations_per_packet":\(fixed(figures.srtpPerPacket, 2)),\
      "c_srtp_allocations_per_packet":\(fixed(figures.limitSRTPPerPacket, 2))}
      """
    }
    let memories = self.memories.map { figures in
      """
      {"rxmode":"\(figures.memory.mode)","mediaenc":"\(figures.memory.encryptionName)","rss_kib_10":\(figures.few),\
      "rss_kib_100":\(figures.many),"kib_per_leg":\(fixed(figures.slope, 1)),"bound_kib":\(figures.memory.bound)}
      """
    }
    let transforms = self.transforms.map { figures in
      """
      {"profile":"\(figures.profile.rawValue)","protect_ns":\(fixed(figures.protect, 1)),\
      "unprotect_ns":\(fixed(figures.unprotect, 1)),"cipher_ns":\(fixed(figures.alone, 1)),\
      "libsrtp2_protect_ns":\(fixed(figures.libraryProtect, 1)),\
      "libsrtp2_unprotect_ns":\(fixed(figures.libraryUnprotect, 1)),"ratio":\(fixed(figures.ratio, 2)),\
      "allocations":\(figures.allocations),"pair_ns":\(fixed(figures.pairNanoseconds, 0)),\
      "pair_bytes":\(fixed(figures.pairBytes, 0))}
      """
    }
    let setups = self.setups.map { figures in
      """
      {"rxmode":"\(figures.bench.mode)","mediaenc":"\(figures.bench.encryptionName)",\
      "calls_per_s":\(fixed(figures.rate, 1)),"calls_per_cpu_s":\(fixed(figures.perCore, 1)),\
      "c_handshakes_per_cpu_s":\(fixed(figures.limitPerCore, 1, or: "null")),\
      "ratio":\(fixed(figures.ratio, 3, or: "null")),"secure_ms_p50":\(fixed(figures.secureTime, 2, or: "null"))}
      """
    }
    let rekeys = self.rekeys.map { Self.object($0) }
    let urings = self.urings.map { Self.object($0) }
    let violations = self.violations.map { JSON.string($0).compact }
    print(
      """
      {"ok":\(self.violations.isEmpty),"packet_path":[\(paths.joined(separator: ","))],\
      "transform":[\(transforms.joined(separator: ","))],\
      "memory":[\(memories.joined(separator: ","))],"setups":[\(setups.joined(separator: ","))],\
      "rekeys":[\(rekeys.joined(separator: ","))],"uring":[\(urings.joined(separator: ","))],\
      "violations":[\(violations.joined(separator: ","))]}
      """)
  }

  private static func object(_ figures: RekeyFigures) -> String {
    let bench = figures.bench
    let name = "\"rxmode\":\"\(bench.mode)\",\"mediaenc\":\"\(bench.encryption)\",\"calls\":\(bench.calls)"
    switch figures.outcome {
    case .cost(let cost):
      return """
        {\(name),"rekeys_per_s":\(fixed(cost.changesPerSecond, 1)),"cores_alone":\(fixed(cost.alone, 3)),\
        "cores_rekeyed":\(fixed(cost.rekeyed, 3)),"cores_more":\(fixed(cost.more, 3)),\
        "bound_cores":\(fixed(bench.bound, 3))}
        """
    case .notCarried(let reason, let carried):
      return "{\(name),\"error\":\(JSON.string(reason).compact),\"carried\":\(carried.map { "\($0)" } ?? "null")}"
    }
  }

  private static func object(_ figures: UringFigures) -> String {
    let bench = figures.bench
    let name = "\"way\":\"\(figures.way)\",\"paced\":\(bench.isPaced),\"legs\":\(bench.legs)"
    switch figures.outcome {
    case .cost(let cost):
      return """
        {\(name),"packets":\(cost.packets),"ns_per_packet":\(fixed(cost.nanoseconds, 1)),\
        "user_ns_per_packet":\(fixed(cost.user, 1)),"system_ns_per_packet":\(fixed(cost.system, 1)),\
        "ratio":\(fixed(cost.ratio, 3, or: "null")),"calls_per_packet":\(fixed(cost.calls, 3)),\
        "packets_per_turn":\(fixed(cost.packetsPerTurn, 1)),"sender_ns_per_packet":\(fixed(cost.feeding, 1))}
        """
    case .notMeasured(let reason): return "{\(name),\"error\":\(JSON.string(reason).compact)}"
    }
  }

  private var lineCount: Int {
    self.paths.count + self.transforms.count + self.memories.count + self.setups.count + self.rekeys.count
      + self.urings.count
  }

  private mutating func count(_ broken: [String]) {
    self.violations += broken
    if broken.isEmpty { self.keptCount += 1 }
  }

  private func say(_ line: String) {
    guard !self.json else { return }
    print(line)
    // Every open file: a reader behind a pipe sees each line as it comes.
    fflush(nil)
  }

  private static let pathHeader =
    "CPU time of the executor's threads for each packet, nanoseconds, beside a C program with the same calls of the\n"
    + "system, cipher and codec; allocations: ours in all packets together, libsrtp2's own for each packet.\n"
    + pad("path", 8) + pad("rxmode", 7) + pad("codec", 6) + pad("profile", 25) + pad("engine", 9) + right("legs", 5)
    + right("packets", 9)
    + right("apus", 9) + right("C", 9) + right("ratio", 7) + right("allocs", 7) + right("in srtp", 9)
    + right("C's", 9)

  private static let transformHeader =
    "SRTP transforms alone, nanoseconds for each packet of 160 bytes of payload: ours both ways, the cipher calls from C,\n"
    + "libsrtp2 both ways, how many times faster; allocations in all packets; a pair of contexts, µs to make and free it\n"
    + "and bytes of one in use.\n"
    + pad("", 10) + pad("profile", 25) + right("protect", 8) + right("unprotect", 10) + right("C", 7)
    + right("libsrtp2", 10) + right("libsrtp2", 10) + right("ratio", 7) + right("allocs", 7) + right("µs", 8)
    + right("bytes", 7)

  private static let memoryHeader =
    "Resident memory, KiB, with both legs of each call in one process; the slope between the two is a leg's.\n"
    + pad("", 8) + pad("rxmode", 7) + pad("mediaenc", 25) + right("10 calls", 14) + right("100 calls", 15)
    + right("a leg", 9) + right("bound", 7)

  private static let setupHeader =
    "Calls set up and ended, both legs in this process, \(SetupBench.callsAtOnce) at once: in a second, and in a second\n"
    + "of CPU time, beside a C program's DTLS handshakes in one; how many times the CPU time of a handshake a call costs;\n"
    + "from INVITE to the first secured RTP at 10 calls a second, median, ms.\n"
    + pad("", 8) + pad("rxmode", 7) + pad("mediaenc", 25) + right("calls/s", 9) + right("a core", 8) + right("C", 8)
    + right("ratio", 7) + right("secured", 9)

  private static let rekeyHeader =
    "Processors that so many calls take, both legs in this process, left alone and re-keyed: by SDES every second, by\n"
    + "DTLS every ten seconds; nothing is lost.\n"
    + pad("", 8) + pad("rxmode", 7) + pad("mediaenc", 25) + right("calls", 6) + right("rekeys/s", 10)
    + right("alone", 8) + right("re-keyed", 10) + right("more", 7) + right("bound", 7)

  private static let uringHeader =
    "One thread of a C program receives and answers datagrams: its CPU time for each, nanoseconds; user and system\n"
    + "time apart, by samples; ratio to epoll; system calls for each; datagrams of a wake-up; CPU time of the thread\n"
    + "that sends to it.\n"
    + pad("wakes up", 9) + right("legs", 5) + "  " + pad("way", 20) + right("packets", 8) + right("ns", 8)
    + right("user", 7) + right("system", 8) + right("ratio", 7) + right("calls", 7) + right("a turn", 8)
    + right("sender", 8)
}

/// Tells on standard error how a run goes: the figures have standard output.
func tell(_ text: String) {
  let line = text + "\n"
  _ = unsafe line.utf8CString.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count - 1) }
}

/// A number with so many decimals, or what stands for none.
private func fixed(_ number: Double?, _ decimals: Int, or none: String) -> String {
  guard let number else { return none }
  return fixed(number, decimals)
}

/// A number with so many decimals.
func fixed(_ number: Double, _ decimals: Int) -> String {
  guard number.isFinite else { return "0" }
  let scale = (0..<decimals).reduce(1) { product, _ in product * 10 }
  let scaled = Int((number * Double(scale)).rounded())
  let sign = scaled < 0 ? "-" : ""
  guard decimals > 0 else { return "\(scaled)" }
  let fraction = String(scaled.magnitude % UInt(scale))
  let zeros = String(repeating: "0", count: decimals - fraction.count)
  return "\(sign)\(scaled.magnitude / UInt(scale)).\(zeros)\(fraction)"
}

private func pad(_ text: String, _ width: Int) -> String {
  text + String(repeating: " ", count: max(1, width - text.count))
}

private func right(_ text: String, _ width: Int) -> String {
  String(repeating: " ", count: max(1, width - text.count)) + text
}
