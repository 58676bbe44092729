import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// What is in the clear on the way of a call that must be encrypted: nothing, before the keys and after, either way.
@Suite struct PlaintextTests {
  /// What crossed, and what crossed in the clear.
  final class Wire: Sendable {
    struct Findings: Sendable {
      var media = 0
      var reports = 0
      var plain: [String] = []
      /// By host: where it receives RTP.
      var addresses: [String: SocketAddress] = [:]
    }

    private let findings = Locked(Findings())

    /// - Parameter word: how many bytes from its end a report has the word with the E bit: behind it comes the tag of
    ///   AES-CM, and nothing with AEAD.
    init(_ network: SimulatedNetwork, word: Int) {
      network.tap { [findings] datagram in
        guard !datagram.isSignalling else { return true }
        findings.withLock { Self.look(at: datagram, word: word, &$0) }
        return true
      }
    }

    var found: Findings { self.findings.withLock { $0 } }

    private static func look(at datagram: Datagram, word: Int, _ findings: inout Findings) {
      let even = datagram.source.port % 2 == 0
      findings.addresses[datagram.source.host] =
        even ? datagram.source : datagram.source.with(port: datagram.source.port - 1)
      let target = datagram.destination
      findings.addresses[target.host] = target.port % 2 == 0 ? target : target.with(port: target.port - 1)
      let bytes = datagram.bytes
      guard bytes.count >= 12, bytes[0] >> 6 == 2 else { return }
      if (192...223).contains(bytes[1]) {
        findings.reports += 1
        // The name of every source description begins so.
        let isNamed = (0..<bytes.count - 4).contains { Array(bytes[$0..<$0 + 5]) == Array("apus-".utf8) }
        if isNamed || bytes[bytes.count - word] >> 7 == 0 { findings.plain.append("RTCP from \(datagram.source)") }
      } else {
        findings.media += 1
        // Header and 20 ms of PCMU, and nothing that authenticates it.
        if bytes.count < 12 + 160 + 4 { findings.plain.append("RTP from \(datagram.source)") }
      }
    }
  }

  struct Way: Sendable, CustomTestStringConvertible {
    let encryption: String
    let mode: RxMode
    let isMuxed: Bool
    var testDescription: String {
      "\(self.encryption) in mode \(self.mode.rawValue)\(self.isMuxed ? ", rtcp-mux" : "")"
    }
    static let all = RxMode.allCases.flatMap { mode in
      ["srtp-mand", "srtp-mandf", "dtls_srtp"].flatMap { encryption in
        [false, true].map { Way(encryption: encryption, mode: mode, isMuxed: $0) }
      }
    }
  }

  @Test("plain RTP and RTCP are neither played nor sent, before the keys and after them", arguments: Way.all)
  func nothingInTheClear(way: Way) throws {
    let agents = try SimulatedAgents(mode: way.mode, encryption: way.encryption, seed: 81)
    agents.aliceSettings.usesRTCPMux = way.isMuxed
    agents.bobSettings.usesRTCPMux = way.isMuxed
    let network = agents.simulation.network
    let wire = Wire(network, word: way.encryption == "dtls_srtp" ? 4 : 14)
    // Media outruns the answer, and a handshake takes its time.
    network.setSignalling(LinkConditions(delay: 100_000...100_000))
    network.setMedia(LinkConditions(delay: 20_000...20_000))
    let call = try agents.call()
    var injected = 0
    func inject() {
      for (host, other) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1")] {
        guard let target = wire.found.addresses[host], let source = wire.found.addresses[other] else { continue }
        let rtcp = way.isMuxed ? 0 : UInt16(1)
        injected += 1
        network.inject(PlainPackets.pcmu(sequence: UInt16(injected)), from: source, to: target)
        network.inject(
          PlainPackets.rtcp, from: source.with(port: source.port + rtcp), to: target.with(port: target.port + rtcp))
      }
    }
    // From the callee's first datagram on, long before the caller has his answer.
    for _ in 0..<50 {
      agents.run(milliseconds: 10)
      inject()
    }
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    // With rtcp-mux, reports are due a few seconds later.
    for _ in 0..<12 {
      agents.run(milliseconds: 1000)
      inject()
    }
    agents.run(milliseconds: 100)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let found = wire.found
    #expect(found.plain.isEmpty, "\(Set(found.plain))")
    #expect(found.media > 1000 && found.reports >= 4)
    let reports = agents.alice.ended + agents.bob.ended
    let drops = reports.map(\.media.drops)
    let total = drops.map(\.total).reduce(0, +)
    #expect(total == 2 * injected, "each is counted: \(drops)")
    for one in drops {
      let expected = one.auth + one.plaintext + one.noKey + one.crowded
      #expect(one.total == expected, "\(one)")
    }
    for (report, heard) in zip(reports, [agents.aliceHears, agents.bobHears]) {
      #expect(report.media.lost == 0)
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) ?? 0 > 8000 * 10)
    }
  }
}
