import Handoff
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

/// Shares pairs without a kernel, and tells which of them are not held any more.
private struct SharingTransport: DatagramTransport {
  let closed = Locked<[String]>([])

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    SilentPort(address)
  }

  func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? { SharedPair(address, self.closed) }
}

private final class SharedPair: SharedDatagrams {
  let address: SocketAddress
  let unclaimed = 3
  private let closed: Locked<[String]>

  init(_ address: SocketAddress, _ closed: Locked<[String]>) { (self.address, self.closed) = (address, closed) }

  deinit {
    let host = self.address.host
    self.closed.withLock { $0.append(host) }
  }

  func makePort(_ number: UInt64, for component: Component) -> sending any DatagramPort { SilentPort(self.address) }
}

private final class SilentPort: DatagramPort {
  let localAddress: SocketAddress

  init(_ address: SocketAddress) { self.localAddress = address }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {}
  func detach(from context: LoopContext) {}
  func fill(_ batch: PacketBatch) { batch.clear() }
  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult { .sent }
}

/// The ports of RTP and RTCP.
@Suite struct PortAllocatorTests {
  @Test(
    "RTP gets an even port and RTCP the next, both within rtp_ports", arguments: [10_000...10_007, 10_001...10_008],
    UInt64(0)...5)
  func stayInRange(range: ClosedRange<UInt16>, start: UInt64) throws {
    let simulation = Simulation(seed: 1)
    var ports = PortAllocator(transport: simulation.network, range: range, typeOfService: 0, start: start)
    var opened: [UInt16] = []
    for _ in 0..<3 {
      let pair = try ports.open(on: SocketAddress(ipv4: 0x0A00_0001, port: 0))
      opened.append(pair.address.port)
      #expect(pair.address.port % 2 == 0 && range.contains(pair.address.port) && range.contains(pair.address.port + 1))
    }
    #expect(Set(opened).count == min(3, opened.count))
  }

  @Test("further addresses have a pair each; one that has none to give is told of and left out")
  func elsewhere() throws {
    let simulation = Simulation(seed: 1)
    var ports = PortAllocator(transport: simulation.network, range: 10_000...10_001, typeOfService: 0, start: 0)
    let addresses = ([0x0A00_0001, 0x0A00_0101, 0x0A00_0201] as [UInt32]).map { SocketAddress(ipv4: $0, port: 0) }
    let taken = try simulation.network.open(addresses[1].with(port: 10_001), typeOfService: 0)
    var leftOut: [SocketAddress] = []
    let opened = try ports.open(on: addresses[0], and: Array(addresses[1...])) { address, _ in leftOut.append(address) }
    let further = opened.furtherSockets
    #expect(leftOut == [addresses[1]])
    #expect(further.map(\.rtp) == [addresses[2].with(port: 10_000)])
    #expect(further.map(\.rtcp) == [addresses[2].with(port: 10_001)])
    withExtendedLifetime(taken) {}
  }

  /// So many sockets can be opened, and no more.
  private final class Scarce: DatagramTransport {
    private let left: Locked<Int>
    private let inner: SimulatedNetwork

    init(_ count: Int, of inner: SimulatedNetwork) { (self.left, self.inner) = (Locked(count), inner) }

