import NetBase
import SRTPEngine
import Testing

@Suite("Packets that came before their key", .bothTransforms)
struct ParkedPacketsTests {
  private let source = SocketAddress(ipv4: 0x7F00_0001, port: 4000)

  @Test("they come out in order, with the address they came from, and open under the key that came late")
  func drained() throws {
    var outbound = try OutboundSRTP(key(1))
    var keys = InboundKeys()
    var parked = ParkedPackets()
    for number in 0..<5 {
      let wire = outbound.sent(rtp(number)).bytes
      self.park(wire, in: &parked, port: UInt16(number), at: Int64(number))
    }
    #expect(parked.count == 5)
    try keys.install(key(1), now: at(100))
    var opened: [[UInt8]] = []
    var ports: [UInt16] = []
    parked.drain(now: at(100)) { packet, source, _ in
      #expect(keys.unprotect(&packet, isRTCP: false, now: at(100)) == .ok)
      opened.append(packet.bytes.copied())
      ports.append(source.port)
    }
    #expect(opened == (0..<5).map { rtp($0) } && ports == [0, 1, 2, 3, 4])
    #expect(parked.count == 0 && parked.counters == ParkingCounters())
  }

  @Test("the 33rd is dropped and counted")
  func overflow() {
    var parked = ParkedPackets()
    for number in 0..<40 { self.park(rtp(number), in: &parked, at: 0) }
    #expect(parked.count == 32 && parked.counters.overflowed == 8)
    #expect(self.drain(&parked, at: 1) == (0..<32).map { rtp($0) })
  }

  @Test("a flood of one source takes no place from another, whoever comes first", arguments: [0, 10, 40])
  func flood(before: Int) {
    var parked = ParkedPackets()
    for number in 0..<before { self.park(rtp(1000 + number), in: &parked, port: 66, at: 0) }
    for number in 0..<16 {
      self.park(rtp(number), in: &parked, at: 1)
      for flood in 0..<5 { self.park(rtp(2000 + number * 5 + flood), in: &parked, port: 66, at: 1) }
    }
    #expect(parked.count == 32 && parked.counters.overflowed == before + 96 - 32)
    // Its own oldest make room for the peer's, which come out in their order.
    let kept = self.drain(&parked, at: 2)
    #expect(kept.filter { (0..<16).map { rtp($0) }.contains($0) } == (0..<16).map { rtp($0) })
    #expect(kept.count == 32)
  }

  @Test("a host that floods from many ports has half of the places, as from one")
  func manyPorts() {
    var parked = ParkedPackets()
    let peer = SocketAddress(ipv4: 0x0A00_0001, port: 5004)
    for number in 0..<16 {
      for port in 0..<64 { self.park(rtp(1000), in: &parked, port: UInt16(port + 1), at: 0) }
      self.park(rtp(number), in: &parked, from: peer, at: 0)
    }
    let kept = self.drain(&parked, at: 1)
    #expect(kept.filter { $0 != rtp(1000) } == (0..<16).map { rtp($0) } && kept.count == 32)
  }

  @Test("sources share the places evenly, and what is given up by age leaves its share")
  func shares() {
    var parked = ParkedPackets()
    let hosts = (1...4).map { SocketAddress(ipv4: UInt32($0), port: 4000) }
    for number in 0..<40 {
      for (index, host) in hosts.enumerated() { self.park(rtp(number * 4 + index), in: &parked, from: host, at: 0) }
    }
    #expect(parked.count == 32 && parked.counters.overflowed == 128)
    // The oldest went first, until each had eight.
    #expect(Set(self.drain(&parked, at: 1)) == Set((0..<32).map { rtp($0) }))
    for number in 0..<32 { self.park(rtp(number), in: &parked, from: hosts[0], at: 10) }
    self.park(rtp(100), in: &parked, from: hosts[1], at: 510)
    #expect(parked.count == 1 && parked.counters.expired == 32 && parked.counters.overflowed == 128)
    for number in 0..<31 { self.park(rtp(number), in: &parked, from: hosts[1], at: 511) }
    for number in 0..<16 { self.park(rtp(200 + number), in: &parked, from: hosts[2], at: 511) }
    #expect(Set(self.drain(&parked, at: 512)) == Set((15..<31).map { rtp($0) } + (200..<216).map { rtp($0) }))
  }

  @Test("an IPv6 site is one host: its addresses cost it nothing")
  func site() {
    var parked = ParkedPackets()
    for number in 0..<64 {
      self.park(rtp(1000), in: &parked, from: SocketAddress(ipv6: 0x2001_0DB8 << 32, UInt64(number), port: 1), at: 0)
    }
    for number in 0..<16 {
      self.park(rtp(number), in: &parked, from: SocketAddress(ipv6: 0x2001_0DB9 << 32, 1, port: 1), at: 0)
      self.park(
        rtp(1000), in: &parked, from: SocketAddress(ipv6: 0x2001_0DB8 << 32, UInt64(100 + number), port: 1), at: 0)
    }
    #expect(self.drain(&parked, at: 1).filter { $0 != rtp(1000) } == (0..<16).map { rtp($0) })
  }

  @Test("after 500 ms they are dropped and counted, and make room")
  func expiry() {
    var parked = ParkedPackets()
    for number in 0..<32 { self.park(rtp(number), in: &parked, at: Int64(number) * 10) }
    #expect(parked.nextDeadline == at(500))
    self.park(rtp(100), in: &parked, at: 500)
    self.park(rtp(101), in: &parked, at: 519)
    #expect(parked.counters.expired == 2 && parked.counters.overflowed == 0)
    #expect(self.drain(&parked, at: 600) == (11..<32).map { rtp($0) } + [rtp(100), rtp(101)])
    #expect(parked.counters.expired == 11)
    self.park(rtp(1), in: &parked, at: 1000)
    parked.timeout(now: at(1500))
    #expect(parked.count == 0 && parked.nextDeadline == nil)
  }

  @Test("a packet too long to be media is not kept")
  func tooLong() {
    var parked = ParkedPackets()
    self.park([UInt8](repeating: 1, count: 2049), in: &parked, at: 0)
    #expect(parked.count == 0 && parked.counters.tooLong == 1)
    self.park([UInt8](repeating: 1, count: 2048), in: &parked, at: 0)
    #expect(self.drain(&parked, at: 0) == [[UInt8](repeating: 1, count: 2048)])
  }

  private func park(_ bytes: [UInt8], in parked: inout ParkedPackets, port: UInt16 = 1, at time: Int64) {
    self.park(bytes, in: &parked, from: self.source.with(port: port), at: time)
  }

  private func park(_ bytes: [UInt8], in parked: inout ParkedPackets, from source: SocketAddress, at time: Int64) {
    var bytes = bytes
    bytes.withPacket { parked.park($0, from: source, now: SRTPEngineTests.at(time)) }
  }

  private func drain(_ parked: inout ParkedPackets, at time: Int64) -> [[UInt8]] {
    var packets: [[UInt8]] = []
    parked.drain(now: SRTPEngineTests.at(time)) { packet, _, _ in packets.append(packet.bytes.copied()) }
    return packets
  }
}
