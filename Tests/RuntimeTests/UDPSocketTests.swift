import Glibc
import Handoff
import NetBase
import Runtime
import Testing

/// Over the kernel's loopback.
@Suite struct UDPSocketTests {
  static let loopbacks = ["127.0.0.1", "::1"]

  private func address(_ host: String, _ port: UInt16 = 0) throws -> SocketAddress {
    try #require(SocketAddress(host: host, port: port))
  }

  private func bytes(_ batch: PacketBatch, _ index: Int) -> [UInt8] {
    batch.withPacket(index) { $0.bytes.copied() }
  }

  /// Fills the batch, waiting a second at most.
  private func receive(_ batch: PacketBatch, from socket: borrowing UDPSocket) {
    for _ in 0..<1000 {
      batch.fill(from: socket)
      if batch.count > 0 { return }
      usleep(1000)
    }
  }

  @Test("a datagram arrives whole, with its source", arguments: Self.loopbacks)
  func roundTrip(host: String) throws {
    let left = try UDPSocket(try self.address(host))
    let right = try UDPSocket(try self.address(host))
    #expect(left.localAddress.port != 0 && left.localAddress.host == host)
    let batch = PacketBatch(slots: 4)
    batch.fill(from: right)
    #expect(batch.count == 0)
    for size in [1, 0, 160, 1400, 2048] {
      let sent = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
      let target = right.localAddress
      let result = sent.withRawSpan { left.send($0, to: target) }
      #expect(result == .sent)
      self.receive(batch, from: right)
      #expect(batch.count == 1 && batch.source(0) == left.localAddress && !batch.isTruncated(0))
      #expect(self.bytes(batch, 0) == sent)
    }
  }

  @Test("the kernel tells when a datagram came, where it was asked to and nowhere else", arguments: Self.loopbacks)
  func arrivals(host: String) throws {
    let left = try UDPSocket(try self.address(host))
    let right = try UDPSocket(try self.address(host))
    let target = right.localAddress
    let batch = PacketBatch(slots: 4)
    func send(_ count: Int) {
      for number in 0..<count { _ = [UInt8(number)].withRawSpan { left.send($0, to: target) } }
    }
    send(1)
    self.receive(batch, from: right)
    #expect(batch.count == 1 && batch.arrival(0) == nil, "no room was made")
    batch.takeArrivals()
    send(1)
    self.receive(batch, from: right)
    #expect(batch.count == 1 && batch.arrival(0) == nil, "the socket was not asked")

    right.stampArrivals()
    // The kernel begins to take the time a moment after it was asked for the first time on the machine.
    usleep(50_000)
    for _ in 0..<3 {
      let before = wallClockNanoseconds()
      send(4)
      let after = wallClockNanoseconds()
      usleep(20_000)
      self.receive(batch, from: right)
      #expect(batch.count == 4)
      var times: [Int64] = []
      for index in 0..<4 { if let time = batch.arrival(index) { times.append(time) } }
      #expect(times.count == 4 && times == times.sorted())
      // Clocks of two processors may differ by a little.
      #expect(times.allSatisfy { $0 > before - 1_000_000 && $0 < after + 1_000_000 }, "\(before) \(times) \(after)")
    }
    // Another socket's datagram in the same batch, after one that had a time.
    let quiet = try UDPSocket(try self.address(host))
    let other = quiet.localAddress
    _ = [1].withRawSpan { left.send($0, to: other) }
    self.receive(batch, from: quiet)
    #expect(batch.count == 1 && batch.arrival(0) == nil)
    [1, 2].withRawSpan { batch.fill(with: $0, from: target) }
    #expect(batch.arrival(0) == nil, "it did not come from the kernel")
  }

