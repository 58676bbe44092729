internal import CLinux
internal import Dispatch
internal import Glibc
internal import Handoff
package import NetBase
internal import Synchronization

/// One thread with its sockets and timers; also the executor of the actors that live on it.
///
/// A user agent's main loop is one, a transport's executor is another; they differ in what they run. A loop on a
/// virtual clock has no thread: whoever holds it turns it.
package final class EventLoop: SerialExecutor, Sendable {
  private enum Item {
    case job(UnownedJob)
    case work((LoopContext) -> Void)
    case signal(WatchID)
    case stop
  }

  private struct Inbox {
    var items: [Item] = []
    var isOpen = true
    /// Whether the loop runs nothing any more; until then it takes jobs, also once it is not open.
    var hasEnded = false
  }

  private let inbox = Locked(Inbox())
  private let signals = SignalCount()
  private let wakeup = eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC))
  private let owner = Atomic<UInt>(0)
  private let thread = Locked<Thread?>(nil)
  /// Touched by the loop's thread only, and after its end by one late job at a time, which `withContext` checks.
  private nonisolated(unsafe) let context: LoopContext
  private let clock: Clock
  /// Runs the jobs that come after a loop's end, those of all such loops one after another.
  private static let lateJobs = DispatchQueue(label: "apus.late-jobs")

  private init(clock: Clock, batchSlots: Int) {
    self.clock = clock
    unsafe self.context = LoopContext(
      wake: self.wakeup, signals: self.signals, clock: clock, batchSlots: batchSlots)
  }

  deinit { close(self.wakeup) }

  /// Starts a loop on a thread of its own.
  ///
  /// - Parameter batchSlots: how many datagrams one receive may bring.
  package static func start(name: String, batchSlots: Int = 32) -> EventLoop {
    guard let loop = self.startIfPossible(name: name, batchSlots: batchSlots) else {
      preconditionFailure("no descriptors or threads for a loop")
    }
    return loop
  }

  /// The same where the process may be at its limits: nil when it has no descriptors or no thread left.
  package static func startIfPossible(name: String, batchSlots: Int = 32) -> EventLoop? {
    let loop = EventLoop(clock: .monotonic, batchSlots: batchSlots)
    guard loop.wakeup >= 0, unsafe loop.context.isUsable else { return nil }
    let isStarted = loop.thread.withLock { thread in
      thread = Thread(name: name) { loop.run() }
      return thread != nil
    }
    return isStarted ? loop : nil
  }

  /// A loop without a thread, on a virtual clock; `turn` runs it on the caller's thread.
  package static func simulated(clock: VirtualClock) -> EventLoop {
    EventLoop(clock: .virtual(clock), batchSlots: 8)
  }

  package var isCurrent: Bool { self.owner.load(ordering: .relaxed) == UInt(pthread_self()) }

  package var now: Instant { self.clock.now }

  // MARK: From any thread

  /// Runs `job` on the loop, later; elsewhere when the loop has ended, for an actor may outlive it, and a job that was
  /// lost would hang its task.
  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if !self.add(isJob: true, { $0.append(.job(job)) }) { self.runLate(job) }
  }

  package func checkIsolated() { precondition(self.isCurrent, "not on this loop's thread") }

  package func isIsolatingCurrentContext() -> Bool? { self.isCurrent }

  /// Runs `work` on the loop, later; false when the loop has stopped.
  ///
  /// What `work` captures goes over to the loop, so it may be values that no one else holds.
  @discardableResult
  package func execute(_ work: sending @escaping (LoopContext) -> Void) -> Bool {
    var parcel: Disconnected<(LoopContext) -> Void>? = Disconnected(work)
    return self.add { items in
      if let parcel = parcel.take() { items.append(.work(parcel.take())) }
    }
  }

  package func signal(_ id: WatchID) {
    self.signals.add()
    _ = self.add { $0.append(.signal(id)) }
  }

  /// Runs `body` on the loop and waits for it; at once when already there.
  ///
  /// Main may wait for a transport's executor. A transport's executor never waits for anyone.
  package func sync<Result: Sendable>(
    _ body: @escaping @Sendable (LoopContext) -> Result
  ) -> Result? {
    if self.isCurrent { return self.withContext(body) }
    let gate = Gate<Result>()
    guard self.execute({ gate.open(body($0)) }) else { return nil }
    return gate.wait()
  }

  /// Asks the loop to end; what was posted before still runs.
  package func requestStop() {
    _ = self.add(isLast: true) { $0.append(.stop) }
  }

  /// After this returns nothing runs on the loop, and its thread is gone; jobs of actors that outlive it run elsewhere.
  package func stop() {
    precondition(!self.isCurrent, "a loop cannot wait for itself")
    self.requestStop()
    self.thread.withLock { thread in
      thread?.join()
      thread = nil
    }
  }

  // MARK: On the loop's thread

  package func withContext<Result>(_ body: (LoopContext) throws -> Result) rethrows -> Result {
    self.checkIsolated()
    return try unsafe body(self.context)
  }

  /// Runs what was posted and the timers that are due, on the caller's thread; false when there was nothing to do.
  ///
  /// For loops on a virtual clock only.
  package func turn() -> Bool {
    guard case .virtual = self.clock else { preconditionFailure("this loop has a thread of its own") }
    return self.asOwner { context in
      let isWoken = self.drain(context).hadItems
      let hasRun = context.runTimers()
      context.endTurn()
      return hasRun || isWoken
    }
  }

  /// Runs `body` as the loop; for loops on a virtual clock only.
  package func asOwner<Result>(_ body: (LoopContext) throws -> Result) rethrows -> Result {
    guard case .virtual = self.clock else { preconditionFailure("this loop has a thread of its own") }
    let previous = self.owner.exchange(UInt(pthread_self()), ordering: .relaxed)
    defer { self.owner.store(previous, ordering: .relaxed) }
    return try self.withContext(body)
  }

  /// Forgets what was posted, watched and armed, as the end of a thread does; for loops on a virtual clock only.
  package func discard() {
    self.asOwner { $0.removeAll() }
    self.inbox.withLock { inbox in
      inbox.items = []
      (inbox.isOpen, inbox.hasEnded) = (false, true)
    }
  }

  /// When the next timer of a loop on a virtual clock is due.
  package var nextDeadline: Instant? { self.asOwner { $0.nextDeadline } }

  private func add(isLast: Bool = false, isJob: Bool = false, _ append: (inout [Item]) -> Void) -> Bool {
    let (isTaken, isFirst) = self.inbox.withLock { inbox in
      guard isJob ? !inbox.hasEnded : inbox.isOpen else { return (false, false) }
      append(&inbox.items)
      if isLast { inbox.isOpen = false }
      return (true, inbox.items.count == 1)
    }
    if isFirst { _ = eventfd_write(self.wakeup, 1) }
    return isTaken
  }

  private func run() {
    self.owner.store(UInt(pthread_self()), ordering: .relaxed)
    self.withContext { context in
      var isRunning = true
      while isRunning {
        if context.poll() {
          var count: eventfd_t = 0
          _ = unsafe eventfd_read(self.wakeup, &count)
          isRunning = !self.drain(context).isStopped
        }
        _ = context.runTimers()
        context.endTurn()
      }
      context.removeAll()
    }
    self.owner.store(0, ordering: .relaxed)
    // Jobs that have met the stop. From here on the loop is that of whoever runs them.
    let late = self.inbox.withLock { inbox in
      inbox.hasEnded = true
      let taken = inbox.items
      inbox.items = []
      return taken
    }
    for case .job(let job) in late { self.runLate(job) }
  }

  private func runLate(_ job: UnownedJob) {
    Self.lateJobs.async {
      self.owner.store(UInt(pthread_self()), ordering: .relaxed)
      unsafe job.runSynchronously(on: self.asUnownedSerialExecutor())
      self.owner.store(0, ordering: .relaxed)
    }
  }

  private func drain(_ context: LoopContext) -> (hadItems: Bool, isStopped: Bool) {
    var items = self.inbox.withLock { inbox in
      let taken = inbox.items
      inbox.items = []
      return taken
    }
    let hadItems = !items.isEmpty
    var isStopped = false
    for item in items {
      switch item {
      case .job(let job): unsafe job.runSynchronously(on: self.asUnownedSerialExecutor())
      case .work(let work): work(context)
      case .signal(let id): context.handle(id.token)
      case .stop: isStopped = true
      }
    }
    items.removeAll()
    return (hadItems, isStopped)
  }
}
