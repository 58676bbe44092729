import Glibc
import NetBase
import Testing

@testable import SRTPEngine

/// Both transforms see the same packets, and each says and does the same.
@Suite("Our own transform beside libsrtp2")
struct DifferentialTests {
  /// Whether the long counts are wanted.
  private static let isLong = unsafe getenv("APUS_LONG").map { unsafe String(cString: $0) } == "1"

  #if DEBUG
    static let count = 8_000
  #else
    static let count = Self.isLong ? 10_000_000 : 300_000
  #endif

  @Test("seeded packets have the same verdict and the same bytes in both, and the mixture is what it should be")
  func sameVerdictAndBytes() throws {
    var census = PacketCensus()
    var seed: UInt64 = 0
    while census.packets < Self.count {
      var run = try DifferentialRun(seed: seed)
      try run.play(min(20_000, Self.count - census.packets))
      census.add(run.census)
      #expect(run.differences == [], "seed \(seed)")
      guard run.differences.isEmpty else { return }
      seed += 1
    }
    print(census)
    #expect(census.packets >= Self.count)
    #expect(census.nearWrap * 10 >= census.packets, "\(census)")
    #expect(census.pastWindow * 10 >= census.packets, "\(census)")
    #expect(census.replays * 50 >= census.packets && census.corrupted * 50 >= census.packets, "\(census)")
    #expect(census.newSources * 1000 >= census.packets && census.accepted * 3 >= census.packets, "\(census)")
  }

  @Test("a difference is seen", arguments: [true, false])
  func differenceIsSeen(inKey: Bool) throws {
    var run = try DifferentialRun(seed: 3, window: inKey ? nil : (ours: 96, theirs: 128), keyDiffers: inKey)
    try run.play(20_000)
    #expect(!run.differences.isEmpty)
  }
}

/// What kinds of packets a run had.
struct PacketCensus: CustomStringConvertible {
  var packets = 0
  var control = 0
  /// Within 512 of a sequence number's wrap.
  var nearWrap = 0
  /// Sent before what the window still remembers.
  var pastWindow = 0
  var reordered = 0
  var replays = 0
  var corrupted = 0
  var cutShort = 0
  var newSources = 0
  var jumps = 0
  var keyChanges = 0
  var verdicts: [String: Int] = [:]

  var accepted: Int { self.verdicts["ok"] ?? 0 }

  mutating func add(_ other: PacketCensus) {
    self.packets += other.packets
    self.control += other.control
    self.nearWrap += other.nearWrap
    self.pastWindow += other.pastWindow
    self.reordered += other.reordered
    self.replays += other.replays
    self.corrupted += other.corrupted
    self.cutShort += other.cutShort
    self.newSources += other.newSources
    self.jumps += other.jumps
    self.keyChanges += other.keyChanges
    self.verdicts.merge(other.verdicts, uniquingKeysWith: +)
  }

  var description: String {
    let verdicts = self.verdicts.sorted { $0.value > $1.value }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return """
      \(self.packets) packets, of them \(self.control) SRTCP; near a wrap \(self.nearWrap), past the window \
      \(self.pastWindow), reordered within it \(self.reordered), replays \(self.replays), corrupted \(self.corrupted), \
      cut short \(self.cutShort), first of an SSRC \(self.newSources), jumps \(self.jumps), \
      changes of key \(self.keyChanges); verdicts: \(verdicts)
      """
  }
}
