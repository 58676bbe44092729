internal import Glibc
internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import Synchronization

/// A pair of UDP sockets that the transports of one loop have between them (`rtp_single_port`). Lives on that loop.
///
/// What has come is read by `recvmmsg`, sorted by `DatagramRouting`, and copied by each port into the loop's batch.
/// What leaves by RTP's socket waits until the loop's turn ends, and goes by one `sendmmsg`; the few datagrams of RTCP's go at
/// once. Neither allocates.
///
/// The loop's handlers are there while a port is attached: without one nobody listens.
final class SharedSocket {
  /// One transport's end of one of the two sockets.
  private struct End {
    var handler: WatchID?
    // Which datagrams of the batch are its own: `next` leads from the first to the last; -1 is none.
    var first = -1
    var last = -1
  }

  /// Datagrams in one receive.
  static let slots = 64
  /// Datagrams that wait for their owners: with 50 calls that begin, two of each.
  private static let parking = 128
  /// Receives in a row, before the loop's other sockets have their turn.
  private static let rounds = 4
  /// More datagrams than the kernel keeps for a socket.
  private static let longestQueue = 16_384

  private let rtp: UDPSocket
  private let rtcp: UDPSocket
  private let tally: SharedTally
  private let batch = PacketBatch(slots: SharedSocket.slots)
  private var next = [Int](repeating: -1, count: SharedSocket.slots)
  /// Ends that have datagrams in the batch.
  private var receivers: [Int] = []
  private var routing = DatagramRouting()
  /// Two for each member of the table: for RTP and for RTCP.
  private var ends: [End] = []
  /// The members by the numbers of their ports.
  private var members: [UInt64: Int] = [:]
  private var parkedRTP = ParkedPackets(capacity: SharedSocket.parking)
  private var parkedRTCP = ParkedPackets(capacity: SharedSocket.parking)
  private var hasServed = false
  /// Whether what is parked may be somebody's now.
  private var hasNewClaims = false
  /// While a port is attached.
  private var context: LoopContext?
  private var watches: (rtp: WatchID, rtcp: WatchID, endOfTurn: WatchID)?

  init(_ rtp: consuming UDPSocket, _ rtcp: consuming UDPSocket, tally: SharedTally) {
    self.rtp = rtp
    self.rtcp = rtcp
    self.tally = tally
    self.receivers.reserveCapacity(Self.slots)
  }

  // MARK: Ports

  /// - Returns: the end that the port is from now on.
  func attach(
    _ number: UInt64, _ component: Component, to context: LoopContext, _ handler: @escaping () -> Void
  ) -> Int {
    if self.context == nil { self.open(in: context) }
    let member = self.members[number] ?? self.routing.add()
    self.members[number] = member
    while self.ends.count < 2 * (member + 1) { self.ends.append(End()) }
    let end = Self.end(of: member, component)
    self.ends[end] = End(handler: context.register(handler))
    return end
  }

  /// - Returns: how many of the datagrams that the end has sent the kernel did not take.
  func detach(_ number: UInt64, _ end: Int, from context: LoopContext) -> Int {
    context.flush()
    let unsent = self.unsent(by: end)
    if let handler = self.ends[end].handler { context.unregister(handler) }
    self.ends[end] = End()
    if self.ends[end ^ 1].handler == nil, let member = self.members.removeValue(forKey: number) {
      self.routing.remove(member, now: context.now)
    }
    if self.members.isEmpty { self.close(in: context) }
    return unsent
  }

  func claim(_ claim: DatagramClaim, for end: Int) -> Bool {
    let before = self.routing.news
    guard self.routing.claim(claim, for: end / 2) else { return false }
    if self.routing.news != before, self.parkedRTP.count + self.parkedRTCP.count > 0 {
      if !self.hasNewClaims, let context, let watches { context.handleAtEndOfTurn(watches.endOfTurn) }
      self.hasNewClaims = true
    }
    return true
  }

  func unsent(by end: Int) -> Int { self.ends[end].handler.flatMap { self.context?.unsent($0) } ?? 0 }

  func stampArrivals(in context: LoopContext) {
    self.rtp.stampArrivals()
    self.batch.takeArrivals()
    context.batch.takeArrivals()
  }

  private static func end(of member: Int, _ component: Component) -> Int { 2 * member + component.rawValue }

  private func open(in context: LoopContext) {
    self.context = context
    // What came since the last of them left is of calls that are over; what comes to the first is its own.
    if self.hasServed { for component in Component.allCases { self.discard(component) } }
    self.hasServed = true
    self.watches = (
      rtp: context.watch(self.rtp.descriptor) { [unowned self] in self.receive(.rtp) },
      rtcp: context.watch(self.rtcp.descriptor) { [unowned self] in self.receive(.rtcp) },
      endOfTurn: context.register { [unowned self] in self.endTurn() }
    )
  }

  private func close(in context: LoopContext) {
    if let watches {
      context.unwatch(watches.rtp, self.rtp.descriptor)
      context.unwatch(watches.rtcp, self.rtcp.descriptor)
      context.unregister(watches.endOfTurn)
    }
    (self.watches, self.context) = (nil, nil)
    self.hasNewClaims = false
    self.parkedRTP = ParkedPackets(capacity: SharedSocket.parking)
    self.parkedRTCP = ParkedPackets(capacity: SharedSocket.parking)
  }

  // MARK: Receiving

