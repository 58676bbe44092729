internal import CLimit
internal import Glibc

/// io_uring beside epoll: a thread of a C program receives the datagrams of so many legs and answers each.
struct UringBench: Sendable {
  enum Way: CaseIterable, Sendable {
    case epoll, ring, ringReceive, sharedEpoll, sharedRing

    var name: String {
      switch self {
      case .epoll: "epoll"
      case .ring: "io_uring"
      case .ringReceive: "io_uring, sendto"
      case .sharedEpoll: "one port, epoll"
      case .sharedRing: "one port, io_uring"
      }
    }

    fileprivate var limit: uring_way {
      switch self {
      case .epoll: URING_EPOLL
      case .ring: URING_BOTH
      case .ringReceive: URING_RECEIVE
      case .sharedEpoll: URING_SHARED_EPOLL
      case .sharedRing: URING_SHARED_BOTH
      }
    }
  }

  static let all = [100, 1000].flatMap { legs in
    [false, true].map { UringBench(legs: legs, isPaced: $0) }
  }

  /// Slices alternate between the ways, so that what else the machine does meets all alike.
  private static let slices = 7
  /// Milliseconds.
  private static let warmUp: UInt32 = 150
  private static let duration: UInt32 = 1000
  /// As the loops of `main` and `pool` have it.
  private static let batch: UInt32 = 32

  let legs: Int
  /// Whether the thread wakes up about every millisecond only, or as soon as a datagram has come.
  let isPaced: Bool

  var wakeName: String { self.isPaced ? "by time" : "at once" }

  func measure() -> [UringFigures] {
    var runs = Way.allCases.map { Run(way: $0) }
    for slice in 0..<Self.slices {
      for place in runs.indices {
        // None is always the first.
        let index = (place + slice) % runs.count
        guard runs[index].failure == nil else { continue }
        runs[index].add(self.slice(runs[index].way))
      }
    }
    let reference = runs.first { $0.way == .epoll && $0.failure == nil }
    return runs.map { run in
      UringFigures(bench: self, way: run.way, outcome: run.outcome(beside: reference))
    }
  }

  private func slice(_ way: Way) -> uring_figures {
    uring_measure(
      uring_options(
        way: way.limit, legs: UInt32(self.legs), batch: Self.batch, is_paced: self.isPaced, warm_up: Self.warmUp,
        duration: Self.duration))
  }

  /// The slices of one way.
  private struct Run {
    let way: Way
    private(set) var failure: String?
    /// CPU time of the thread for each packet, and of the one that sends to it.
    private var nanoseconds: [Double] = []
    private var feeding: [Double] = []
    private var packets = 0
    private var calls = 0
    private var turns = 0
    private var user = 0
    private var system = 0

    init(way: Way) { self.way = way }

    mutating func add(_ slice: uring_figures) {
      self.failure = Self.failure(of: slice)
      guard self.failure == nil else { return }
      self.nanoseconds.append(Double(slice.cpu) / Double(slice.packets))
      self.feeding.append(Double(slice.feeding) / Double(max(1, slice.fed)))
      self.packets += Int(slice.packets)
      self.calls += Int(slice.calls)
      self.turns += Int(slice.turns)
      self.user += Int(slice.user)
      self.system += Int(slice.system)
    }

    /// Figures of packets that were lost would flatter, and so would those of work that others have done.
    private static func failure(of slice: uring_figures) -> String? {
      guard slice.error == 0 else { return unsafe String(cString: strerror(slice.error)).lowercased() }
      let counts = [slice.received, slice.answered, slice.came]
      guard slice.packets > 0, counts.allSatisfy({ $0 == slice.sent }) else {
        return "of \(slice.sent) packets \(slice.received) were received and \(slice.answered) answered, "
          + "\(slice.came) answers came"
      }
      // To begin and to end a thread takes less than that.
      let elsewhere = Double(slice.elsewhere) / Double(max(1, slice.whole))
      guard elsewhere < 0.02 else {
        return "io_uring's workers, or others, used \(fixed(elsewhere * 100, 0)) % of what the thread did"
      }
      return nil
    }

    func outcome(beside reference: Run?) -> UringFigures.Outcome {
      if let failure { return .notMeasured(failure) }
      let cost = median(self.nanoseconds)
      let user = cost * Double(self.user) / Double(max(1, self.user + self.system))
      let ratio = reference.map { other in median(zip(self.nanoseconds, other.nanoseconds).map { $0 / $1 }) }
      return .cost(
        UringCost(
          packets: self.packets, nanoseconds: cost, user: user, system: cost - user, ratio: ratio,
          calls: Double(self.calls) / Double(max(1, self.packets)),
          packetsPerTurn: Double(self.packets) / Double(max(1, self.turns)), feeding: median(self.feeding)))
    }
  }
}

/// What one packet costs that is received and answered.
struct UringCost: Sendable {
  /// Measured, in all slices.
  let packets: Int
  /// CPU time of the thread: median of the slices; and what of it is the program's own, and the kernel's.
  let nanoseconds: Double
  let user: Double
  let system: Double
  /// Median of the slices' ratios to epoll; nil where that has no figure.
  let ratio: Double?
  let calls: Double
  let packetsPerTurn: Double
  /// CPU time of the thread that sends it, and takes the answer: median of the slices.
  let feeding: Double
}

/// What one way came to.
struct UringFigures: Sendable {
  enum Outcome: Sendable {
    case cost(UringCost)
    /// Why there is no figure.
    case notMeasured(String)
  }

  let bench: UringBench
  let way: UringBench.Way
  let outcome: Outcome

  var violations: [String] {
    switch self.outcome {
    case .cost: []
    case .notMeasured(let reason):
      ["uring \(self.bench.wakeName), \(self.bench.legs) legs, \(self.way.name): \(reason)"]
    }
  }
}
