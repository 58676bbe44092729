internal import CLimit
internal import NetBase
internal import Runtime
internal import SRTPEngine
internal import UACore

/// How long a case runs.
struct PathDuration: Sendable {
  /// Milliseconds until the jitter buffers play and everything that is made once is made.
  let warmUp: Int
  /// Milliseconds between two readings.
  let slice: Int
  let slices: Int
  /// How often it begins anew: where memory happens to lie decides of a tenth.
  let rounds: Int

  static let full = PathDuration(warmUp: 500, slice: 300, slices: 10, rounds: 2)
  static let check = PathDuration(warmUp: 400, slice: 200, slices: 4, rounds: 1)
}

/// One case of the packet path: our transports and the C program beside each other, fed from one thread.
///
/// Both run at the same time and are read at the same moments, so that whatever else the machine does meets both.
struct PathBench {
  let bench: BenchCase
  let duration: PathDuration
  /// Whether our legs' ends allocate, to show that it is seen.
  let isPlanted: Bool

  /// What one program has used and done: up to one moment, or between two.
  private struct Usage {
    /// Nanoseconds.
    var cpu = 0
    var allocations = Allocations()
    var packets = 0

    var nanosecondsAPacket: Double { Double(self.cpu) / Double(max(1, self.packets)) }
    var srtpAllocationsAPacket: Double { Double(self.allocations.srtp) / Double(max(1, self.packets)) }

    static func + (left: Usage, right: Usage) -> Usage {
      Usage(
        cpu: left.cpu + right.cpu, allocations: left.allocations + right.allocations,
        packets: left.packets + right.packets)
    }

    static func - (left: Usage, right: Usage) -> Usage {
      Usage(
        cpu: left.cpu - right.cpu, allocations: left.allocations - right.allocations,
        packets: left.packets - right.packets)
    }
  }

  private struct Reading {
    var ours: Usage
    var limit: Usage
  }

  func run() throws -> PathFigures {
    try self.bench.transform.start()
    defer { climit_rest() }
    guard climit_stay_awake() else { throw BenchFailure("no threads to keep the processors awake") }
    return self.figures(try (0..<self.duration.rounds).map { _ in try self.round() })
  }

  /// The readings of transports and C program that began for it.
  private func round() throws -> [Reading] {
    let encoder = self.bench.codec == .opus ? try BenchOpus().makeEncoder() : nil
    var source = try PacketSource(self.bench.codec, encoder, try self.bench.material())
    let (ourPeer, limitPeer) = (try BenchSocket(), try BenchSocket())
    let limit = try LimitLegs(self.bench, target: limitPeer.port)
    let ours = try TransportLegs(self.bench, peer: ourPeer.port) { try limit.addContexts($0) }
    if self.isPlanted { ours.audio.plantAllocations() }
    climit_pin(0)
    defer { climit_pin(-1) }
    var readings: [Reading] = []
    var packets = (ours: 0, limit: 0)
    let start = Instant.now
    let total = self.duration.warmUp + self.duration.slice * self.duration.slices
    for tick in 0...total {
      Pace.sleep(until: start.advanced(byMilliseconds: Int64(tick)))
      switch self.bench.direction {
      case .receive:
        if tick.isMultiple(of: 20) { try source.advance() }
        guard let group = self.group(tick % 20) else { break }
        // Neither is always the first.
        if tick.isMultiple(of: 2) { packets.ours += ourPeer.spread(source.packet, to: ours.ports[group]) }
        packets.limit += limitPeer.spread(source.packet, to: limit.ports[group])
        if !tick.isMultiple(of: 2) { packets.ours += ourPeer.spread(source.packet, to: ours.ports[group]) }
        _ = ourPeer.drain()
      case .send:
        guard tick.isMultiple(of: 5) else { break }
        packets.ours += ourPeer.drain()
        packets.limit += limitPeer.drain()
      }
      let measured = tick - self.duration.warmUp
      if measured >= 0, measured.isMultiple(of: self.duration.slice) {
        readings.append(
          Reading(
            ours: Usage(cpu: ours.cpu, allocations: ours.allocations, packets: packets.ours),
            limit: Usage(cpu: limit.cpu, allocations: limit.allocations, packets: packets.limit)))
      }
    }
    // What is on its way arrives, and is played.
    Pace.sleep(until: Instant.now.advanced(byMilliseconds: 30))
    let statistics = try ours.stop()
    let limitPackets = limit.stop()
    if self.bench.direction == .send {
      packets.ours += ourPeer.drain()
      packets.limit += limitPeer.drain()
    }
    try self.check(statistics, heard: ours.audio.heard, sent: packets, limit: limitPackets)
    return readings
  }

