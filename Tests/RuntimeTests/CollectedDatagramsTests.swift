import Glibc
import Handoff
import NetBase
import Runtime
import Testing

/// What several sockets of one loop have comes to it together, and what it sends leaves together.
@Suite struct CollectedDatagramsTests {
  private static let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)

  /// A socket that the loop watches, and what its handler has found in the batch.
  private final class Watched {
    let socket: UDPSocket
    let heard = Locked<[[UInt8]]>([])
    var watch: WatchID?

    init() throws { self.socket = try UDPSocket(CollectedDatagramsTests.loopback) }

    func attach(to context: LoopContext, _ handler: @escaping () -> Void = {}) {
      self.watch = context.watch(datagramsOf: self.socket) { [unowned self] in
        context.batch.fill(from: self.socket, self.watch)
        for index in 0..<context.batch.count {
          let bytes = context.batch.withPacket(index) { $0.bytes.copied() }
          self.heard.withLock { $0.append(bytes) }
        }
        handler()
      }
    }

    func detach(from context: LoopContext) {
      if let watch { context.unwatch(watch, self.socket.descriptor) }
      self.watch = nil
    }
  }

  private func wait(_ condition: () -> Bool) {
    for _ in 0..<2000 where !condition() { usleep(1000) }
  }

  @Test("each handler is shown what its own socket had, in order, however many there are", arguments: [1, 3, 40])
  func sorted(count: Int) throws {
    let all = try (0..<count).map { _ in try Watched() }
    let targets = all.map { $0.socket.localAddress }
    let heard = all.map(\.heard)
    let loop = EventLoop.start(name: "media", batchSlots: 8)
    let parcel = Locked<Disconnected<[Watched]>?>(Disconnected(all))
    let box = LoopBound<[Watched]>(on: loop)
    let sender = try UDPSocket(Self.loopback)
    loop.execute { context in
      guard let all = parcel.withLock({ $0.take() })?.take() else { return }
      for one in all { one.attach(to: context) }
      box.put(all)
      // All of them are ready when the loop looks.
      for number in UInt8(0)..<5 {
        for (place, target) in targets.enumerated() {
          _ = [UInt8(place), number].withRawSpan { sender.send($0, to: target) }
        }
      }
    }
    self.wait { heard.allSatisfy { $0.withLock { $0.count == 5 } } }
    for (place, one) in heard.enumerated() {
      #expect(one.withLock { $0 } == (UInt8(0)..<5).map { [UInt8(place), $0] })
    }
    _ = loop.sync { context in
      box.withValue { for one in $0 { one.detach(from: context) } }
      _ = box.take()
    }
    loop.stop()
  }

  @Test("a handler that another one removes is not called, and what its socket had is shown to nobody")
  func removed() throws {
    let (first, second) = (try Watched(), try Watched())
    let targets = [first.socket.localAddress, second.socket.localAddress]
    let heard = [first.heard, second.heard]
    let loop = EventLoop.start(name: "media")
    let parcel = Locked<Disconnected<[Watched]>?>(Disconnected([first, second]))
    let box = LoopBound<[Watched]>(on: loop)
    let sender = try UDPSocket(Self.loopback)
    loop.execute { context in
      guard let pair = parcel.withLock({ $0.take() })?.take() else { return }
      // Whichever is the first removes the other.
      pair[0].attach(to: context) { [unowned other = pair[1]] in other.detach(from: context) }
      pair[1].attach(to: context) { [unowned other = pair[0]] in other.detach(from: context) }
      box.put(pair)
      for target in targets { _ = [7].withRawSpan { sender.send($0, to: target) } }
    }
    self.wait { heard.contains { $0.withLock { !$0.isEmpty } } }
    _ = loop.sync { _ in }
    #expect(heard.map { $0.withLock { $0.count } }.sorted() == [0, 1])
    _ = loop.sync { context in
      box.withValue { for one in $0 where one.watch != nil { one.detach(from: context) } }
      _ = box.take()
    }
    loop.stop()
  }

  @Test("what is sent leaves when the turn ends, in order; what the kernel does not take is its sender's to know")
  func sent() throws {
    let (one, other) = (try Watched(), try Watched())
    let target = try UDPSocket(Self.loopback)
    let address = target.localAddress
    let loop = EventLoop.start(name: "media", batchSlots: 4)
    let parcel = Locked<Disconnected<[Watched]>?>(Disconnected([one, other]))
    let early = Locked<Int?>(nil)
    let unsent = Locked<[Int]>([])
    loop.execute { context in
      guard let pair = parcel.withLock({ $0.take() })?.take() else { return }
      for watched in pair { watched.attach(to: context) }
      guard let first = pair[0].watch, let second = pair[1].watch else { return }
      for number in UInt8(0)..<3 {
        _ = [number].withRawSpan {
          context.send($0, to: address, on: pair[Int(number % 2)].socket, number == 1 ? second : first)
        }
      }
      let batch = PacketBatch(slots: 8)
      batch.fill(from: target)
      early.withLock { $0 = batch.count }
      // No datagram goes to port 0.
      _ = [9].withRawSpan { context.send($0, to: address.with(port: 0), on: pair[1].socket, second) }
      // Longer than a slot: it does not overtake what waits.
      let long = [UInt8](repeating: 4, count: 3000)
      _ = long.withRawSpan { context.send($0, to: address, on: pair[0].socket, first) }
      unsent.withLock { $0 = [context.unsent(first), context.unsent(second)] }
      for watched in pair { watched.detach(from: context) }
    }
    _ = loop.sync { _ in }
    #expect(early.withLock { $0 } == 0)
    #expect(unsent.withLock { $0 } == [0, 1])
    let batch = PacketBatch(slots: 8, slotSize: 4096)
    batch.fill(from: target)
    #expect((0..<batch.count).map { batch.withPacket($0) { $0.bytes.uint8(at: 0) } } == [0, 1, 2, 4])
    loop.stop()
  }

  @Test("while a datagram is in use nothing takes its place")
  func lent() async {
    await #expect(processExitsWith: .failure) {
      guard let socket = try? UDPSocket(SocketAddress(ipv4: 0x7F00_0001, port: 0)) else { _exit(0) }
      let batch = PacketBatch(slots: 2)
      [1].withRawSpan { batch.fill(with: $0, from: socket.localAddress) }
      batch.withPacket(0) { _ in batch.fill(from: socket) }
      _exit(0)
    }
  }
}
