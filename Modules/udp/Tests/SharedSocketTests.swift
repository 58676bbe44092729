import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing
import udp

/// The two ports of one transport, on their loop, with what came to them.
private struct Member: Sendable {
  final class Ports {
    let rtp: any DatagramPort
    let rtcp: any DatagramPort

    init(_ rtp: any DatagramPort, _ rtcp: any DatagramPort) { (self.rtp, self.rtcp) = (rtp, rtcp) }
  }

  let loop: EventLoop
  let ports: LoopBound<Ports>
  let heard = Locked<[[UInt8]]>([])

  /// - Parameter once: whether it is detached as soon as it has heard something.
  init(
    _ number: UInt64, of pair: any SharedDatagrams, on loop: EventLoop, _ claims: [DatagramClaim] = [],
    once: Bool = false
  ) {
    self.loop = loop
    self.ports = LoopBound<Ports>(on: loop)
    let (box, heard) = (self.ports, self.heard)
    _ = loop.sync { context in
      let ports = Ports(pair.makePort(number, for: .rtp), pair.makePort(number, for: .rtcp))
      box.put(ports)
      for port in [ports.rtp, ports.rtcp] {
        port.attach(to: context) { [unowned port, unowned ports] in
          #expect(loop.isCurrent)
          port.fill(context.batch)
          for index in 0..<context.batch.count {
            let bytes = context.batch.withPacket(index) { $0.bytes.copied() }
            heard.withLock { $0.append(bytes) }
          }
          guard once else { return }
          ports.rtp.detach(from: context)
          ports.rtcp.detach(from: context)
        }
      }
      for claim in claims { ports.rtp.claim(claim) }
    }
  }

  @discardableResult
  func act<Result: Sendable>(_ body: @escaping @Sendable (Ports) -> Result) -> Result? {
    let ports = self.ports
    return self.loop.sync { _ in ports.withValue { body($0) } } ?? nil
  }

  func leave() {
    let box = self.ports
    _ = self.loop.sync { context in
      guard let ports = box.take() else { return }
      ports.rtp.detach(from: context)
      ports.rtcp.detach(from: context)
    }
  }

  /// What it has heard, once that is as much as this, or after two seconds.
  func received(_ count: Int) -> [[UInt8]] {
    for _ in 0..<2000 where self.heard.withLock({ $0.count }) < count { usleep(1000) }
    return self.heard.withLock { $0 }
  }
}

/// A peer with a socket of its own.
private final class Peer: Sendable {
  let socket: UDPSocket

  init() throws { self.socket = try UDPSocket(SocketAddress(ipv4: 0x7F00_0001, port: 0)) }

  var claim: DatagramClaim { .source(self.socket.localAddress) }

  func send(_ bytes: [UInt8], to address: SocketAddress) {
    let result = bytes.withRawSpan { self.socket.send($0, to: address) }
    #expect(result == .sent)
  }

  struct Datagram {
    let source: SocketAddress
    let bytes: [UInt8]
  }

  /// What has come, once that is as much as this, or after two seconds.
  func receive(_ count: Int) -> [Datagram] {
    let batch = PacketBatch(slots: 16, slotSize: 4096)
    var received: [Datagram] = []
    for _ in 0..<2000 where received.count < count {
      batch.fill(from: self.socket)
      for index in 0..<batch.count {
        let (source, bytes) = (batch.source(index), batch.withPacket(index) { $0.bytes.copied() })
        received.append(Datagram(source: source, bytes: bytes))
      }
      if batch.count == 0 { usleep(1000) }
    }
    return received
  }
}