  /// The legs whose packets leave in this millisecond of each 20, if it is one of the four in which any do: a busy loop
  /// finds several sockets ready when it wakes up, and what it does for them is not lost beside the cost of waking.
  private func group(_ millisecond: Int) -> Range<Int>? {
    let groups = [0: 0, 5: 1, 11: 2, 16: 3]
    return groups[millisecond].map { self.bench.legs * $0 / 4..<self.bench.legs * ($0 + 1) / 4 }
  }

  /// Figures of packets that were lost, or not decoded, would flatter.
  private func check(
    _ statistics: TransportStatistics, heard: Int, sent: (ours: Int, limit: Int), limit: Int
  ) throws {
    guard statistics.drops.total == 0 else { throw BenchFailure("\(statistics.drops.total) packets were dropped") }
    switch self.bench.direction {
    case .receive:
      guard statistics.receivedPackets == sent.ours, limit == sent.limit else {
        throw BenchFailure(
          "of \(sent.ours) and \(sent.limit) packets \(statistics.receivedPackets) and \(limit) were received")
      }
      // The last 200 ms may still be in a jitter buffer; and a machine that has no time for the loop makes it drop packets
      // that are late, as it should. What was played in time must be most of it.
      let decoded = heard / self.bench.codec.samples
      guard decoded >= sent.ours / 2, decoded <= sent.ours + self.bench.legs else {
        throw BenchFailure("of \(sent.ours) packets \(decoded) were decoded and played: the machine is too busy")
      }
    case .send:
      guard sent.ours >= statistics.sentPackets * 9 / 10, sent.limit >= limit * 9 / 10, sent.ours > 0 else {
        throw BenchFailure("of \(statistics.sentPackets) and \(limit) packets \(sent.ours) and \(sent.limit) came")
      }
    }
  }

  private func figures(_ rounds: [[Reading]]) -> PathFigures {
    let slices = rounds.flatMap { readings in
      zip(readings, readings.dropFirst()).map { Reading(ours: $1.ours - $0.ours, limit: $1.limit - $0.limit) }
    }
    let ours = slices.map(\.ours).reduce(Usage(), +)
    let limit = slices.map(\.limit).reduce(Usage(), +)
    return PathFigures(
      bench: self.bench, packets: ours.packets, nanoseconds: median(slices.map(\.ours.nanosecondsAPacket)),
      limitNanoseconds: median(slices.map(\.limit.nanosecondsAPacket)),
      ratio: median(slices.map { $0.ours.nanosecondsAPacket / $0.limit.nanosecondsAPacket }),
      allocations: ours.allocations.own, srtpPerPacket: ours.srtpAllocationsAPacket,
      limitSRTPPerPacket: limit.srtpAllocationsAPacket)
  }
}

/// What one case of the packet path came to.
struct PathFigures: Sendable {
  /// Times the C program's CPU time that a received packet may cost.
  static let maximumRatio = 1.25
  /// The same with Opus, each way: nearly all of it is libopus's.
  static let maximumOpusRatio = 1.15

  let bench: BenchCase
  /// Measured, without the warm-up.
  let packets: Int
  /// CPU time of the executor's threads for each packet: ours and the C program's, medians.
  let nanoseconds: Double
  let limitNanoseconds: Double
  /// Median of the slices' ratios.
  let ratio: Double
  /// All of ours in all of the packets.
  let allocations: Int
  /// Within libsrtp2.
  let srtpPerPacket: Double
  let limitSRTPPerPacket: Double

  /// What is out of bounds, in a sentence each.
  ///
  /// - Parameter judgesTime: whether CPU time counts.
  func violations(judgesTime: Bool) -> [String] {
    let name = self.bench.name
    var all: [String] = []
    if self.allocations > 0 {
      all.append("\(name): \(self.allocations) allocations in \(self.packets) packets, 0 allowed")
    }
    let bound = self.bench.codec == .opus ? Self.maximumOpusRatio : Self.maximumRatio
    if judgesTime, self.bench.direction == .receive || self.bench.codec == .opus, self.ratio > bound {
      all.append("\(name): \(fixed(self.ratio, 2)) x the C program, \(bound) allowed")
    }
    if self.srtpPerPacket > self.limitSRTPPerPacket + 0.5 {
      all.append("\(name): libsrtp2 is called more often than the C program calls it")
    }
    return all
  }
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return 0 }
  let middle = sorted.count / 2
  return sorted.count.isMultiple(of: 2) ? (sorted[middle - 1] + sorted[middle]) / 2 : sorted[middle]
}
