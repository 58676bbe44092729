import Handoff
import ModuleKit
import NetBase
import SDPCodec
import TestSupport
import Testing

@testable import UACore

/// Keys that are none, in a call's first offer, in its answer, and in an offer of new ones.
@Suite struct BadKeysTests {
  /// What the peer's crypto lines become on their way.
  enum Fault: String, CaseIterable, Sendable {
    case tooShort = "a key that is too short"
    case tooLong = "a key that is too long"
    case ofAnotherSuite = "a key of another suite's length"
    case unknownSuite = "a suite that nobody knows"
    case noBase64 = "a key that is no base64"

    /// - Parameter line: `a=crypto:TAG SUITE inline:KEY`.
    func damaged(_ line: String) -> String {
      let words = line.split(separator: " ").map(String.init)
      guard words.count >= 3, words[0].hasPrefix("a=crypto:") else { return line }
      let key = words[2].dropFirst("inline:".count)
      let isLong = words[1].contains("256")
      switch self {
      case .tooShort: return "\(words[0]) \(words[1]) inline:\(key.prefix(20))"
      // Whole groups before the rest, so that it is base64 all the same.
      case .tooLong: return "\(words[0]) \(words[1]) inline:AAAA\(key)"
      case .ofAnotherSuite:
        return "\(words[0]) \(isLong ? "AES_CM_128_HMAC_SHA1_80" : "AES_256_CM_HMAC_SHA1_80") inline:\(key)"
      case .unknownSuite: return "\(words[0]) F8_128_HMAC_SHA1_80 inline:\(key)"
      case .noBase64: return "\(words[0]) \(words[1]) inline:\("*" + key.dropFirst())"
      }
    }
  }

  struct Way: Sendable, CustomTestStringConvertible {
    let fault: Fault
    let encryption: String
    let mode: RxMode
    var testDescription: String { "\(self.encryption) in mode \(self.mode.rawValue): \(self.fault.rawValue)" }

    static let all = RxMode.allCases.flatMap { mode in
      ["srtp", "srtp-mand", "srtp-mandf"].flatMap { encryption in
        Fault.allCases.map { Way(fault: $0, encryption: encryption, mode: mode) }
      }
    }
  }

