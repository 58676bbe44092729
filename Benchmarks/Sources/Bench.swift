internal import ArgumentParser
internal import ModuleKit
internal import Runtime
internal import SRTPEngine

/// The program behind `Scripts/bench`.
@main struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench", abstract: "CPU time, allocations, memory, set-ups and re-keys, beside their limits.")

  @Flag(help: "What no other load can disturb, allocations and memory, in two minutes.")
  var check = false

  @Flag(help: "One JSON object on standard output.")
  var json = false

  @Option(help: "Only this part: receive, send, opus, transform, memory, setups, rekeys or uring.")
  var only: String?

  @Option(help: "Only this receive mode; set-ups and re-keys are measured in pool by default.")
  var rxmode: String?

  @Option(help: "How many calls are re-keyed.")
  var calls = RekeyBench.usualCalls

  @Option(help: "Break a bound on purpose: receive and send allocate at each frame, a leg keeps 100 KiB more.")
  var plant: String?

  @Option(help: .hidden)
  var legMemory: String?

  func validate() throws {
    let parts = ["opus", "transform", "memory", "setups", "rekeys", "uring"]
    if let only, PathDirection(rawValue: only) == nil, !parts.contains(only) {
      throw ValidationError("--only takes receive, send, opus, transform, memory, setups, rekeys or uring")
    }
    if self.check, let only, ["opus", "setups", "rekeys", "uring"].contains(only) {
      throw ValidationError("\(only) is a matter of time, which --check leaves out")
    }
    if self.only == "uring", self.rxmode != nil { throw ValidationError("uring knows no receive modes") }
    guard (1...RekeyBench.maximumCalls).contains(self.calls) else {
      throw ValidationError("--calls takes 1 to \(RekeyBench.maximumCalls)")
    }
    if let rxmode, RxMode(rawValue: rxmode) == nil { throw ValidationError("--rxmode takes main, thread or pool") }
    if let plant, PathDirection(rawValue: plant) == nil, plant != "leg" {
      throw ValidationError("--plant takes receive, send or leg")
    }
    if let plant, let only, only != (plant == "leg" ? "memory" : plant) {
      throw ValidationError("--plant \(plant) is not seen by --only \(only)")
    }
  }

  func run() async throws {
    if let legMemory { return try await self.sampleMemory(legMemory) }
    try verifyCounting()
    var report = Report(json: self.json, judgesTime: !self.check)
    for bench in self.cases + self.opusCases { report.add(try self.measure(bench)) }
    for transform in self.transforms { report.add(try transform.measure()) }
    for memory in self.memories { report.add(try memory.measure()) }
    for setup in self.setups { report.add(try await setup.measure()) }
    for rekey in self.rekeys { report.add(try await rekey.measure()) }
    for uring in self.urings {
      for figures in uring.measure() { report.add(figures) }
    }
    report.finish()
    if !report.violations.isEmpty { throw ExitCode(1) }
  }

  private var modes: [RxMode] { RxMode.allCases.filter { self.rxmode == nil || $0.rawValue == self.rxmode } }

  private var cases: [BenchCase] {
    guard self.plant != "leg" else { return [] }
    // One of each kind where there is little time.
    let profiles: [SRTPProfile?] =
      self.check ? [nil, .aesCM128HMACSHA1Tag80, .aeadAES128GCM] : [nil] + SRTPProfile.allCases
    let workers = max(2, processorCount())
    return PathDirection.allCases.filter { self.only == nil || $0.rawValue == self.only }.flatMap { direction in
      self.modes.flatMap { mode in
        profiles.flatMap { profile in
          (profile == nil ? [.standard] : SRTPTransform.allCases).map {
            BenchCase(direction, mode, profile, $0, workers: workers)
          }
        }
      }
    }
  }

  private var opusCases: [BenchCase] {
    guard self.measuresCalls("opus") else { return [] }
    return PathDirection.allCases.flatMap { direction in
      self.modes.map { BenchCase(direction, $0, nil, codec: .opus, workers: max(2, processorCount())) }
    }
  }

  private var transforms: [TransformBench] {
    guard self.only == nil || self.only == "transform", self.plant == nil, self.rxmode == nil else { return [] }
    return SRTPProfile.allCases.map { TransformBench(profile: $0) }
  }

  private var memories: [LegMemory] {
    let isPlanted = self.plant == "leg"
    guard self.only == nil || self.only == "memory", self.plant == nil || isPlanted else { return [] }
    return self.modes.flatMap { mode in
      [nil, "srtp-mand", "dtls_srtp"].map { LegMemory(mode: mode, encryption: $0, isPlanted: isPlanted) }
    }
  }

  private var setups: [SetupBench] {
    guard self.measuresCalls("setups") else { return [] }
    return ["dtls_srtp", "srtp-mand", nil].map { SetupBench(mode: self.modeOfCalls, encryption: $0) }
  }

  private var rekeys: [RekeyBench] {
    guard self.measuresCalls("rekeys") else { return [] }
    return ["srtp-mand", "dtls_srtp"].map { RekeyBench(mode: self.modeOfCalls, encryption: $0, calls: self.calls) }
  }

  /// On demand only: it holds no bound.
  private var urings: [UringBench] { self.only == "uring" ? UringBench.all : [] }

  private func measuresCalls(_ part: String) -> Bool {
    (self.only == nil || self.only == part) && !self.check && self.plant == nil
  }

  /// Made for hundreds of calls.
  private var modeOfCalls: RxMode { self.rxmode.flatMap { RxMode(rawValue: $0) } ?? .pool }

  /// A run that lost packets proves nothing either way; it may be repeated, a broken bound may not.
  private func measure(_ bench: BenchCase) throws -> PathFigures {
    let path = PathBench(
      bench: bench, duration: self.check ? .check : .full, isPlanted: self.plant == bench.direction.rawValue)
    for attempt in 1...2 {
      do { return try path.run() } catch let failure as BenchFailure {
        tell("attempt \(attempt), \(bench.name): \(failure)")
      }
    }
    return try path.run()
  }

  private func sampleMemory(_ text: String) async throws {
    let words = text.split(separator: ",").map(String.init)
    guard words.count == 2, let mode = RxMode(rawValue: words[0]) else {
      throw ValidationError("--leg-memory takes a receive mode and a media encryption, with a comma between them")
    }
    let memory = LegMemory(
      mode: mode, encryption: words[1] == "none" ? nil : words[1], isPlanted: self.plant == "leg")
    let (few, many) = try await memory.sample()
    print("\(few) \(many)")
  }
}