  @Test("one receive brings as many as there is room for, in order", arguments: Self.loopbacks)
  func batches(host: String) throws {
    let left = try UDPSocket(try self.address(host))
    let right = try UDPSocket(try self.address(host))
    let target = right.localAddress
    for number in 0..<40 { _ = [UInt8(number), 1, 2].withRawSpan { left.send($0, to: target) } }
    let batch = PacketBatch(slots: 32)
    self.receive(batch, from: right)
    #expect(batch.count == 32 && batch.isFull)
    for index in 0..<32 { #expect(self.bytes(batch, index) == [UInt8(index), 1, 2]) }
    self.receive(batch, from: right)
    #expect(batch.count == 8 && !batch.isFull)
    #expect(self.bytes(batch, 7) == [39, 1, 2])
  }

  @Test("datagrams that were put into a batch leave by one send, each to where it goes", arguments: Self.loopbacks)
  func sendsBatches(host: String) throws {
    let left = try UDPSocket(try self.address(host))
    let right = try UDPSocket(try self.address(host))
    let far = try UDPSocket(try self.address(host))
    let targets = [right.localAddress, far.localAddress]
    let outbox = PacketBatch(slots: 4, slotSize: 100)
    for round in UInt8(0)..<2 {
      outbox.clear()
      for number in UInt8(0)..<4 {
        let isTaken = [round, number].withRawSpan { outbox.append($0, targets[Int(number % 2)]) }
        #expect(isTaken)
      }
      let isTooMuch = [9].withRawSpan { outbox.append($0, targets[0]) }
      #expect(!isTooMuch && outbox.isFull)
      // What went is not sent again.
      let (taken, result) = outbox.send(Int(round)..<4, on: left.descriptor)
      #expect(taken == 4 - Int(round) && result == .sent)
      let batch = PacketBatch(slots: 8)
      self.receive(batch, from: far)
      #expect(batch.count == 2 && batch.source(0) == left.localAddress)
      #expect(self.bytes(batch, 0) == [round, 1])
      #expect(self.bytes(batch, 1) == [round, 3])
      self.receive(batch, from: right)
      let last = 1 - Int(round)
      #expect(batch.count == last + 1)
      #expect(self.bytes(batch, last) == [round, 2])
    }
    outbox.clear()
    let isTooLong = [UInt8](repeating: 1, count: 101).withRawSpan { outbox.append($0, targets[0]) }
    #expect(!isTooLong && outbox.count == 0)
  }

  @Test("where the kernel takes none of a batch, it is said of the first", arguments: Self.loopbacks)
  func refusedBatch(host: String) throws {
    let left = try UDPSocket(try self.address(host))
    let right = try UDPSocket(try self.address(host))
    let target = right.localAddress
    let outbox = PacketBatch(slots: 4)
    // No datagram goes to port 0.
    for port in [target.port, 0, target.port] {
      _ = [1].withRawSpan { outbox.append($0, target.with(port: port)) }
    }
    let first = outbox.send(0..<3, on: left.descriptor)
    #expect(first.taken == 1 && first.result == .sent)
    let second = outbox.send(1..<3, on: left.descriptor)
    #expect(second.taken == 0 && second.result == .failed(EINVAL))
    let third = outbox.send(2..<3, on: left.descriptor)
    #expect(third.taken == 1 && third.result == .sent)
  }

  @Test("a datagram is copied from batch to batch with its source, its time, and whether its end is lost")
  func copies() throws {
    let left = try UDPSocket(try self.address("127.0.0.1"))
    let right = try UDPSocket(try self.address("127.0.0.1"))
    let target = right.localAddress
    right.stampArrivals()
    usleep(50_000)
    let batch = PacketBatch(slots: 4, slotSize: 100)
    let copy = PacketBatch(slots: 2)
    batch.takeArrivals()
    copy.takeArrivals()
    for size in [3, 101, 2] { _ = [UInt8](repeating: 7, count: size).withRawSpan { left.send($0, to: target) } }
    usleep(20_000)
    self.receive(batch, from: right)
    #expect(batch.count == 3)
    [1].withRawSpan { copy.fill(with: $0, from: target) }
    copy.clear()
    copy.append(2, of: batch)
    copy.append(1, of: batch)
    #expect(copy.isFull && copy.source(0) == left.localAddress && copy.source(1) == left.localAddress)
    #expect(self.bytes(copy, 0) == [7, 7])
    #expect(self.bytes(copy, 1).count == 100)
    #expect(!copy.isTruncated(0) && copy.isTruncated(1))
    let (times, copies) = ([batch.arrival(2), batch.arrival(1)], [copy.arrival(0), copy.arrival(1)])
    #expect(times == copies && !times.contains(nil))
    copy.clear()
    let isTaken = [5].withRawSpan { copy.append($0, target) }
    #expect(isTaken && copy.source(0) == target && copy.arrival(0) == nil)
    #expect(self.bytes(copy, 0) == [5])
  }

  @Test("a datagram longer than its slot says so, and what takes its place does not")
  func truncation() throws {
    let left = try UDPSocket(try self.address("127.0.0.1"))
    let right = try UDPSocket(try self.address("127.0.0.1"))
    let batch = PacketBatch(slots: 2, slotSize: 100)
    let target = right.localAddress
    for size in [101, 100] { _ = [UInt8](repeating: 7, count: size).withRawSpan { left.send($0, to: target) } }
    self.receive(batch, from: right)
    #expect(batch.count == 2 && batch.isTruncated(0) && !batch.isTruncated(1))
    #expect(self.bytes(batch, 0).count == 100)
    [1, 2].withRawSpan { batch.fill(with: $0, from: target) }
    #expect(batch.count == 1 && !batch.isTruncated(0) && batch.source(0) == target)
    #expect(self.bytes(batch, 0) == [1, 2])
  }

  @Test("ICMP tells that nothing listens, and of whom", arguments: Self.loopbacks)
  func refused(host: String) throws {
    let target: SocketAddress
    do {
      // A port that was free a moment ago.
      let gone = try UDPSocket(try self.address(host))
      target = gone.localAddress
    }
    let socket = try UDPSocket(try self.address(host), reportsErrors: true)
    #expect(socket.nextError() == nil)
    let result = [UInt8](repeating: 1, count: 10).withRawSpan { socket.send($0, to: target) }
    #expect(result == .sent)
    var error: SocketError?
    for _ in 0..<1000 where error == nil {
      error = socket.nextError()
      if error == nil { usleep(1000) }
    }
    #expect(error == SocketError(code: ECONNREFUSED, address: target))
    #expect(error?.description == "\(target): connection refused")
    #expect(socket.nextError() == nil)
  }

  @Test("a taken port is an error that says so", arguments: Self.loopbacks)
  func inUse(host: String) throws {
    let socket = try UDPSocket(try self.address(host))
    do throws(SocketError) {
      let second = try UDPSocket(socket.localAddress)
      Issue.record("two sockets at \(second.localAddress)")
    } catch {
      #expect(error.isAddressInUse && error.address == socket.localAddress)
      #expect(error.description == "\(socket.localAddress): address already in use")
    }
  }

  @Test("an address that is not ours can't be bound")
  func notOurs() throws {
    do throws(SocketError) {
      let socket = try UDPSocket(SocketAddress(ipv4: 0xC000_0201, port: 0))
      Issue.record("bound to \(socket.localAddress)")
    } catch { #expect(error.code == EADDRNOTAVAIL && !error.isAddressInUse) }
  }

  @Test("the type of service is on the socket", arguments: Self.loopbacks)
  func typeOfService(host: String) throws {
    let socket = try UDPSocket(try self.address(host), typeOfService: 0xB8)
    var (value, size) = (Int32(0), socklen_t(4))
    let (level, name) = host == "::1" ? (IPPROTO_IPV6, IPV6_TCLASS) : (IPPROTO_IP, IP_TOS)
    let status = unsafe getsockopt(socket.descriptor, Int32(level), name, &value, &size)
    #expect(status == 0 && value == 0xB8)
  }

  @Test("the room that is asked for is there for what comes and for what leaves")
  func buffers() throws {
    let socket = try UDPSocket(try self.address("127.0.0.1"), buffer: 8192)
    for option in [SO_RCVBUF, SO_SNDBUF] {
      var (value, size) = (Int32(0), socklen_t(4))
      let status = unsafe getsockopt(socket.descriptor, SOL_SOCKET, option, &value, &size)
      #expect(status == 0 && value == 16_384, "the kernel doubles it, for its own needs")
    }
  }

  @Test("test_network: the way to an address of our own leads from that address", arguments: Self.loopbacks)
  func route(host: String) throws {
    let source = routeSource(to: try self.address(host, 9))
    #expect(source?.host == host && source?.port == 0)
  }

  @Test("a loop is told of what arrives, until it no longer watches")
  func watched() throws {
    let loop = EventLoop.start(name: "watched")
    let heard = Locked<[[UInt8]]>([])
    let opened = Locked<SocketAddress?>(nil)
    let target = try self.address("127.0.0.1")
    final class Port {
      let socket: UDPSocket
      var watch: WatchID?
      init(_ socket: consuming UDPSocket) { self.socket = socket }
    }
    let port = LoopBound<Port>(on: loop)
    loop.execute { context in
      guard let socket = try? UDPSocket(target) else { return }
      opened.withLock { $0 = socket.localAddress }
      let owner = Port(socket)
      owner.watch = context.watch(owner.socket.descriptor) { [unowned owner] in
        context.batch.fill(from: owner.socket)
        for index in 0..<context.batch.count {
          let bytes = context.batch.withPacket(index) { $0.bytes.copied() }
          heard.withLock { $0.append(bytes) }
        }
      }
      port.put(owner)
    }
    _ = loop.sync { _ in }
    let address = try #require(opened.withLock { $0 })
    let sender = try UDPSocket(target)
    for number in 0..<100 { _ = [UInt8(number)].withRawSpan { sender.send($0, to: address) } }
    for _ in 0..<2000 where heard.withLock({ $0.count }) < 100 { usleep(1000) }
    #expect(heard.withLock { $0 } == (0..<100).map { [UInt8($0)] })
    _ = loop.sync { context in
      _ = port.withValue { if let watch = $0.watch { context.unwatch(watch, $0.socket.descriptor) } }
    }
    _ = [UInt8(100)].withRawSpan { sender.send($0, to: address) }
    usleep(20_000)
    #expect(heard.withLock { $0.count } == 100)
    _ = loop.sync { _ in _ = port.take() }
    loop.stop()
  }
}
