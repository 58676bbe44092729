import Foundation
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// What the device for alerts plays of calls that ring or can't be made.
@Suite struct ToneTests {
  /// Alice and Bob, each with a device for alerts, and nobody who answers by himself.
  private struct Lab {
    let agents: SimulatedAgents
    let alice = ProbeCapture.makeName()
    let bob = ProbeCapture.makeName()

    init(mode: RxMode = .main, configure: @escaping (inout Configuration) -> Void = { _ in }) throws {
      let (alice, bob) = (self.alice, self.bob)
      self.agents = try SimulatedAgents(
        mode: mode,
        configure: {
          $0.activeModules.append("aufile")
          configure(&$0)
        },
        adjust: {
          $0.configuration.audioAlert = AudioDevice(driver: "probe", device: $0.listen.host == "10.0.0.1" ? alice : bob)
        })
      self.agents.bobSettings.answersAtOnce = false
    }

    /// Alice calls Bob as he is.
    @discardableResult
    func callAgain(_ user: String = "bob", headers: [(String, String)] = []) throws -> CallID {
      let target = try SIPURI("sip:\(user)@10.0.0.2")
      return try self.agents.alice.act {
        try $0.call(target, at: self.agents.bob.address, settings: self.agents.aliceSettings, headers: headers)
      }
    }

    /// Alice calls as an intercom does, after so many seconds.
    func callToBeAnswered(after seconds: Int = 0) throws {
      self.agents.bobSettings.acceptsAutoAnswer = true
      self.agents.bob.act { $0.accounts = [self.agents.bobSettings] }
      try self.callAgain(headers: [("Call-Info", "<sip:x>;answer-after=\(seconds)")])
    }
  }

  /// When it sounds, in milliseconds since the player began, to the nearest ten.
  private func bursts(_ device: String) -> [ClosedRange<Int>] {
    let samples = ProbeCapture.samples(device)
    var found: [ClosedRange<Int>] = []
    for start in stride(from: 0, to: samples.count, by: 480) {
      guard samples[start...].prefix(480).contains(where: { abs(Int($0)) > 2000 }) else { continue }
      let time = start / 48
      if let last = found.last, last.upperBound == time {
        found[found.count - 1] = last.lowerBound...time + 10
      } else {
        found.append(time...time + 10)
      }
    }
    return found
  }

  /// Hz, from how often the sound of a burst goes up through zero.
  private func pitch(_ device: String, _ burst: ClosedRange<Int>) -> Double {
    let samples = ProbeCapture.samples(device)[burst.lowerBound * 48..<burst.upperBound * 48]
    let crossings = zip(samples, samples.dropFirst()).count { $0 < 0 && $1 >= 0 }
    return Double(crossings) * 1000 / Double(burst.count - 1)
  }

  private func isSilent(_ device: String) -> Bool { ProbeCapture.samples(device).isEmpty }

  @Test("a call rings here until it is answered, and where it comes from meanwhile", arguments: RxMode.allCases)
  func ring(mode: RxMode) throws {
    let lab = try Lab(mode: mode)
    try lab.agents.call()
    lab.agents.run(milliseconds: 7000)
    #expect(self.bursts(lab.bob) == [0...400, 600...1000, 4000...4400, 4600...5000])
    #expect(abs(self.pitch(lab.bob, 0...400) - 850) < 5)
    #expect(self.bursts(lab.alice) == [0...1000, 5000...6000])
    #expect(abs(self.pitch(lab.alice, 0...1000) - 425) < 5)
    #expect(ProbeCapture.finishes(lab.alice) == 0 && ProbeCapture.finishes(lab.bob) == 0)
    lab.agents.bob.act { $0.answer(lab.agents.bobCall) }
    lab.agents.run(milliseconds: 100)
    #expect(lab.agents.alice.isEstablished)
    #expect(ProbeCapture.finishes(lab.alice) == 1 && ProbeCapture.finishes(lab.bob) == 1)
    let heard = [lab.alice, lab.bob].map { ProbeCapture.samples($0).count }
    lab.agents.run(milliseconds: 5000)
    #expect([lab.alice, lab.bob].map { ProbeCapture.samples($0).count } == heard)
    #expect((335_000...337_500).contains(heard[0]) && (335_000...337_500).contains(heard[1]), "\(heard)")
  }

