import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// Keys in calls: packets before them, and their change while packets fly.
@Suite struct KeyingTests {
  @Test(
    "media that overtakes its 200 waits for it, and every sample is played", arguments: Cell.all, [UInt64(1), 2, 3])
  func mediaBeforeAnswer(cell: Cell, seed: UInt64) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: seed)
    agents.simulation.network.setSignalling(LinkConditions(delay: 200_000...200_000))
    let call = try agents.establishedCall()
    agents.run(milliseconds: 2000)
    agents.simulation.network.setSignalling(LinkConditions())
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let media = agent.ended[0].media
      #expect(media.lost == 0 && media.drops == DropCounters(), "\(agent.name) \(media.drops)")
      let matched = try #require(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)), "\(agent.name)")
      #expect(matched >= 8000 * 3 / 2)
    }
    // Bob spoke before Alice had his answer, except with DTLS, where keys take two round trips of media.
    let early = agents.alice.ended[0].firstMedia ?? .infinity
    #expect(early < 420)
  }

  @Test("media that no answer follows for long is dropped and counted, not kept")
  func mediaLongBeforeAnswer() throws {
    let agents = try SimulatedAgents(encryption: "srtp-mand")
    agents.simulation.network.setSignalling(LinkConditions(delay: 1_500_000...1_500_000))
    let call = try agents.call()
    #expect(agents.simulation.run(milliseconds: 8000) { agents.alice.isEstablished && agents.bob.isEstablished })
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle(milliseconds: 20_000))
    let drops = agents.alice.ended[0].media.drops
    #expect(drops.noKey >= 40 && drops.total == drops.noKey + drops.crowded, "\(drops)")
  }

  #if DEBUG
    private static let rekeys = 20
  #else
    private static let rekeys = 50
  #endif

  @Test(
    "test_call_srtp_tx_rekey: re-keys in a running call lose nothing", arguments: RxMode.allCases,
    ["srtp", "srtp-mand", "dtls_srtp"])
  func rekey(mode: RxMode, encryption: String) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: 51)
    agents.simulation.network.setMedia(LinkConditions(delay: 5000...40_000))
    agents.simulation.network.setSignalling(LinkConditions(delay: 1000...60_000))
    let call = try agents.establishedCall()
    var generator = TestGenerator(seed: 52)
    for round in 0..<Self.rekeys {
      let isAlice = generator.happens(0.5)
      let isOffered = isAlice ? agents.alice.act { $0.rekey(call) } : agents.bob.act { $0.rekey(agents.bobCall) }
      #expect(isOffered, "round \(round)")
      agents.run(milliseconds: Int64.random(in: 400...700, using: &generator))
    }
    agents.run(milliseconds: 1000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let media = agent.ended[0].media
      #expect(media.rekeys == Self.rekeys, "\(agent.name) \(media.rekeys)")
      #expect(media.lost == 0 && media.late == 0 && media.drops == DropCounters(), "\(agent.name) \(media)")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
      #expect(agent.warnings.isEmpty)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test(
    "re-keys at a pace that outruns their answers are refused or made good, and lose nothing",
    arguments: RxMode.allCases, ["srtp-mand", "dtls_srtp"])
  func rekeyInHaste(mode: RxMode, encryption: String) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: 53)
    agents.simulation.network.setMedia(LinkConditions(delay: 1000...60_000))
    let call = try agents.establishedCall()
    var offered = 0
    for _ in 0..<500 {
      if agents.alice.act({ $0.rekey(call) }) { offered += 1 }
      agents.run(milliseconds: 7)
    }
    agents.run(milliseconds: 2000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(offered > (encryption == "dtls_srtp" ? 10 : 20))
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.failure == nil)
    }
  }

  @Test(
    "what was answered stands while its ACK is on the way: an offer of ours must wait",
    arguments: ["srtp-mand", "dtls_srtp"], ["same", "new"])
  func beforeTheACK(encryption: String, rekeyPorts: String) throws {
    let agents = try SimulatedAgents(mode: .pool, encryption: encryption, seed: 57) {
      $0.moduleValues["dtls_srtp_rekey_ports"] = rekeyPorts
    }
    let call = try agents.establishedCall()
    agents.simulation.network.setSignalling(LinkConditions(delay: 200_000...200_000))
    #expect(agents.bob.act { $0.rekey(agents.bobCall) })
    agents.run(milliseconds: 300)
    #expect(!agents.alice.act { core in core.calls[call].map { core.reoffer($0) } ?? true })
    #expect(!agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    for isHeld in [true, false] {
      agents.alice.act { $0.setHold(call, isHeld) }
      agents.run(milliseconds: 2000)
    }
    // The old keys are given up meanwhile.
    agents.run(milliseconds: 40_000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for agent in [agents.alice, agents.bob] {
      let media = try #require(agent.ended.first?.media)
      #expect(media.rekeys == 1 && media.lost == 0 && media.drops == DropCounters(), "\(agent.name) \(media.drops)")
      #expect(agent.warnings.isEmpty)
    }
  }

  @Test(
    "re-keys from both sides at once settle, with hold between them", arguments: ["srtp-mand", "dtls_srtp"],
    RekeyMethod.allCases)
  func rekeyGlare(encryption: String, method: RekeyMethod) throws {
    let agents = try SimulatedAgents(mode: .pool, encryption: encryption, seed: 54) { $0.rekeyMethod = method }
    let call = try agents.establishedCall()
    for round in 0..<20 {
      _ = agents.alice.act { $0.rekey(call) }
      _ = agents.bob.act { $0.rekey(agents.bobCall) }
      if round % 3 == 0 { agents.alice.act { $0.setHold(call, round % 2 == 0) } }
      agents.run(milliseconds: 5000)
    }
    agents.alice.act { $0.setHold(call, false) }
    agents.run(milliseconds: 6000)
    let (before, after) = (ProbeCapture.samples(agents.bobHears).count, ProbeCapture.samples(agents.aliceHears).count)
    agents.run(milliseconds: 1000)
    #expect(ProbeCapture.samples(agents.bobHears).count - before == 8000)
    #expect(ProbeCapture.samples(agents.aliceHears).count - after == 8000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.lost == 0 && report.failure == nil && report.media.rekeys >= 8, "\(report.media.rekeys)")
    }
  }

  @Test("a packet under an old key is played while it may be in flight, and refused later", arguments: RxMode.allCases)
  func oldKey(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 55)
    let network = agents.simulation.network
    let kept = Locked<[Datagram]>([])
    let isKeeping = Locked(false)
    network.tap { datagram in
      guard !datagram.isSignalling, datagram.source.host == "10.0.0.2", datagram.source.port % 2 == 0,
        isKeeping.withLock({ $0 })
      else { return true }
      kept.withLock { $0.append(datagram) }
      return false
    }
    let call = try agents.establishedCall()
    // Long enough for reports to tell the round-trip time.
    agents.run(milliseconds: 15_000)
    // Two packets of Bob's are held up on their way.
    isKeeping.withLock { $0 = true }
    agents.run(milliseconds: 40)
    isKeeping.withLock { $0 = false }
    let (early, late) = (kept.withLock { $0[0] }, kept.withLock { $0[1] })
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 60)
    network.inject(early.bytes, from: early.source, to: early.destination)
    // Longer than three round trips, and still inside the replay window.
    agents.run(milliseconds: 1500)
    network.inject(late.bytes, from: late.source, to: late.destination)
    agents.run(milliseconds: 100)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = agents.alice.ended[0].media
    #expect(media.rekeys == 1)
    #expect(media.lost == 1, "the early one was accepted, the late one was not")
    #expect(media.drops.auth == 1 && media.drops.total == 1, "\(media.drops)")
  }

  @Test(
    "new DTLS associations over a network that loses handshake and media lose only what was lost", arguments: [1, 2])
  func rekeyUnderLoss(seed: UInt64) throws {
    let agents = try SimulatedAgents(mode: .thread, encryption: "dtls_srtp", seed: seed) { $0.rtpTimeout = nil }
    let call = try agents.establishedCall()
    agents.simulation.network.setMedia(LinkConditions(delay: 1000...30_000, loss: 0.05, duplication: 0.05))
    for _ in 0..<30 {
      _ = agents.alice.act { $0.rekey(call) }
      agents.run(milliseconds: 1500)
    }
    agents.simulation.network.setMedia(LinkConditions())
    agents.run(milliseconds: 3000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      let media = report.media
      #expect(report.failure == nil && media.rekeys >= 25, "\(media.rekeys)")
      #expect(media.drops.auth == 0 && media.drops.plaintext == 0 && media.drops.noKey == 0, "\(media.drops)")
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("a DTLS re-key whose handshake never gets through leaves the old keys at work, and the next one works")
  func rekeyWithoutHandshake() throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp", seed: 57)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    agents.simulation.network.tap { datagram in
      datagram.isSignalling || !(20..<64).contains(datagram.bytes.first ?? 0)
    }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 32_000)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.alice.warnings.contains { $0.contains("the keys stay as they were") }, "\(agents.alice.warnings)")
    agents.simulation.network.tap { _ in true }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 2000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.rekeys == 1)
    }
    #expect(agents.simulation.network.mediaSocketCount == 0)
  }

  @Test("what waits for an answer when its call is hung up is counted as that, and as nothing else")
  func hangUpBeforeTheAnswer() throws {
    let agents = try SimulatedAgents(encryption: "dtls_srtp", seed: 58)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    // Bob's ClientHello overtakes his answer.
    agents.simulation.network.setSignalling(LinkConditions(delay: 400_000...400_000))
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 600)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle(milliseconds: 20_000))
    let drops = agents.alice.ended[0].media.drops
    #expect(drops.ended > 0 && drops.total == drops.ended, "\(drops)")
    #expect(agents.alice.ended[0].media.lost == 0)
  }

  @Test("an answerer that sends under its new key before its answer is heard", arguments: RxMode.allCases)
  func mediaBeforeTheNewAnswer(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 59)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    agents.simulation.network.setSignalling(LinkConditions(delay: 100_000...100_000))
    for _ in 0..<5 {
      #expect(agents.alice.act { $0.rekey(call) })
      // He has the offer now; as soon as he has answered, he uses the key.
      agents.run(milliseconds: 110)
      #expect(agents.bob.act { $0.calls.values.first?.media?.post(.keying(.switchOutbound)) } == true)
      agents.run(milliseconds: 500)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for report in agents.alice.ended + agents.bob.ended {
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media.drops)")
      #expect(report.media.rekeys == 5)
    }
  }

  @Test(
    "who answers new keys goes on under the old one until the peer has the answer, however long that is under way",
    arguments: RxMode.allCases, RekeyMethod.allCases)
  func slowAnswer(mode: RxMode, method: RekeyMethod) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 60) { $0.rekeyMethod = method }
    let call = try agents.establishedCall()
    // Longer than what no key opens is kept.
    agents.simulation.network.setSignalling(LinkConditions(delay: 1_500_000...1_500_000))
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 8000)
    agents.simulation.network.setSignalling(LinkConditions())
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let media = agent.ended[0].media
      #expect(media.rekeys == 1 && media.lost == 0 && media.drops == DropCounters(), "\(agent.name) \(media)")
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }

  @Test("a call without encryption has no keys to change")
  func nothingToRekey() throws {
    let agents = try SimulatedAgents(encryption: nil)
    let call = try agents.establishedCall()
    #expect(!agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 100)
    #expect(agents.alice.isEstablished)
  }

  @Test("optional encryption falls back to the clear, and says so")
  func optional() throws {
    let agents = try SimulatedAgents(encryption: "srtp")
    agents.bobSettings.mediaEncryption = nil
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    #expect(agents.alice.report?.mediaEncryption == "none" && agents.alice.report?.profile == nil)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.bobHears)) ?? 0 > 1000)
  }
}