  @Test("an offer that moves the audio to another line with bad keys changes nothing", arguments: RxMode.allCases)
  func movedLine(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: "srtp-mand", seed: 94)
    let descriptions = Descriptions(agents.simulation.network)
    descriptions.set { message in
      guard message.isRequest, message.isInCall, message.sender == "10.0.0.1",
        let start = message.body.firstIndex(where: { $0.hasPrefix("m=audio ") })
      else { return }
      let section = Array(message.body[start...])
      message.body[start] = "m=audio 0 " + section[0].split(separator: " ").dropFirst(2).joined(separator: " ")
      message.body += section.map(Fault.noBase64.damaged)
    }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    agents.alice.act { $0.setHold(call, true) }
    agents.run(milliseconds: 500)
    #expect(agents.bob.warnings.count == 1, "\(agents.bob.warnings)")
    descriptions.set(nil)
    // What Bob changes by himself, and offers, is of the line that stands.
    try agents.bob.act { try $0.calls[agents.bobCall]?.media?.change(bitrate: 32_000) }
    agents.bob.act { $0.setHold(agents.bobCall, true) }
    agents.run(milliseconds: 500)
    agents.bob.act { $0.setHold(agents.bobCall, false) }
    agents.run(milliseconds: 1500)
    let lines = agents.bob.act { $0.calls[agents.bobCall]?.media?.localDescription?.media.count }
    #expect(lines == 1 && agents.alice.report?.media.lost == 0 && agents.bob.report?.media.lost == 0)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    #expect(agents.alice.ended[0].failure == nil && agents.bob.ended[0].failure == nil)
  }

  @Test("an answer whose video has bad keys changes those of neither line", arguments: RxMode.allCases)
  func videoAnswer(mode: RxMode) throws {
    let cell = VideoCallTests.VideoCell(mode: mode, encryption: "srtp-mand", isBundled: false, nat: nil)
    let (agents, _, _) = try VideoCallTests.makeAgents(cell, seed: 95)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let descriptions = Descriptions(agents.simulation.network)
    let isOver = Locked(false)
    descriptions.set { message in
      guard !message.isRequest, let start = message.body.firstIndex(where: { $0.hasPrefix("m=video ") }),
        !isOver.withLock({ $0 })
      else { return }
      // What is said next, of what stands, comes through.
      isOver.withLock { $0 = true }
      message.body = message.body[..<start] + message.body[start...].map(Fault.tooShort.damaged)
    }
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 3000)
    descriptions.set(nil)
    #expect(agents.alice.warnings.count == 1, "\(agents.alice.warnings)")
    #expect(agents.alice.warnings.first?.contains("can't be used") == true)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    // What Bob sent under the keys of his answer, until Alice had said what stands.
    for report in [try #require(agents.alice.ended.first), try #require(agents.bob.ended.first)] {
      let video = try #require(report.videoTransport)
      #expect(report.media.drops.total < 10 && video.drops.total < 10, "\(report.media.drops) \(video.drops)")
      #expect(report.media.receivedPackets > 160 && report.failure == nil, "\(report.media.receivedPackets)")
    }
  }

  /// Two agents whose descriptions lose their keys on the way: those of requests, or those of answers.
  private func agents(_ way: Way, requests: Bool, isInCall: Bool) throws -> (SimulatedAgents, Descriptions) {
    let agents = try SimulatedAgents(mode: way.mode, encryption: way.encryption, seed: 93)
    let descriptions = Descriptions(agents.simulation.network)
    if !isInCall { self.damage(descriptions, way.fault, requests: requests) }
    return (agents, descriptions)
  }

  private func damage(_ descriptions: Descriptions, _ fault: Fault, requests: Bool) {
    descriptions.set { message in
      if message.isRequest == requests { message.body = message.body.map(fault.damaged) }
    }
  }

  @Test("keys that are none in an offer end the call with 488 and the reason, and nothing is sent", arguments: Way.all)
  func offer(way: Way) throws {
    let (agents, descriptions) = try self.agents(way, requests: true, isInCall: false)
    try agents.call()
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect(alice.reason == "rejected" && alice.status == 488 && bob.reason == "media")
    let sentence = bob.failure?.message ?? ""
    #expect(sentence.contains("no usable crypto line"), "\(sentence)")
    #expect(alice.media.sentPackets == 0 && bob.media.sentPackets == 0 && agents.alice.ended.count == 1)
    #expect(agents.simulation.network.mediaSocketCount == 0)
    descriptions.set(nil)
  }

  @Test("keys that are none in the answer end the call with the reason, and nothing is sent", arguments: Way.all)
  func answer(way: Way) throws {
    let (agents, descriptions) = try self.agents(way, requests: false, isInCall: false)
    try agents.call()
    #expect(agents.runUntilIdle(milliseconds: 40_000))
    let (alice, bob) = (try #require(agents.alice.ended.first), try #require(agents.bob.ended.first))
    #expect(alice.reason == "media" && alice.media.sentPackets == 0 && bob.media.receivedPackets == 0)
    let sentence = alice.failure?.message ?? ""
    #expect(sentence.contains("no usable crypto line"), "\(sentence)")
    #expect(agents.simulation.network.mediaSocketCount == 0)
    descriptions.set(nil)
  }

  @Test(
    "new keys that are none are refused with 488: the old ones go on, and the next change works", arguments: Way.all)
  func newKeys(way: Way) throws {
    let (agents, descriptions) = try self.agents(way, requests: true, isInCall: true)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 200)
    self.damage(descriptions, way.fault, requests: true)
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 300)
    descriptions.set(nil)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    #expect(agents.alice.warnings.count == 1 && agents.alice.warnings[0].contains("488"), "\(agents.alice.warnings)")
    #expect(agents.alice.act { $0.rekey(call) })
    agents.run(milliseconds: 500)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    for (agent, heard) in [(agents.alice, agents.aliceHears), (agents.bob, agents.bobHears)] {
      let report = try #require(agent.ended.first)
      #expect(report.failure == nil && report.media.rekeys == 1, "\(report.media.rekeys)")
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(agent.name) \(report.media.drops)")
      #expect(report.mediaEncryption == way.encryption)
      #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(heard)) != nil)
    }
  }
}
