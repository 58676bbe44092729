import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// Everything that crossed a network on its media sockets, and the ports that it left from.
private final class Wire: Sendable {
  private let seen = Locked<[Datagram]>([])

  init(_ network: SimulatedNetwork) {
    network.tap { [seen = self.seen] datagram in
      if !datagram.isSignalling { seen.withLock { $0.append(datagram) } }
      return true
    }
  }

  var dtls: [Datagram] { self.seen.withLock { $0 }.filter { (20..<64).contains($0.bytes.first ?? 0) } }
  var sources: Set<SocketAddress> { Set(self.seen.withLock { $0 }.map(\.source)) }
}

/// DTLS associations that follow each other on one 5-tuple, while media flows.
@Suite struct SamePortsRekeyTests {
  struct Way: CustomStringConvertible, Sendable {
    let mode: RxMode
    let isMuxed: Bool
    var description: String { "\(self.mode.rawValue), \(self.isMuxed ? "rtcp-mux" : "RTCP on its own port")" }
    static let all = RxMode.allCases.flatMap { mode in [true, false].map { Way(mode: mode, isMuxed: $0) } }
  }

  #if DEBUG
    private static let count = 20
  #else
    private static let count = 60
  #endif

  private func makeAgents(
    _ way: Way, seed: UInt64, bobsPorts: String = "same", configure: (inout Configuration) -> Void = { _ in }
  ) throws -> SimulatedAgents {
    let agents = try SimulatedAgents(
      mode: way.mode, encryption: "dtls_srtp", seed: seed, configure: configure,
      adjust: { settings in
        if settings.listen.host == "10.0.0.2" {
          settings.configuration.moduleValues["dtls_srtp_rekey_ports"] = bobsPorts
        }
      })
    (agents.aliceSettings.usesRTCPMux, agents.bobSettings.usesRTCPMux) = (way.isMuxed, way.isMuxed)
    return agents
  }

  /// Re-keys from either side, each as soon as the last is in use both ways; returns how many were offered.
  private func rekey(_ agents: SimulatedAgents, _ call: CallID, times: Int, between: () -> Void = {}) -> Int {
    var generator = TestGenerator(seed: 61)
    var offered = 0
    for _ in 0..<times * 200 where offered < times {
      let isAlice = generator.happens(0.5)
      if isAlice ? agents.alice.act({ $0.rekey(call) }) : agents.bob.act({ $0.rekey(agents.bobCall) }) {
        offered += 1
        between()
      }
      agents.run(milliseconds: 20)
    }
    agents.run(milliseconds: 2000)
    return offered
  }

  private func end(_ agents: SimulatedAgents, _ call: CallID) -> [CallReport] {
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(agents.simulation.network.mediaSocketCount == 0)
    return agents.alice.ended + agents.bob.ended
  }

