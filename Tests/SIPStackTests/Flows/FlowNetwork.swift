internal import NetBase
internal import SIPStack

/// Agents on one virtual clock, and a network between them that loses, copies, delays and reorders datagrams, and breaks
/// connections.
final class FlowNetwork {
  private struct Item {
    let at: Instant
    let order: Int
    let body: () -> Void
  }

  /// What may go wrong on the way, and what users may forget.
  struct Faults {
    /// Percent of datagrams that are lost, and that are doubled.
    var loss = 0
    var copies = 0
    /// The longest delay in milliseconds.
    var jitter = 0
    /// Whether connections break now and then.
    var breaks = false
    /// Whether users forget what they owe.
    var isCareless = false
    /// Whether somebody has a wrong password.
    var hasStranger = false
    /// Whether an agent dies, or is restarted.
    var hasDeath = false

    /// Nothing that a call may end of but its users: what is lost now and then comes again in time.
    var isClean: Bool {
      self.loss <= 3 && !self.breaks && !self.isCareless && !self.hasStranger && !self.hasDeath
    }

    /// Nothing is lost, and what is sent first arrives first.
    var isOrderly: Bool { self.isClean && self.loss == 0 && self.jitter == 0 }
  }

  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  var dice: FlowDice
  var faults = Faults()
  /// What the flow was made with: `faults` are lifted in the end.
  var plan = Faults()
  /// Whether the registrar grants less than it is asked for, and whether the forker stays on the way. These have dice of
  /// their own, so that most of the older seeds mean what they meant.
  let isStingy: Bool
  let isRecorded: Bool
  var agents: [FlowAgent] = []
  /// An element that sends what it gets to several agents; it is asked before any agent.
  var forker: FlowForker?
  /// How many calls may still begin: transfers beget transfers.
  var energy = 10
  var connections: [FlowConnection] = []
  private var heap: [Item] = []
  private var order = 0
  private(set) var steps = 0
  /// What must not happen, in words.
  private(set) var violations: [String] = []
  /// Everything that was sent and told, when it is asked for.
  var trace: [String]?
  private var sendings: [[UInt8]: Int] = [:]
  /// Nonces with their counts, as they were used.
  var credentials: Set<String> = []

  init(seed: UInt64) {
    self.dice = FlowDice(seed: seed)
    // Not so for the seeds of `onceFailed`.
    var dice = FlowDice(seed: seed &+ 410 << 32)
    (self.isStingy, self.isRecorded) = (dice.chance(33), dice.chance(40))
  }

  func violate(_ what: String) {
    self.violations.append(what)
    self.note("VIOLATION \(what)")
  }

  func note(_ line: @autoclosure () -> String) {
    guard self.trace != nil else { return }
    self.trace?.append("\(self.now.nanoseconds / 1_000_000) \(line())")
  }

  func after(_ milliseconds: Int, _ body: @escaping () -> Void) {
    self.push(self.now.advanced(byMilliseconds: Int64(milliseconds)), body)
  }

  /// Does something at that moment, after what was asked for before.
  func push(_ at: Instant, _ body: @escaping () -> Void) {
    self.order += 1
    self.heap.append(Item(at: at, order: self.order, body: body))
    var child = self.heap.count - 1
    while child > 0, self.isBefore(child, (child - 1) / 2) {
      self.heap.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  // MARK: Datagrams

  /// Sends one datagram on its way; a safe one always arrives.
  func send(_ bytes: [UInt8], to: SocketAddress, from: SocketAddress, isSafe: Bool = false) {
    if isSafe { return self.fly(bytes, to: to, from: from, spread: 0) }
    if !self.dice.chance(self.faults.loss) { self.fly(bytes, to: to, from: from, spread: self.faults.jitter) }
    if self.dice.chance(self.faults.copies) { self.fly(bytes, to: to, from: from, spread: 2_000) }
  }

  private func fly(_ bytes: [UInt8], to: SocketAddress, from: SocketAddress, spread: Int) {
    let delay = 5 + self.dice.roll(0...spread)
    self.after(delay) { [unowned self] in
      if let forker, forker.address == to { return forker.receive(bytes, from: from) }
      self.agent(at: to)?.receive(bytes, SIPPath(peer: from, local: to, transport: .udp))
    }
  }

  func agent(at address: SocketAddress) -> FlowAgent? {
    self.agents.first { !$0.isDead && $0.address == address }
  }

  /// How often this very message has been sent, with this time.
  func count(_ bytes: [UInt8]) -> Int {
    self.sendings[bytes, default: 0] += 1
    return self.sendings[bytes, default: 0]
  }

  // MARK: Time

  /// Runs until `limit`, or until nothing is left.
  func run(until limit: Instant?) {
    while self.step(limit) {
      guard self.steps < 100_000 else { return self.violate("it does not end") }
    }
    if let limit { self.now = max(self.now, limit) }
  }

  func run(seconds: Int64) { self.run(until: self.now.advanced(byMilliseconds: seconds * 1_000)) }

  private func step(_ limit: Instant?) -> Bool {
    var next = self.heap.first?.at
    for agent in self.agents {
      guard !agent.isDead, let deadline = agent.endpoint.nextDeadline else { continue }
      next = next.map { min($0, deadline) } ?? deadline
    }
    guard let next, limit.map({ next <= $0 }) ?? true else { return false }
    self.steps += 1
    self.now = max(self.now, next)
    if let first = self.heap.first, first.at <= self.now {
      self.pop().body()
    } else {
      for agent in self.agents where !agent.isDead { agent.endpoint.timeout(now: self.now) }
    }
    for agent in self.agents { agent.drain() }
    return true
  }

  private func pop() -> Item {
    self.heap.swapAt(0, self.heap.count - 1)
    let item = self.heap.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < self.heap.count && self.isBefore(child, least) {
        least = child
      }
      guard least != parent else { return item }
      self.heap.swapAt(parent, least)
      parent = least
    }
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (self.heap[left].at, self.heap[left].order) < (self.heap[right].at, self.heap[right].order)
  }
}
