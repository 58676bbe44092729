import Handoff
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing
import udp

@testable import UACore

/// The kernel's UDP, with a count of what was opened.
private struct CountedTransport: DatagramTransport {
  struct Opened: Sendable {
    /// Sockets of single transports.
    var own = 0
    /// Where shared pairs receive RTP.
    var pairs: [SocketAddress] = []
  }

  let opened = Locked(Opened())

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    let port = try UDPTransport().open(address, typeOfService: typeOfService)
    self.opened.withLock { $0.own += 1 }
    return port
  }

  func openShared(
    _ address: SocketAddress, typeOfService: Int, on loop: EventLoop
  ) throws(ModuleError) -> (any SharedDatagrams)? {
    let pair = try UDPTransport().openShared(address, typeOfService: typeOfService, on: loop)
    self.opened.withLock { $0.pairs.append(address) }
    return pair
  }
}

/// `rtp_single_port`: all calls between two ports, over the kernel's loopback.
@Suite(.serialized, .timeLimit(.minutes(3))) struct SinglePortTests {
  private func pair(
    _ mode: RxMode, _ encryption: String?, _ device: AudioDevice, nat: String? = nil, over transport: CountedTransport
  ) async throws -> LivePair {
    try await LivePair(mode: mode, encryption: encryption, player: device, nat: nat) { settings in
      settings.configuration.usesSinglePort = true
      settings.configuration.callMaxCalls = nil
      settings.configuration.callHoldOtherCalls = false
      settings.datagrams = transport
    }
  }

  private func wait(_ what: String, _ condition: () async -> Bool) async throws {
    for _ in 0..<6000 {
      if await condition() { return }
      try await Task.sleep(for: .milliseconds(5))
    }
    throw ModuleError(.peer, "\(what) did not come within 30 s")
  }

  /// Many calls at once, a second long.
  private func calls(
    _ count: Int, _ mode: RxMode, _ encryption: String?, nat: String? = nil, over transport: CountedTransport
  ) async throws -> [CallReport] {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await self.pair(mode, encryption, device, nat: nat, over: transport)
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    var calls: [CallID] = []
    for _ in 0..<count { calls.append(try await pair.call(encryption, device)) }
    for agent in [pair.alice, pair.bob] {
      try await self.wait("media of all calls") {
        let reports = await agent.reports
        return reports.count == count && reports.allSatisfy { $0.firstMedia != nil }
      }
    }
    try await Task.sleep(for: .seconds(1))
    for call in calls { await pair.alice.hangUp(call) }
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    return await ended.value + others.value
  }

  @Test(
    "20 calls at once between two ports of each loop lose nothing, and none hears another's",
    arguments: [RxMode.main, .pool], [nil, "srtp-mand"])
  func many(mode: RxMode, encryption: String?) async throws {
    let transport = CountedTransport()
    let reports = try await self.calls(20, mode, encryption, over: transport)
    #expect(reports.count == 40)
    for report in reports {
      let media = report.media
      #expect(report.failure == nil && media.receivedPackets > 30)
      #expect(media.lost == 0 && media.suspect == 0 && media.drops == DropCounters(), "\(media)")
      #expect(media.sendFailures == 0 && media.accountedDatagrams == media.receivedDatagrams)
    }
    let opened = transport.opened.withLock { $0 }
    // Of each of the two agents, on each of its loops.
    #expect(opened.own == 0 && opened.pairs.count == (mode == .main ? 2 : 4))
    #expect(Set(opened.pairs).count == opened.pairs.count && opened.pairs.allSatisfy { $0.port % 2 == 0 })
  }

  @Test("calls with ICE between two ports are told apart by what their checks name", arguments: [RxMode.main, .pool])
  func checked(mode: RxMode) async throws {
    let transport = CountedTransport()
    let reports = try await self.calls(6, mode, "srtp-mand", nat: "ice", over: transport)
    #expect(reports.count == 12 && transport.opened.withLock { $0.own } == 0)
    for report in reports {
      let media = report.media
      #expect(report.failure == nil && media.receivedPackets > 20 && media.checkDatagrams > 0)
      #expect(media.lost == 0 && media.suspect == 0 && media.drops == DropCounters(), "\(media)")
    }
  }

  @Test("where each call has a loop of its own, it has sockets of its own")
  func ownLoops() async throws {
    let transport = CountedTransport()
    let reports = try await self.calls(2, .thread, nil, over: transport)
    #expect(reports.count == 4 && reports.allSatisfy { $0.failure == nil && $0.media.lost == 0 })
    let opened = transport.opened.withLock { $0 }
    #expect(opened.own >= 8 && opened.pairs.isEmpty)
  }

  @Test("a second call with DTLS between the same ports fails with a sentence, and the first goes on")
  func dtls() async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let pair = try await self.pair(.main, "dtls_srtp", device, over: CountedTransport())
    let (ended, others) = (LivePair.reports(of: pair.alice), LivePair.reports(of: pair.bob))
    let first = try await pair.call("dtls_srtp", device)
    try await self.wait("media") { await pair.alice.reports.first { $0.id == first }?.firstMedia != nil }
    let second = try await pair.call("dtls_srtp", device)
    try await self.wait("the end of the second") { await !pair.alice.reports.contains { $0.id == second } }
    try await Task.sleep(for: .milliseconds(500))
    #expect(await pair.alice.reports.first { $0.id == first }?.state == .established)
    await pair.alice.hangUp(first)
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    await pair.shutDown()
    let reports = await ended.value + others.value
    let failures = reports.compactMap(\.failure?.message)
    #expect(failures.contains { $0.contains("set \"rtp_single_port no\"") }, "\(failures)")
    let whole = try #require(reports.first { $0.id == first })
    let (media, drops) = (whole.media, whole.media.drops)
    #expect(whole.failure == nil && media.lost == 0 && media.receivedPackets > 20, "\(media)")
    #expect(drops.auth == 0 && drops.source == 0 && drops.unknown == 0 && drops.plaintext == 0, "\(drops)")
  }

  @Test("what comes for no call is counted, and netstat tells where and how much")
  func nobodys() async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let transport = CountedTransport()
    let pair = try await self.pair(.main, nil, device, over: transport)
    #expect(await !pair.alice.execute("/netstat").text.contains("RTP of all calls"))
    let call = try await pair.call(nil, device)
    try await self.wait("media") { await pair.alice.reports.first?.firstMedia != nil }
    let address = try #require(transport.opened.withLock { $0.pairs.first })
    func unclaimed() async -> Int? {
      let text = await pair.alice.execute("/netstat").text
      let line = text.split(separator: "\n").first { $0.hasPrefix("RTP of all calls comes to \(address); ") }
      return line?.split(separator: ";").last?.split(separator: " ").first.flatMap { Int($0) }
    }
    let before = try #require(await unclaimed())
    let stranger = try UDPTransport().open(address.with(port: 0), typeOfService: 0)
    for sequence in UInt16(0)..<3 {
      _ = PlainPackets.pcmu(sequence: sequence).withRawSpan { stranger.send($0, to: address) }
    }
    try await self.wait("the count") { await unclaimed() == before + 3 }
    await pair.alice.hangUp(call)
    await pair.alice.waitUntilIdle()
    await pair.shutDown()
  }
}