  @Test("ringing ends with the caller's patience, and nothing explains what he did himself")
  func cancelled() throws {
    let lab = try Lab()
    let call = try lab.agents.call()
    lab.agents.run(milliseconds: 700)
    lab.agents.alice.act { $0.hangUp(call) }
    #expect(lab.agents.runUntilIdle())
    lab.agents.run(milliseconds: 5000)
    #expect(self.bursts(lab.bob).count == 2 && ProbeCapture.finishes(lab.bob) == 1)
    #expect(self.bursts(lab.alice).count == 1 && ProbeCapture.finishes(lab.alice) == 1)
  }

  struct Refusal: Sendable {
    let status: Int
    let bursts: [ClosedRange<Int>]
    let pitches: [Double]
    static let all = [
      Refusal(
        status: 486, bursts: [0...500, 1000...1500, 2000...2500, 3000...3500],
        pitches: Array(repeating: 425, count: 4)),
      // The three tones follow each other without a gap.
      Refusal(status: 404, bursts: [0...990, 1990...2980], pitches: [1383, 1383]),
      Refusal(
        status: 480, bursts: (0..<8).map { $0 * 500...$0 * 500 + 250 }, pitches: Array(repeating: 425, count: 8)),
    ]
  }

  @Test("a refused call is heard to be busy, to nobody or impossible, for a while", arguments: Refusal.all)
  func refused(one: Refusal) throws {
    let lab = try Lab { $0.isRingbackDisabled = true }
    try lab.agents.call()
    lab.agents.run(milliseconds: 500)
    lab.agents.bob.act { $0.reject(lab.agents.bobCall, status: one.status) }
    #expect(lab.agents.runUntilIdle())
    lab.agents.run(milliseconds: 10_000)
    let heard = self.bursts(lab.alice)
    #expect(heard == one.bursts && ProbeCapture.finishes(lab.alice) == 1)
    for (burst, pitch) in zip(heard, one.pitches) { #expect(abs(self.pitch(lab.alice, burst) - pitch) < 10) }
  }

  @Test("the next call silences what is still said of the last")
  func next() throws {
    let lab = try Lab { $0.isRingbackDisabled = true }
    try lab.agents.call()
    lab.agents.run(milliseconds: 500)
    lab.agents.bob.act { $0.reject(lab.agents.bobCall) }
    lab.agents.run(milliseconds: 700)
    #expect(self.bursts(lab.alice) == [0...500])
    try lab.callAgain()
    lab.agents.run(milliseconds: 5000)
    #expect(self.bursts(lab.alice) == [0...500] && ProbeCapture.finishes(lab.alice) == 1)
  }

  @Test("a call that waits while another stands is told by the call waiting tone")
  func waiting() throws {
    let lab = try Lab()
    try lab.agents.call()
    lab.agents.run(milliseconds: 100)
    lab.agents.bob.act { $0.answer(lab.agents.bobCall) }
    lab.agents.run(milliseconds: 500)
    _ = (ProbeCapture.take(lab.alice), ProbeCapture.take(lab.bob))
    try lab.callAgain()
    lab.agents.run(milliseconds: 6000)
    #expect(self.bursts(lab.bob) == [0...200, 400...600, 5000...5200, 5400...5600])
    // Alice's other call stands: she hears that.
    #expect(self.isSilent(lab.alice))
    lab.agents.bob.act { $0.reject($0.reports[1].id) }
    lab.agents.run(milliseconds: 100)
    #expect(ProbeCapture.finishes(lab.bob) == 2)
  }

  @Test("stopringing silences the calls that ring, and not the next one")
  func silenced() throws {
    let lab = try Lab()
    try lab.agents.call()
    lab.agents.run(milliseconds: 500)
    try CallControlTests.run("/stopringing", lab.agents.bob)
    lab.agents.run(milliseconds: 5000)
    #expect(self.bursts(lab.bob) == [0...400] && ProbeCapture.finishes(lab.bob) == 1)
    try lab.callAgain()
    lab.agents.run(milliseconds: 500)
    #expect(ProbeCapture.samples(lab.bob).count > 40_000)
  }

  @Test("early media is heard in place of ringback, which ringback_disabled switches off", arguments: [true, false])
  func noRingback(early: Bool) throws {
    let lab = try Lab { $0.isRingbackDisabled = !early }
    if early { lab.agents.bobSettings.answerMode = .early }
    try lab.agents.call()
    lab.agents.run(milliseconds: 2000)
    #expect(self.isSilent(lab.alice) && self.bursts(lab.bob) == [0...400, 600...1000])
  }

  @Test("a call that answers itself does not ring")
  func automatic() throws {
    let lab = try Lab()
    lab.agents.bobSettings.answerMode = .auto
    lab.agents.bobSettings.answerDelay = 2000
    try lab.agents.call()
    lab.agents.run(milliseconds: 3000)
    #expect(lab.agents.bob.isEstablished && self.isSilent(lab.bob))
  }

  @Test("who is called by an intercom hears a beep, and then he is heard", arguments: RxMode.allCases)
  func beep(mode: RxMode) throws {
    let lab = try Lab(mode: mode)
    try lab.callToBeAnswered()
    lab.agents.run(milliseconds: 480)
    #expect(!lab.agents.bob.isEstablished && lab.agents.alice.report?.state == .ringing)
    lab.agents.run(milliseconds: 120)
    #expect(lab.agents.bob.isEstablished && lab.agents.alice.isEstablished)
    try #require(self.bursts(lab.bob) == [0...200, 300...500])
    #expect(ProbeCapture.finishes(lab.bob) == 1 && abs(self.pitch(lab.bob, 0...200) - 1000) < 6)
  }

  @Test("the delay that an intercom asks for begins when the beep is over")
  func beepAndDelay() throws {
    let lab = try Lab()
    try lab.callToBeAnswered(after: 2)
    lab.agents.run(milliseconds: 2450)
    #expect(!lab.agents.bob.isEstablished && self.bursts(lab.bob) == [0...200, 300...500])
    lab.agents.run(milliseconds: 200)
    #expect(lab.agents.bob.isEstablished)
  }

  @Test("two intercoms at once are answered after one beep; a call that is gone meanwhile leaves nothing behind")
  func beepForTwo() throws {
    let lab = try Lab()
    try lab.callToBeAnswered()
    lab.agents.run(milliseconds: 100)
    try lab.callToBeAnswered()
    let third = try lab.callAgain(headers: [("Call-Info", "<sip:x>;answer-after=0")])
    lab.agents.run(milliseconds: 100)
    lab.agents.alice.act { $0.hangUp(third) }
    lab.agents.run(milliseconds: 500)
    #expect(lab.agents.bob.act { $0.reports.filter { $0.state == .established }.count } == 2)
    #expect(self.bursts(lab.bob) == [0...200, 300...500])
    // And a person's call is told as before, by the call waiting tone, which follows without a gap on this device.
    lab.agents.bobSettings.acceptsAutoAnswer = false
    lab.agents.bob.act { $0.accounts = [lab.agents.bobSettings] }
    try lab.callAgain()
    lab.agents.run(milliseconds: 1000)
    #expect(self.bursts(lab.bob) == [0...200, 300...700, 900...1100])
  }

  @Test(
    "no beep where the account has none, where its file is none, and where nothing could play it",
    arguments: ["account", "none", "no device"])
  func noBeep(why: String) throws {
    let lab = try Lab { if why == "none" { $0.toneFiles[.autoAnswer] = "none" } }
    if why == "account" { lab.agents.bobSettings.beepsBeforeAnswer = false }
    if why == "no device" { lab.agents.bob.act { $0.settings.configuration.audioAlert = nil } }
    try lab.callToBeAnswered()
    lab.agents.run(milliseconds: 200)
    #expect(lab.agents.bob.isEstablished && self.isSilent(lab.bob))
  }

  enum File: String, CaseIterable, Sendable { case good, empty, missing, none }

  @Test(
    "ring_aufile rings in place of the tone, again and again; what can't be read is a tone", arguments: File.allCases)
  func file(kind: File) throws {
    let folder = NSTemporaryDirectory() + "/apus-tone-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    // Half a second of a square wave of 500 Hz, 48 kHz mono, and none.
    let sound = (0..<24_000).map { Int16(($0 / 48) % 2 == 0 ? 5000 : -5000) }
    for (name, samples) in [("good", sound), ("empty", [])] {
      try SoundCommandTests.write(samples, to: "\(folder)/\(name)", isFloat: false, rate: 48_000)
    }
    let lab = try Lab {
      $0.audioPath = folder
      $0.toneFiles[.ring] = kind.rawValue
    }
    try lab.agents.call()
    lab.agents.run(milliseconds: 2000)
    switch kind {
    case .good: #expect(ProbeCapture.finishes(lab.bob) == 4 && abs(self.pitch(lab.bob, 0...400) - 500) < 5)
    case .empty: #expect((50...101).contains(ProbeCapture.finishes(lab.bob)))
    case .missing:
      #expect(self.bursts(lab.bob) == [0...400, 600...1000])
      let said = lab.agents.bob.events.compactMap { if case .output(let text) = $0 { text } else { nil } }
      #expect(said.count == 1 && said[0].hasPrefix("ring_aufile: ") && said[0].hasSuffix("a tone is heard instead"))
    case .none: #expect(self.isSilent(lab.bob))
    }
  }
}
