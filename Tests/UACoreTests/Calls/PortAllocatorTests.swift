import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

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
}
