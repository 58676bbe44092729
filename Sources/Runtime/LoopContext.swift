internal import CLinux
internal import Glibc
package import NetBase

package struct WatchID: Hashable, Sendable {
  let token: UInt64
}

/// What a loop owns and only its thread may touch: descriptors, timers, ports and the batch.
///
/// Not `Sendable`, and reachable only through `EventLoop.withContext` and friends, so handlers may capture whatever
/// lives on this thread. Tokens are never used twice: an event of something that was removed a moment ago finds no
/// handler.
package final class LoopContext {
  package let batch: PacketBatch
  private var workspace = Workspace()
  private let clock: Clock
  private let signals: SignalCount
  private let epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
  private let alarm = timerfd_create(CLOCK_MONOTONIC, Int32(TFD_NONBLOCK | TFD_CLOEXEC))
  private var handlers = SlotTable<Handler>()
  private var timers = TimerHeap()
  private var armed: Instant?
  /// Tokens of the handlers that are to be called when the turn ends.
  private var endings: [UInt64] = []
  /// What leaves when the turn ends.
  private var outbox: Outbox
  /// Nanoseconds.
  private static let grain: Int64 = 1_000_000

  /// A closure in a generic table would be wrapped in another one.
  private struct Handler {
    let call: () -> Void
    /// That of a socket whose datagrams are collected; else -1.
    var datagrams: Int32 = -1
    /// Datagrams of its own that the kernel did not take.
    var unsent = 0
  }

  init(wake: Int32, signals: SignalCount, clock: Clock, batchSlots: Int) {
    self.clock = clock
    self.signals = signals
    self.batch = PacketBatch(slots: batchSlots)
    self.outbox = Outbox(slots: batchSlots)
    clinux_epoll_add(self.epoll, wake, 0)
    // What is armed next may be due at the same instant, which has passed.
    let id = self.register { [unowned self] in self.armed = nil }
    clinux_epoll_add_timer(self.epoll, self.alarm, id.token)
  }

  /// Whether there were descriptors for it.
  var isUsable: Bool { self.epoll >= 0 && self.alarm >= 0 }

  deinit {
    close(self.epoll)
    close(self.alarm)
  }

  package var now: Instant { self.clock.now }

  /// How often other threads have signalled so far. Where it is what it was, nobody has posted anything that was signalled;
  /// and unlike the mailbox, in memory of its own, it is always near.
  package var signalCount: Int { self.signals.count }

  /// Takes out the loop's workspace, for whoever runs while it runs; nothing is copied.
  package func takeWorkspace() -> Workspace {
    var taken = Workspace()
    swap(&taken, &self.workspace)
    if taken.packet.isEmpty { taken.packet = Array(repeating: 0, count: Workspace.packetLength) }
    return taken
  }

  package func giveBack(_ workspace: consuming Workspace) { self.workspace = workspace }

  /// Runs `handler` whenever the descriptor can be read or has an error.
  package func watch(_ descriptor: Int32, _ handler: @escaping () -> Void) -> WatchID {
    let id = self.register(handler)
    clinux_epoll_add(self.epoll, descriptor, id.token)
    return id
  }

  /// Runs `handler` whenever the socket has datagrams, which are in the loop's batch by then: `PacketBatch.fill` shows them.
  package func watch(datagramsOf socket: borrowing UDPSocket, _ handler: @escaping () -> Void) -> WatchID {
    let id = WatchID(token: self.handlers.add(Handler(call: handler, datagrams: socket.descriptor)))
    clinux_epoll_add(self.epoll, socket.descriptor, id.token)
    return id
  }

  /// Sends a datagram when the turn ends, or as soon as many wait; at once where it is very long.
  ///
  /// - Parameter id: the handler whose datagram it is, to be asked for by `unsent`.
  package func send(_ bytes: RawSpan, to address: SocketAddress, on socket: borrowing UDPSocket, _ id: WatchID)
    -> SendResult
  {
    if self.outbox.isFull { self.flush() }
    if self.outbox.append(bytes, to: address, on: socket.descriptor, for: id) { return .sent }
    self.flush()
    return socket.send(bytes, to: address)
  }

  /// How many datagrams that `send` took the kernel did not take.
  package func unsent(_ id: WatchID) -> Int { self.handlers[id.token]?.unsent ?? 0 }

  /// Sends what waits for the end of the turn.
  package func flush() {
    self.outbox.flush { id in _ = self.handlers.update(id.token) { $0.unsent += 1 } }
  }

  /// Whether the handler of a watched descriptor also runs whenever there is room to write; at first it does not.
  package func awaitWriting(_ isWanted: Bool, _ id: WatchID, _ descriptor: Int32) {
    clinux_epoll_await_writing(self.epoll, descriptor, id.token, isWanted)
  }

  package func unwatch(_ id: WatchID, _ descriptor: Int32) {
    self.handlers.remove(id.token)
    _ = epoll_ctl(self.epoll, EPOLL_CTL_DEL, descriptor, nil)
  }

  /// A handler that other threads may trigger with `EventLoop.signal`.
  package func register(_ handler: @escaping () -> Void) -> WatchID {
    WatchID(token: self.handlers.add(Handler(call: handler)))
  }

  package func unregister(_ id: WatchID) { self.handlers.remove(id.token) }

  /// A timer that is armed as often as one likes.
  package func makeTimer(_ handler: @escaping () -> Void) -> TimerID {
    self.timers.add(handler)
  }

  /// Calls the timer's handler once at `deadline`, instead of whenever it was armed for.
  package func arm(_ id: TimerID, at deadline: Instant) { self.timers.arm(id, at: deadline) }

  package func disarm(_ id: TimerID) { self.timers.disarm(id) }

  /// The handler is released, and never called again.
  package func remove(_ id: TimerID) { _ = self.timers.remove(id) }

  /// Calls `handler` once at `deadline`.
  package func schedule(at deadline: Instant, _ handler: @escaping () -> Void) {
    self.timers.arm(self.timers.add(isOnce: true, handler), at: deadline)
  }

  var nextDeadline: Instant? { self.timers.nextDeadline }

  /// Calls the handler of a port or descriptor, as if it had been signalled.
  package func handle(_ id: WatchID) { self.handle(id.token) }

  func handle(_ token: UInt64) { self.handlers[token]?.call() }

  /// Runs the timers that are due; false when none was.
  func runTimers() -> Bool {
    guard let first = self.timers.nextDeadline else { return false }
    let now = self.now
    guard first <= now else { return false }
    var hasRun = false
    while let handler = self.timers.popDue(now: now) {
      handler()
      hasRun = true
    }
    return hasRun
  }

  /// Calls the handler of `id` once all that this turn of the loop brings was handled, what such handlers ask for too.
  package func handleAtEndOfTurn(_ id: WatchID) { self.endings.append(id.token) }

  func endTurn() {
    var next = 0
    while next < self.endings.count {
      self.handle(self.endings[next])
      next += 1
    }
    if next > 0 { self.endings.removeAll(keepingCapacity: true) }
    self.flush()
  }

  /// Waits for events and handles them; true when the wake descriptor was among them.
  func poll() -> Bool {
    self.arm()
    var isWoken = false
    unsafe withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: 64) { events in
      let count = unsafe epoll_wait(self.epoll, events.baseAddress, 64, -1)
      for index in 0..<max(0, Int(count)) {
        let token = unsafe events[index].data.u64
        if token == 0 { isWoken = true } else { self.handleEvent(token) }
      }
    }
    self.handleCollected()
    return isWoken
  }

  private func handleEvent(_ token: UInt64) {
    guard let descriptor = self.handlers[token]?.datagrams, descriptor >= 0 else { return self.handle(token) }
    guard !self.batch.collect(descriptor, for: token) else { return }
    self.handleCollected()
    // Whoever had the descriptor may have closed it meanwhile.
    self.handleEvent(token)
  }

  /// Has everyone take what was collected; who takes nothing, or is gone meanwhile, wants nothing.
  private func handleCollected() {
    var next = 0
    while next < self.batch.collectionCount {
      self.handle(self.batch.token(ofCollection: next))
      next += 1
    }
    if next > 0 { self.batch.discardCollected() }
  }

  func removeAll() {
    let (handlers, timers) = (self.handlers, self.timers)
    (self.handlers, self.timers) = (SlotTable(), TimerHeap())
    // Only now are they released, for what they hold may look for its timer when it ends.
    _ = (consume handlers, consume timers)
  }

  /// The kernel wakes the loop at whole milliseconds only: a wake-up costs more than all that a tick does, and what is due
  /// within the same one shares it. A timer is late by less than that, and always by the same.
  private func arm() {
    guard let deadline = self.timers.nextDeadline else { return }
    let next = Instant(nanoseconds: (deadline.nanoseconds + Self.grain - 1) / Self.grain * Self.grain)
    guard next != self.armed else { return }
    self.armed = next
    var spec = itimerspec()
    spec.it_value.tv_sec = Int(max(0, next.nanoseconds) / 1_000_000_000)
    spec.it_value.tv_nsec = Int(max(1, next.nanoseconds) % 1_000_000_000)
    _ = unsafe timerfd_settime(self.alarm, Int32(TFD_TIMER_ABSTIME), &spec, nil)
  }
}