  @Test("re-keys back to back keep the ports, and lose nothing", arguments: Way.all)
  func keepsPorts(way: Way) throws {
    let agents = try self.makeAgents(way, seed: 71)
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...40_000))
    agents.simulation.network.setSignalling(LinkConditions(delay: 1000...30_000))
    let wire = Wire(agents.simulation.network)
    let call = try agents.establishedCall()
    let offered = self.rekey(agents, call, times: Self.count)
    #expect(offered == Self.count)
    // RTCP leaves from its own port after five seconds at the latest.
    #expect(wire.sources.count == (way.isMuxed ? 2 : 4), "\(wire.sources)")
    for report in self.end(agents, call) {
      let media = report.media
      #expect(media.lost == 0 && media.late == 0 && media.drops == DropCounters(), "\(media)")
      // Who hears the next key before he has sent anything under the last does not count that one.
      #expect(media.rekeys >= Self.count * 8 / 10, "\(media.rekeys)")
      #expect(report.failure == nil)
    }
    for heard in [agents.aliceHears, agents.bobHears] {
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
    // Each association's records have a mark that no other has.
    let marks = Set(wire.dtls.map { Array($0.bytes[5..<9]) })
    #expect((agents.alice.ended[0].media.rekeys + 1...Self.count + 1).contains(marks.count), "\(marks.count)")
  }

  @Test("over a network that loses, doubles and reorders, only what was lost is lost", arguments: Way.all)
  func badNetwork(way: Way) throws {
    let agents = try self.makeAgents(way, seed: 72) { $0.rtpTimeout = nil }
    let wire = Wire(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(
      LinkConditions(delay: 1000...30_000, loss: 0.05, duplication: 0.05, reordering: 0.05))
    let offered = self.rekey(agents, call, times: Self.count)
    agents.simulation.network.setMedia(LinkConditions())
    agents.run(milliseconds: 3000)
    #expect(wire.sources.count == (way.isMuxed ? 2 : 4), "\(wire.sources)")
    for report in self.end(agents, call) {
      let media = report.media
      #expect(report.failure == nil && media.rekeys >= offered - 1 && offered > Self.count / 2, "\(media.rekeys)")
      #expect(media.drops.auth == 0 && media.drops.plaintext == 0 && media.drops.noKey == 0, "\(media.drops)")
    }
  }

  @Test("towards a peer that wants none of it each association has new ports", arguments: Way.all)
  func fallsBack(way: Way) throws {
    let agents = try self.makeAgents(way, seed: 73, bobsPorts: "new")
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...40_000))
    let wire = Wire(agents.simulation.network)
    let call = try agents.establishedCall()
    #expect(self.rekey(agents, call, times: 5) == 5)
    #expect(Set(wire.dtls.map(\.source)).count == (way.isMuxed ? 12 : 24))
    #expect(wire.dtls.allSatisfy { $0.bytes[5..<9].allSatisfy { $0 == 0 } }, "no record has a mark")
    // What is under way when the call ends may come out of order.
    agents.simulation.network.setMedia(LinkConditions())
    agents.run(milliseconds: 100)
    for report in self.end(agents, call) {
      #expect(report.media.rekeys == 5)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media)")
    }
  }

  @Test(
    "an off-path ClientHello, alerts in the clear, and every older handshake again disturb no re-key, from any address",
    arguments: Way.all)
  func strangers(way: Way) throws {
    let agents = try self.makeAgents(way, seed: 74)
    let network = agents.simulation.network
    let wire = Wire(network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    // A fatal handshake_failure, and a ClientHello that no cookie is in; in the clear, with no mark and with wrong ones.
    let alert: [UInt8] = [21, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]
    let hello = try #require(wire.dtls.first { $0.bytes[0] == 22 && $0.bytes[13] == 1 }).bytes
    var injected = 0
    let offered = self.rekey(agents, call, times: 10) {
      let older = wire.dtls
      let ends = Set(older.map { [$0.source, $0.destination] })
      for _ in 0..<20 {
        agents.run(milliseconds: 1)
        for end in ends {
          for source in [end[0], SocketAddress(ipv4: 0xCB00_7101, port: 9)] {
            for forged in [alert, hello] {
              for mark in [0, 1, 0xFF] as [UInt8] {
                var bytes = forged
                bytes[8] = mark
                network.inject(bytes, from: source, to: end[1])
                injected += 1
              }
            }
          }
        }
        for datagram in older.suffix(100) {
          network.inject(datagram.bytes, from: datagram.source, to: datagram.destination)
          injected += 1
        }
      }
    }
    #expect(offered == 10 && injected > 1000)
    for report in self.end(agents, call) {
      let media = report.media
      #expect(report.failure == nil && media.rekeys == 10, "\(media.rekeys)")
      #expect(media.lost == 0 && media.late == 0, "\(media)")
      #expect(media.drops.unknown + media.drops.source > 100, "each is counted: \(media.drops)")
      #expect(media.drops.auth + media.drops.noKey + media.drops.replay == 0, "\(media.drops)")
    }
    #expect((agents.alice.warnings + agents.bob.warnings).isEmpty)
  }

  @Test("a handshake that never gets through leaves the old keys at work, and the next one has ports of its own")
  func noHandshake() throws {
    let agents = try self.makeAgents(Way(mode: .thread, isMuxed: true), seed: 75)
    let network = agents.simulation.network
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    // Something between the two takes records with a mark for broken ones.
    network.tap { datagram in
      let isHandshake = !datagram.isSignalling && (20..<64).contains(datagram.bytes.first ?? 0)
      return !isHandshake || datagram.bytes[5..<9].allSatisfy { $0 == 0 }
    }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 32_000)
    let told = agents.alice.warnings + agents.bob.warnings
    #expect(told.count == 2 && told.allSatisfy { $0.contains("the keys stay as they were") }, "\(told)")
    for _ in 0..<3 {
      #expect(agents.bob.act { $0.rekey(agents.bobCall) })
      agents.run(milliseconds: 2000)
    }
    for report in self.end(agents, call) {
      #expect(report.media.rekeys == 3, "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  /// Loses the first two datagrams of each association for RTCP that `isChosen` chooses.
  private func delayControl(_ network: SimulatedNetwork, _ isChosen: @escaping @Sendable ([UInt8]) -> Bool) {
    let lost = Locked<[[UInt8]: Int]>([:])
    network.tap { datagram in
      guard !datagram.isSignalling, datagram.source.port % 2 == 1, (20..<64).contains(datagram.bytes.first ?? 0),
        isChosen(datagram.bytes)
      else { return true }
      return lost.withLock { lost in
        lost[Array(datagram.bytes[5..<9]), default: 0] += 1
        return lost[Array(datagram.bytes[5..<9]), default: 0] > 2
      }
    }
  }

  @Test("RTCP that comes under keys whose handshake has not ended here waits for them", arguments: RxMode.allCases)
  func controlFirst(mode: RxMode) throws {
    let agents = try self.makeAgents(Way(mode: mode, isMuxed: false), seed: 77)
    let call = try agents.establishedCall()
    // The server's last flight, which begins with ChangeCipherSpec.
    self.delayControl(agents.simulation.network) { $0[0] == 20 }
    #expect(self.rekey(agents, call, times: 60) == 60)
    for report in self.end(agents, call) {
      #expect(report.media.rekeys >= 50 && report.failure == nil)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  @Test("RTCP whose handshake ends after RTP's new keys are in use changes its keys too", arguments: RxMode.allCases)
  func controlLast(mode: RxMode) throws {
    let agents = try self.makeAgents(Way(mode: mode, isMuxed: false), seed: 78)
    let call = try agents.establishedCall()
    // The client's second flight, which begins with its Certificate.
    self.delayControl(agents.simulation.network) { $0[0] == 22 && $0[13] == 11 }
    #expect(self.rekey(agents, call, times: 3) == 3)
    // The old key would be refused after half a minute.
    agents.run(milliseconds: 60_000)
    for report in self.end(agents, call) {
      #expect(report.media.rekeys == 3 && report.failure == nil)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }

  @Test("an offer that is refused leaves the association, and the next one is on the same ports", arguments: Way.all)
  func refused(way: Way) throws {
    let agents = try self.makeAgents(way, seed: 76)
    let wire = Wire(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    // Both offer at once: each refuses the other's (491).
    let isOffered = (agents.alice.act { $0.rekey(call) }, agents.bob.act { $0.rekey(agents.bobCall) })
    #expect(isOffered == (true, true))
    agents.run(milliseconds: 20)
    agents.run(milliseconds: 8000)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    #expect(wire.sources.count == (way.isMuxed ? 2 : 4), "\(wire.sources)")
    for report in self.end(agents, call) {
      #expect(report.media.rekeys >= 1)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
    }
  }
}