/// Transports that share a pair of sockets, over the kernel's loopback.
@Suite struct SharedSocketTests {
  /// A pair at any ports that are free.
  private func open(on loop: EventLoop) throws -> any SharedDatagrams {
    for _ in 0..<100 {
      let address = SocketAddress(ipv4: 0x7F00_0001, port: UInt16.random(in: 10_000...15_000) * 2)
      do throws(ModuleError) {
        if let pair = try UDPTransport().openShared(address, typeOfService: 0xB8, on: loop) { return pair }
      } catch { #expect(error.kind == .unavailable) }
    }
    throw ModuleError(.unavailable, "no pair of ports is free")
  }

  private func wait(_ condition: () -> Bool) {
    for _ in 0..<2000 where !condition() { usleep(1000) }
    #expect(condition())
  }

  @Test("each transport gets what is its own, in order and from both sockets, and the rest is counted")
  func sorted() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let (left, right, stranger) = (try Peer(), try Peer(), try Peer())
    let (one, two) = (Member(1, of: pair, on: loop, [left.claim]), Member(2, of: pair, on: loop, [right.claim]))
    for number in UInt8(0)..<150 {
      left.send([200, 1, number], to: pair.address)
      right.send([200, 2, number], to: pair.address)
      if number < 3 { stranger.send([200, 3, number], to: pair.address) }
    }
    #expect(one.received(150) == (UInt8(0)..<150).map { [200, 1, $0] })
    #expect(two.received(150) == (UInt8(0)..<150).map { [200, 2, $0] })
    left.send([201], to: pair.address.with(port: pair.address.port + 1))
    #expect(one.received(151).last == [201])
    self.wait { pair.unclaimed == 3 }
    for member in [one, two] { member.leave() }
    loop.stop()
  }

  @Test(
    "what has come to other sockets of the loop, as much as it takes at once, leaves room for what has come to this one"
  )
  func beside() throws {
    let loop = EventLoop.start(name: "shared", batchSlots: 4)
    let pair = try self.open(on: loop)
    let (peer, flood) = (try Peer(), try Peer())
    let member = Member(1, of: pair, on: loop, [peer.claim])
    let own = try UDPTransport().open(SocketAddress(ipv4: 0x7F00_0001, port: 0), typeOfService: 0)
    let address = own.localAddress
    let parcel = Locked<Disconnected<any DatagramPort>?>(Disconnected(own))
    let box = LoopBound<any DatagramPort>(on: loop)
    let heard = Locked(0)
    loop.execute { context in
      guard let port = parcel.withLock({ $0.take() })?.take() else { return }
      port.attach(to: context) { [unowned port] in
        port.fill(context.batch)
        heard.withLock { $0 += context.batch.count }
      }
      box.put(port)
      // Both are ready when the loop looks, in this order.
      for _ in 0..<10 { flood.send([1], to: address) }
      for number in UInt8(0)..<3 { peer.send([200, number], to: pair.address) }
    }
    #expect(member.received(3) == [[200, 0], [200, 1], [200, 2]])
    self.wait { heard.withLock { $0 } == 10 }
    _ = loop.sync { context in box.take()?.detach(from: context) }
    member.leave()
    loop.stop()
  }