    func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
      let isLeft = self.left.withLock { left in
        left -= 1
        return left >= 0
      }
      guard isLeft else { throw ModuleError(.exhausted, "there are no more") }
      return try self.inner.open(address, typeOfService: typeOfService)
    }
  }

  @Test("where descriptors run out, those of further addresses are given back, and each of these is told of once")
  func scarce() throws {
    let simulation = Simulation(seed: 1)
    let transport = Scarce(7, of: simulation.network)
    var ports = PortAllocator(transport: transport, range: 10_000...10_001, typeOfService: 0, start: 0)
    let addresses = (1...5 as ClosedRange<UInt32>).map { SocketAddress(ipv4: 0x0A00_0000 + $0, port: 0) }
    let taken = try simulation.network.open(addresses[1].with(port: 10_000), typeOfService: 0)
    var leftOut: [SocketAddress] = []
    let opened = try ports.open(on: addresses[0], and: Array(addresses[1...])) { address, _ in leftOut.append(address) }
    let (count, further) = (simulation.network.mediaSocketCount, opened.furtherSockets)
    #expect(leftOut == Array(addresses[1...]))
    #expect(count == 3 && further.isEmpty)
    withExtendedLifetime(taken) {}
  }

  @Test("a range without a pair is refused in one sentence")
  func tooSmall() {
    let simulation = Simulation(seed: 1)
    var ports = PortAllocator(transport: simulation.network, range: 10_001...10_002, typeOfService: 0, start: 7)
    #expect(throws: ModuleError.self) { _ = try ports.open(on: SocketAddress(ipv4: 0x0A00_0001, port: 0)).address }
  }

  @Test("where no socket can be shared, each transport has its own, on the loop that it was to be on")
  func notShared() throws {
    let simulation = Simulation(seed: 1)
    let loop = simulation.makeLoop()
    var ports = PortAllocator(transport: simulation.network, range: 10_000...10_099, typeOfService: 0, start: 0)
    var shared = SharedPorts()
    var opened: Set<UInt16> = []
    for _ in 0..<3 {
      let pair = try shared.ports(
        on: SocketAddress(ipv4: 0x0A00_0001, port: 0), and: [], in: loop, from: &ports, leftOut: { _, _ in })
      opened.insert(pair.address.port)
      #expect(pair.loop === loop)
    }
    #expect(opened.count == 3 && shared.addresses.isEmpty && shared.unclaimed == 0)
  }

  @Test("a shared pair is let go of when this host has lost its address, and what came to it for nobody still counts")
  func lost() throws {
    let simulation = Simulation(seed: 1)
    let loop = simulation.makeLoop()
    let transport = SharingTransport()
    var ports = PortAllocator(transport: transport, range: 10_000...10_099, typeOfService: 0, start: 0)
    let hosts = (1...3 as ClosedRange<UInt32>).map { SocketAddress(ipv4: 0x0A00_0000 + $0, port: 0) }
    var shared = SharedPorts()
    func open(_ place: Int) throws {
      let pair = try shared.ports(on: hosts[place], and: [], in: loop, from: &ports, leftOut: { _, _ in })
      #expect(pair.address.isSameHost(as: hosts[place]))
    }
    for place in 0...1 { try open(place) }
    #expect(shared.addresses.map(\.host) == ["10.0.0.1", "10.0.0.2"] && shared.unclaimed == 6)
    // The last has no pair.
    shared.forget([hosts[0], hosts[2]])
    #expect(transport.closed.withLock { $0 } == ["10.0.0.1"])
    #expect(shared.addresses.map(\.host) == ["10.0.0.2"] && shared.unclaimed == 6)
    for place in 0...2 { try open(place) }
    #expect(transport.closed.withLock { $0.count } == 1 && shared.addresses.count == 3 && shared.unclaimed == 12)
  }

  @Test("an agent lets go of the pairs at an address that its host has lost", arguments: [RxMode.main, .pool])
  func lostByAgent(mode: RxMode) throws {
    let transport = SharingTransport()
    let agents = try SimulatedAgents(
      mode: mode, configure: { $0.usesSinglePort = true }, adjust: { $0.datagrams = transport })
    try agents.call()
    agents.alice.act { core in
      #expect(core.environment.sharedPorts.addresses.map(\.host) == ["10.0.0.1"])
      let own = SocketAddress(ipv4: 0x0A00_0001, port: 0)
      core.networkChanged(NetworkChange(gone: [own], new: []), addresses: [])
      #expect(core.environment.sharedPorts.addresses.isEmpty)
    }
  }
}
