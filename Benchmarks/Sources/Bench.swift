internal import ArgumentParser
internal import ModuleKit
internal import Runtime
internal import SRTPEngine

/// The program behind `Scripts/bench`.
@main struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "apus-bench", abstract: "CPU time, allocations and memory, beside their limits.")

  @Flag(help: "The bounds only, in half a minute: for CI.")
  var check = false

  @Flag(help: "One JSON object on standard output.")
  var json = false

  @Option(help: "Only this part: receive, send or memory.")
  var only: String?

  @Option(help: "Only this receive mode.")
  var rxmode: String?

  @Option(help: "Make each frame of this direction allocate, to see the check fail: receive or send.")
  var plant: String?

  @Option(help: .hidden)
  var legMemory: String?

  func validate() throws {
    if let only, PathDirection(rawValue: only) == nil, only != "memory" {
      throw ValidationError("--only takes receive, send or memory")
    }
    if let rxmode, RxMode(rawValue: rxmode) == nil { throw ValidationError("--rxmode takes main, thread or pool") }
    if let plant, PathDirection(rawValue: plant) == nil { throw ValidationError("--plant takes receive or send") }
  }

  func run() async throws {
    if let legMemory { return try await self.sampleMemory(legMemory) }
    try verifyCounting()
    var report = Report(json: self.json)
    for bench in self.cases {
      report.add(
        try PathBench(
          bench: bench, duration: self.check ? .check : .full, isPlanted: self.plant == bench.direction.rawValue
        ).run())
    }
    for memory in self.memories { report.add(try memory.measure()) }
    report.finish()
    if !report.violations.isEmpty { throw ExitCode(1) }
  }

  private var modes: [RxMode] { RxMode.allCases.filter { self.rxmode == nil || $0.rawValue == self.rxmode } }

  private var cases: [BenchCase] {
    let profiles: [SRTPProfile?] =
      self.check ? [nil, .aesCM128HMACSHA1Tag80] : [nil, .aesCM128HMACSHA1Tag80, .aeadAES128GCM, .aeadAES256GCM]
    return PathDirection.allCases.filter { self.only == nil || $0.rawValue == self.only }.flatMap { direction in
      self.modes.flatMap { mode in
        profiles.map { BenchCase(direction, mode, $0, workers: max(2, processorCount())) }
      }
    }
  }

  private var memories: [LegMemory] {
    guard self.only == nil || self.only == "memory", self.plant == nil else { return [] }
    // The mode that costs most, with and without keys; in full all of them.
    if self.check {
      return self.modes.filter { $0 == .thread }.flatMap { mode in
        [nil, "dtls_srtp"].map { LegMemory(mode: mode, encryption: $0) }
      }
    }
    return self.modes.flatMap { mode in
      [nil, "srtp-mand", "dtls_srtp"].map { LegMemory(mode: mode, encryption: $0) }
    }
  }

  private func sampleMemory(_ text: String) async throws {
    let words = text.split(separator: ",").map(String.init)
    guard words.count == 2, let mode = RxMode(rawValue: words[0]) else {
      throw ValidationError("--leg-memory takes a receive mode and a media encryption, with a comma between them")
    }
    let memory = LegMemory(mode: mode, encryption: words[1] == "none" ? nil : words[1])
    let (few, many) = try await memory.sample()
    print("\(few) \(many)")
  }
}