  private func receive(_ component: Component) {
    for _ in 0..<Self.rounds {
      guard let context else { return }
      self.fill(component)
      self.sort(component, now: context.now)
      self.deliver()
      guard self.batch.isFull else { return }
    }
  }

  private func fill(_ component: Component) {
    switch component {
    case .rtp: self.batch.fill(from: self.rtp)
    case .rtcp: self.batch.fill(from: self.rtcp)
    }
  }

  private func discard(_ component: Component) {
    for _ in 0..<Self.longestQueue / Self.slots {
      self.fill(component)
      self.tally.count(self.batch.count)
      guard self.batch.isFull else { return }
    }
  }

  private func sort(_ component: Component, now: Instant) {
    self.routing.isExpecting = self.tally.isExpecting
    for index in 0..<self.batch.count {
      let source = self.batch.source(index)
      // What was cut would come back as if it were whole.
      let isWhole = !self.batch.isTruncated(index)
      self.batch.withPacket(index) { packet in
        if let member = self.routing.route(packet.bytes, from: source, now: now) {
          self.give(index, to: Self.end(of: member, component))
        } else {
          self.tally.count(1)
          if isWhole, self.routing.isAwaited { self.park(packet, from: source, component, now: now) }
        }
      }
    }
  }

  private func give(_ index: Int, to end: Int) {
    guard self.ends[end].handler != nil else { return self.tally.count(1) }
    self.next[index] = -1
    if self.ends[end].last < 0 {
      self.ends[end].first = index
      self.receivers.append(end)
    } else {
      self.next[self.ends[end].last] = index
    }
    self.ends[end].last = index
  }

  /// Calls the handler of each port that has something, which takes it; once, unless the loop's batch is too small.
  private func deliver() {
    for place in self.receivers.indices {
      let end = self.receivers[place]
      while let context, let handler = self.ends[end].handler, self.ends[end].first >= 0 {
        let first = self.ends[end].first
        context.handle(handler)
        // Whoever takes nothing wants nothing.
        if self.ends[end].first == first { (self.ends[end].first, self.ends[end].last) = (-1, -1) }
      }
    }
    self.receivers.removeAll(keepingCapacity: true)
  }

  /// Copies what has come for an end, as much as there is room for.
  func take(_ end: Int, into batch: PacketBatch) {
    batch.clear()
    var index = self.ends[end].first
    while index >= 0, !batch.isFull {
      batch.append(index, of: self.batch)
      index = self.next[index]
    }
    self.ends[end].first = index
    if index < 0 { self.ends[end].last = -1 }
  }

  // MARK: What outran its claim

  private func park(
    _ packet: borrowing Packet, from source: SocketAddress, _ component: Component, now: Instant
  ) {
    switch component {
    case .rtp: self.parkedRTP.park(packet, from: source, now: now)
    case .rtcp: self.parkedRTCP.park(packet, from: source, now: now)
    }
  }

  /// Sorts what is parked once more; what is still nobody's goes on to wait.
  private func sortParked(_ component: Component, now: Instant) {
    repeat { self.sortBatch(component, now: now) } while self.batch.isFull
  }

  /// As much of what is parked as the batch takes.
  private func sortBatch(_ component: Component, now: Instant) {
    var parked = ParkedPackets(capacity: SharedSocket.parking)
    switch component {
    case .rtp: swap(&parked, &self.parkedRTP)
    case .rtcp: swap(&parked, &self.parkedRTCP)
    }
    self.batch.clear()
    self.routing.isExpecting = self.tally.isExpecting
    parked.drain(now: now) { packet, source, arrival in
      if !self.batch.isFull, let member = self.routing.route(packet.bytes, from: source, now: now),
        self.batch.append(packet.bytes, source)
      {
        self.tally.count(-1)
        self.give(self.batch.count - 1, to: Self.end(of: member, component))
      } else {
        self.park(packet, from: source, component, now: arrival)
      }
    }
    self.deliver()
  }

  // MARK: Sending

  func send(_ bytes: RawSpan, to address: SocketAddress, from end: Int) -> SendResult {
    if case .stun = PacketClass(bytes), let message = STUNMessage(bytes), case .request = message.messageClass {
      self.routing.expectAnswer(message.id, for: end / 2)
    }
    guard end % 2 == Component.rtp.rawValue else { return self.rtcp.send(bytes, to: address) }
    guard let context, let handler = self.ends[end].handler else { return .failed(EBADF) }
    return context.send(bytes, to: address, on: self.rtp, handler)
  }

  private func endTurn() {
    guard self.hasNewClaims, let context else { return }
    self.hasNewClaims = false
    for component in Component.allCases { self.sortParked(component, now: context.now) }
  }
}

/// What main and the loop of a shared socket let each other know.
final class SharedTally: Sendable {
  private let nobodys = Atomic<Int>(0)
  private let expected = Atomic<Int>(0)

  /// Whether a port that main has made is still on its way to the loop: its peer may be quicker.
  var isExpecting: Bool { self.expected.load(ordering: .acquiring) > 0 }

  func expect(_ ports: Int) { self.expected.add(ports, ordering: .acquiringAndReleasing) }

  /// Datagrams that are nobody's; those that wait for a claim are among them until it comes.
  var unclaimed: Int { self.nobodys.load(ordering: .relaxed) }

  func count(_ datagrams: Int) { self.nobodys.add(datagrams, ordering: .relaxed) }
}