  @Test("what outruns its claim waits for it, and is counted until then: more of it than is received at once")
  func parked() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let (peer, other) = (try Peer(), try Peer())
    let member = Member(1, of: pair, on: loop)
    for number in UInt8(0)..<100 { peer.send([200, number], to: pair.address) }
    other.send([200, 200], to: pair.address)
    self.wait { pair.unclaimed == 101 }
    #expect(member.heard.withLock { $0.isEmpty })
    let claim = peer.claim
    member.act { ports in _ = ports.rtp.claim(claim) }
    #expect(member.received(100) == (UInt8(0)..<100).map { [200, $0] })
    #expect(pair.unclaimed == 1)
    member.leave()
    loop.stop()
  }

  @Test("what outruns a transport that main has made, and its loop has not yet, waits for it: it is not another's")
  func onItsWay() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let standing = Member(1, of: pair, on: loop, [.ssrc(1), peer.claim])
    let early = PlainPackets.pcmu(sequence: 7, ssrc: 2)
    var made: (any DatagramPort)? = pair.makePort(2, for: .rtp)
    #expect(made != nil)
    peer.send(early, to: pair.address)
    self.wait { pair.unclaimed == 1 }
    let next = Member(2, of: pair, on: loop, [.ssrc(2), peer.claim])
    #expect(next.received(1) == [early] && standing.heard.withLock { $0.isEmpty } && pair.unclaimed == 0)
    next.leave()
    // Nobody waits for one that never came.
    made = nil
    let late = PlainPackets.pcmu(sequence: 8, ssrc: 3)
    peer.send(late, to: pair.address)
    #expect(standing.received(1) == [late])
    standing.leave()
    loop.stop()
  }

  @Test("what was cut does not wait for a claim: it would come back as if it were whole")
  func cut() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let member = Member(1, of: pair, on: loop)
    peer.send([200] + [UInt8](repeating: 1, count: 2100), to: pair.address)
    peer.send([200, 2], to: pair.address)
    self.wait { pair.unclaimed == 2 }
    let claim = peer.claim
    member.act { ports in _ = ports.rtp.claim(claim) }
    #expect(member.received(1) == [[200, 2]] && pair.unclaimed == 1)
    member.leave()
    loop.stop()
  }

  @Test(
    "what came before the first transport is its own; what comes for one that has left, or while nobody listens, is nobody's"
  )
  func nobody() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let (peer, other) = (try Peer(), try Peer())
    peer.send([200, 0], to: pair.address)
    let (one, two) = (Member(1, of: pair, on: loop, [peer.claim]), Member(2, of: pair, on: loop, [other.claim]))
    #expect(one.received(1) == [[200, 0]])
    one.leave()
    peer.send([200, 1], to: pair.address)
    self.wait { pair.unclaimed == 1 }
    #expect(two.heard.withLock { $0.isEmpty } && one.heard.withLock { $0.count } == 1)
    two.leave()
    for number in UInt8(2)..<5 { peer.send([200, number], to: pair.address) }
    let three = Member(3, of: pair, on: loop, [peer.claim])
    #expect(pair.unclaimed == 4)
    peer.send([200, 5], to: pair.address)
    #expect(three.received(1) == [[200, 5]])
    three.leave()
    loop.stop()
  }

  @Test("a transport that leaves within its handler takes nothing from the others of the same receive")
  func leavesWithin() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let (left, right) = (try Peer(), try Peer())
    let (one, two) = (
      Member(1, of: pair, on: loop, [left.claim], once: true), Member(2, of: pair, on: loop, [right.claim])
    )
    // All in one receive, as the loop is kept busy meanwhile.
    _ = loop.sync { _ in
      for number in UInt8(0)..<10 {
        left.send([200, number], to: pair.address)
        right.send([200, number], to: pair.address)
      }
    }
    #expect(two.received(10) == (UInt8(0)..<10).map { [200, $0] })
    #expect(one.received(10) == (UInt8(0)..<10).map { [200, $0] })
    left.send([200, 10], to: pair.address)
    self.wait { pair.unclaimed == 1 }
    #expect(one.heard.withLock { $0.count } == 10)
    two.leave()
    loop.stop()
  }

  @Test("what is sent leaves at the end of the loop's turn, in order, or before when there is too much of it")
  func sends() throws {
    let loop = EventLoop.start(name: "shared", batchSlots: 64)
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let member = Member(1, of: pair, on: loop)
    let target = peer.socket.localAddress
    func send(_ numbers: Range<UInt8>) -> Int? {
      member.act { ports in
        for number in numbers {
          let result = [number].withRawSpan { ports.rtp.send($0, to: target) }
          #expect(result == .sent)
        }
        let batch = PacketBatch(slots: 100)
        batch.fill(from: peer.socket)
        return batch.count
      }
    }
    #expect(send(0..<64) == 0)
    #expect(peer.receive(64).map(\.bytes) == (UInt8(0)..<64).map { [$0] })
    #expect(send(0..<65) == 64)
    let last = peer.receive(1)
    #expect(last.map(\.bytes) == [[64]] && last.first?.source == pair.address)
    #expect(member.act { $0.rtp.unsent } == 0)
    member.leave()
    loop.stop()
  }

  @Test("RTCP's own socket sends at once, from its own port")
  func sendsReports() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let member = Member(1, of: pair, on: loop)
    let target = peer.socket.localAddress
    let result = member.act { ports in [1, 2, 3].withRawSpan { ports.rtcp.send($0, to: target) } }
    #expect(result == .sent)
    let report = try #require(peer.receive(1).first)
    #expect(report.bytes == [1, 2, 3] && report.source == pair.address.with(port: pair.address.port + 1))
    member.leave()
    loop.stop()
  }

  @Test("what the kernel does not take is told to who has sent it, also after he has left; the others go")
  func unsent() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let (one, two) = (Member(1, of: pair, on: loop), Member(2, of: pair, on: loop))
    let target = peer.socket.localAddress
    // No datagram goes to port 0.
    let targets = [target, target.with(port: 0), target, target.with(port: 0)]
    one.act { ports in
      for (number, address) in targets.enumerated() {
        _ = [UInt8(number)].withRawSpan { ports.rtp.send($0, to: address) }
      }
    }
    #expect(peer.receive(2).map(\.bytes) == [[0], [2]])
    #expect(one.act { $0.rtp.unsent } == 2 && two.act { $0.rtp.unsent } == 0)
    let box = one.ports
    let unsent = loop.sync { context -> Int in
      guard let ports = box.take() else { return -1 }
      _ = [9].withRawSpan { ports.rtp.send($0, to: target.with(port: 0)) }
      ports.rtp.detach(from: context)
      ports.rtcp.detach(from: context)
      let late = [9].withRawSpan { ports.rtp.send($0, to: target) }
      #expect(late == .failed(EBADF))
      return ports.rtp.unsent
    }
    #expect(unsent == 3)
    two.leave()
    loop.stop()
  }

  @Test("a datagram that is longer than a slot leaves by itself, after those before it")
  func long() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let peer = try Peer()
    let member = Member(1, of: pair, on: loop)
    let target = peer.socket.localAddress
    member.act { ports in
      for size in [1, 3000, 2] {
        _ = [UInt8](repeating: 5, count: size).withRawSpan { ports.rtp.send($0, to: target) }
      }
    }
    #expect(peer.receive(3).map(\.bytes.count) == [1, 3000, 2])
    member.leave()
    loop.stop()
  }

  @Test("an answer of STUN's goes to the transport that has asked, whatever else is known of who answers")
  func answers() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let server = try Peer()
    let (one, two) = (Member(1, of: pair, on: loop, [server.claim]), Member(2, of: pair, on: loop, [server.claim]))
    let request: [UInt8] = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    let target = server.socket.localAddress
    two.act { ports in _ = request.withRawSpan { ports.rtp.send($0, to: target) } }
    #expect(server.receive(1).map(\.bytes) == [request])
    let response: [UInt8] = [1, 1] + request.dropFirst(2)
    server.send(response, to: pair.address)
    #expect(two.received(1) == [response] && one.heard.withLock { $0.isEmpty })
    for member in [one, two] { member.leave() }
    loop.stop()
  }

  @Test("the sockets are open for as long as main or a transport has a part of them")
  func closed() throws {
    let loop = EventLoop.start(name: "shared")
    var pair: (any SharedDatagrams)? = try self.open(on: loop)
    let address = try #require(pair?.address)
    let member = try Member(1, of: #require(pair), on: loop)
    pair = nil
    do throws(SocketError) {
      let taken = try UDPSocket(address)
      Issue.record("two sockets at \(taken.localAddress)")
    } catch { #expect(error.isAddressInUse) }
    member.leave()
    // What the loop held for that turn is released when it ends, before the next one.
    _ = loop.sync { _ in }
    for offset in UInt16(0)...1 {
      let again = try UDPSocket(address.with(port: address.port + offset))
      #expect(again.localAddress.port == address.port + offset)
    }
    loop.stop()
  }

  @Test("a taken port is a sentence that says what to change, and closes the other")
  func taken() throws {
    let loop = EventLoop.start(name: "shared")
    let pair = try self.open(on: loop)
    let port = pair.address.with(port: pair.address.port - 1)
    #expect(throws: ModuleError.self) { _ = try UDPTransport().openShared(port, typeOfService: 0, on: loop) }
    _ = try UDPSocket(port)
    withExtendedLifetime(pair) {}
    loop.stop()
  }
}
