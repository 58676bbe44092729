import Glibc
import Handoff
import ModuleKit
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Never answers.
private struct SilentResolver: NameResolver {
  let asked = Locked(0)

  func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
    self.asked.withLock { $0 += 1 }
  }
}

/// The end of transports, with threads that ThreadSanitizer sees.
@Suite(.serialized, .timeLimit(.minutes(5))) struct StopTests {
  @Test(
    "50 calls end at any moment, and no handler of a transport runs after its end",
    arguments: RxMode.allCases, [nil, "srtp-mand", "dtls_srtp"])
  func rounds(mode: RxMode, encryption: String?) async throws {
    let player = ProbeCapture.makeName()
    let device = AudioDevice(driver: "probe", device: player)
    let pair = try await LivePair(mode: mode, encryption: encryption, player: device)
    let ended = LivePair.reports(of: pair.alice)
    var generator = TestGenerator(seed: 61)
    for round in 0..<50 {
      let call = try await pair.call(encryption, device)
      // From before the 200 until long after the first packets; media goes both ways meanwhile.
      usleep(UInt32.random(in: 0...60_000, using: &generator))
      if generator.happens(0.5) {
        await pair.alice.hangUp(call)
      } else {
        for report in await pair.bob.reports { await pair.bob.hangUp(report.id) }
        usleep(2000)
        await pair.alice.hangUp(call)
      }
      await pair.alice.waitUntilIdle()
      if round % 10 == 0 { await pair.bob.waitUntilIdle() }
    }
    await pair.alice.waitUntilIdle()
    await pair.bob.waitUntilIdle()
    let heard = ProbeCapture.samples(player).count
    usleep(100_000)
    #expect(ProbeCapture.samples(player).count == heard)
    await pair.shutDown()
    let reports = await ended.value
    #expect(reports.count == 50 && reports.allSatisfy { $0.state == .ended && $0.failure == nil })
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    #expect(pair.violations.handledCount > 50)
    for report in reports { #expect(report.media.drops.auth == 0 && report.media.drops.plaintext == 0) }
  }

  @Test("shutting down in the middle of calls ends them all", arguments: RxMode.allCases)
  func shutDown(mode: RxMode) async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    for encryption in [nil, "dtls_srtp"] {
      let pair = try await LivePair(mode: mode, encryption: encryption, player: device)
      for _ in 0..<3 { _ = try await pair.call(encryption, device) }
      usleep(30_000)
      await pair.shutDown()
      #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
    }
  }

  @Test("a call that waits for a name fails when its agent ends")
  func silentNames() async throws {
    let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    let names = SilentResolver()
    let pair = try await LivePair(mode: .main, encryption: nil, player: device) { $0.nameResolver = names }
    let call = Task {
      try await pair.alice.call("sip:bob@example.com", settings: LivePair.account("alice", nil, device))
    }
    while names.asked.withLock({ $0 }) == 0 { try await Task.sleep(for: .milliseconds(10)) }
    await pair.shutDown()
    await #expect(throws: ModuleError.self) { try await call.value }
  }

  @Test("a hang-up does not wait for a transport that is stuck in a driver", arguments: [RxMode.thread, .pool])
  func neverBlocks(mode: RxMode) async throws {
    let (slow, fast) = (
      AudioDevice(driver: "slow", device: ""), AudioDevice(driver: "probe", device: ProbeCapture.makeName())
    )
    SlowAudio.frames.withLock { $0 = 0 }
    let pair = try await LivePair(mode: mode, encryption: nil, player: slow, bobPlayer: fast)
    let call = try await pair.call(nil, slow)
    for _ in 0..<3000 where SlowAudio.frames.withLock({ $0 }) == 0 { usleep(1000) }
    // Alice's transport sleeps in its player from now on.
    let began = ContinuousClock.now
    await pair.alice.hangUp(call)
    let reports = await pair.alice.reports
    #expect(ContinuousClock.now - began < .milliseconds(1000))
    #expect(reports.first?.state == .ended, "SIP is done, the transport is not")
    await pair.alice.waitUntilIdle()
    #expect(ContinuousClock.now - began > .milliseconds(500))
    await pair.shutDown()
    #expect(pair.violations.all.isEmpty, "\(Set(pair.violations.all))")
  }
}
