import Glibc
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// A server whose kernel takes no more connections: whoever connects hears nothing.
private final class DeafServer {
  private final class Connection {
    private let peer: RawPeer
    init(to address: SocketAddress) throws { self.peer = try RawPeer(to: address) }
  }

  private let listener = RawPeer.Listener()
  private var waiting: [Connection] = []

  var address: SocketAddress { self.listener.address }

  init() throws {
    // One more than the eight that may wait to be accepted.
    for _ in 0..<9 { self.waiting.append(try Connection(to: self.listener.address)) }
  }
}

/// ICE, DTLS, media and reports on one socket, over the kernel's loopback: what baresip's `test_call_webrtc` leaves out in
/// thread mode.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ICEThreadTests {
  private func wait(_ what: String, _ condition: () async -> Bool) async throws {
    for _ in 0..<6000 {
      if await condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    throw ModuleError(.peer, "\(what) did not come within 30 s")
  }

  private func report(_ call: CallID, _ pair: LivePair) async -> CallReport? {
    await pair.alice.reports.first { $0.id == call }
  }

  @Test("calls are checked, secured, restarted and re-keyed, and stay with one thread", arguments: RxMode.allCases)
  func calls(mode: RxMode) async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: "dtls_srtp", player: device, nat: "ice")
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    var calls: [CallID] = []
    for _ in 0..<3 { calls.append(try await pair.call("dtls_srtp", device)) }
    for call in calls {
      try await self.wait("media") { await self.report(call, pair)?.firstMedia != nil }
      #expect(await pair.alice.restartConnectivity(call))
    }
    for call in calls {
      try await self.wait("an answered restart") { await pair.alice.rekey(call) }
      try await self.wait("new keys") {
        await pair.alice.refreshStatistics()
        return await self.report(call, pair)?.media.rekeys == 1
      }
    }
    for call in calls { await pair.alice.hangUp(call) }
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    let reports = await ended.value + others.value
    #expect(reports.count == 6 && pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    for report in reports {
      #expect(report.failure == nil && report.mediaEncryption == "dtls_srtp" && report.media.receivedPackets > 0)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.checkDatagrams > 0 && report.media.accountedDatagrams == report.media.receivedDatagrams)
    }
  }

  @Test("a hang-up does not wait for a TURN server whose connection is still being made", arguments: RxMode.allCases)
  func unconnected(mode: RxMode) async throws {
    let server = try DeafServer()
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: "dtls_srtp", player: device, nat: "ice")
    var account = LivePair.account("alice", "dtls_srtp", device, "ice")
    account.natServers = [try STUNServerURI("turn:u:p@\(server.address)?transport=tcp")]
    let call = try await pair.alice.call("sip:bob@127.0.0.1:\(pair.port)", settings: account)
    try await Task.sleep(for: .milliseconds(100))
    let began = ContinuousClock.now
    await pair.alice.hangUp(call)
    await pair.alice.waitUntilIdle()
    // A server that has relayed something is given 1.2 s to say that it does no longer.
    let took = ContinuousClock.now - began
    #expect(took < .milliseconds(600), "\(took)")
    await pair.shutDown()
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    withExtendedLifetime(server) {}
  }

  @Test("a hang-up meets the checks at any moment, under loss", arguments: RxMode.allCases)
  func meets(mode: RxMode) async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await LivePair(mode: mode, encryption: "dtls_srtp", player: device, loss: 30, nat: "ice")
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    var generator = TestGenerator(seed: 73)
    let rounds = 8
    for round in 0..<rounds {
      let call = try await pair.call("dtls_srtp", device)
      usleep(UInt32.random(in: round % 2 == 0 ? 0...30_000 : 0...400_000, using: &generator))
      await pair.alice.hangUp(call)
      await pair.alice.waitUntilIdle()
    }
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    let reports = await ended.value + others.value
    #expect(reports.allSatisfy { $0.state == .ended && $0.failure == nil })
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    for report in reports { #expect(report.media.drops.auth == 0 && report.media.drops.plaintext == 0) }
  }
}
