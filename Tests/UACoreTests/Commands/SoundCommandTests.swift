import Foundation
import ModuleKit
import TestSupport
import Testing

@testable import UACore

/// Sounds that are played here, and sound files of other codings in calls.
@Suite struct SoundCommandTests {
  /// A folder of the test's own.
  private final class Folder {
    let path = NSTemporaryDirectory() + "/apus-sound-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: self.path) }
  }

  /// Writes mono, as 16-bit numbers or as 32-bit floating point.
  static func write(_ samples: [Int16], to path: String, isFloat: Bool, rate: UInt32 = 8000) throws {
    func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
      unsafe withUnsafeBytes(of: value.littleEndian) { unsafe Array($0) }
    }
    let data = samples.flatMap { isFloat ? bytes((Float($0) / 32_768).bitPattern) : bytes($0) }
    let width = isFloat ? 4 : 2
    var file = Array("RIFF".utf8) + bytes(UInt32(36 + data.count)) + Array("WAVEfmt ".utf8) + bytes(UInt32(16))
    file += bytes(UInt16(isFloat ? 3 : 1)) + bytes(UInt16(1)) + bytes(rate) + bytes(rate * UInt32(width))
    file += bytes(UInt16(width)) + bytes(UInt16(8 * width)) + Array("data".utf8) + bytes(UInt32(data.count))
    try Data(file + data).write(to: URL(fileURLWithPath: path))
  }

  private static let tone = (0..<16_000).map { Int16(8000 * sin(Double($0) * 0.7)) }

  @Test(
    "test_play: a file is played on the device for alerts, to its end, or until another one or none",
    arguments: RxMode.allCases)
  func play(mode: RxMode) throws {
    let folder = try Folder()
    try Self.write(Self.tone, to: "\(folder.path)/tone.wav", isFloat: false)
    let alert = ProbeCapture.makeName()
    let agents = try SimulatedAgents(mode: mode) {
      $0.activeModules.append("aufile")
      ($0.audioPath, $0.audioAlert) = (folder.path, AudioDevice(driver: "probe", device: alert))
    }
    let alice = agents.alice
    #expect(try CallControlTests.run("/play tone.wav", alice) == "playing audio file \(folder.path)/tone.wav")
    agents.run(milliseconds: 3000)
    // Two seconds, in the format of local sounds.
    let heard = ProbeCapture.take(alert)
    #expect((95_000...97_000).contains(heard.count) && heard.count { abs(Int($0)) > 2000 } > 60_000)
    #expect(ProbeCapture.finishes(alert) == 1)
    try CallControlTests.run("/play \(folder.path)/tone.wav", alice)
    agents.run(milliseconds: 1000)
    try CallControlTests.run("/play", alice)
    #expect(ProbeCapture.finishes(alert) == 2)
    agents.run(milliseconds: 1000)
    #expect((47_000...50_000).contains(ProbeCapture.take(alert).count))
    let missing = alice.act { $0.execute(line: "/play nothing.wav") }
    #expect(!missing.isOK && missing.text.contains("nothing.wav: no such file"))
  }

  @Test("play needs a device to play on, and says which keys name it")
  func nowhere() throws {
    let agents = try SimulatedAgents { $0.activeModules.append("aufile") }
    let result = agents.alice.act { $0.execute(line: "/play x.wav") }
    #expect(!result.isOK && result.text.contains("audio_alert or audio_player"))
  }

  @Test(
    "test_call_format_float: samples in floating point are heard as those in 16 bits are", arguments: RxMode.allCases)
  func floatingPoint(mode: RxMode) throws {
    let folder = try Folder()
    var heard: [[Int16]] = []
    for isFloat in [false, true] {
      let path = "\(folder.path)/\(isFloat).wav"
      try Self.write(Self.tone, to: path, isFloat: isFloat)
      let agents = try SimulatedAgents(mode: mode) { $0.activeModules.append("aufile") }
      agents.aliceSettings.source = AudioDevice(driver: "aufile", device: path)
      let call = try agents.establishedCall()
      agents.run(milliseconds: 4000)
      agents.alice.act { $0.hangUp(call) }
      #expect(agents.runUntilIdle() && agents.bob.ended.first?.media.lost == 0)
      heard.append(ProbeCapture.take(agents.bobHears))
    }
    #expect(heard[0] == heard[1] && heard[0].count { abs(Int($0)) > 2000 } > 8000)
  }

  @Test(
    "a recording has the name that was asked for, whatever codec and packet time the peer chose",
    arguments: [("pcmu", 20), ("opus", 40)])
  func recording(codec: String, packetTime: Int) throws {
    let folder = try Folder()
    let agents = try SimulatedAgents(codec: nil) { $0.activeModules.append("aufile") }
    agents.aliceSettings.player = AudioDevice(driver: "aufile", device: "\(folder.path)/rec.wav")
    agents.bobSettings.codecs = [try #require(CodecPreference(codec))]
    agents.bobSettings.packetTime = packetTime
    let call = try agents.establishedCall()
    agents.run(milliseconds: 2000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle() && agents.alice.ended.first?.failure == nil)
    func size(_ name: String) throws -> Int {
      try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(name)")[.size] as? Int ?? 0
    }
    // The disk has a thread of its own.
    let deadline = Date().addingTimeInterval(10)
    while try size("rec.wav") < 16_000, Date() < deadline { usleep(20_000) }
    #expect(try size("rec.wav") >= 16_000)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["rec.wav"])
  }

  @Test("statmode tells the figures of the call that stands every second, until it ends or is switched off")
  func status() throws {
    let agents = try SimulatedAgents()
    func lines() -> [String] { agents.alice.events.compactMap { if case .status(let text) = $0 { text } else { nil } } }
    let call = try agents.establishedCall()
    agents.run(milliseconds: 3000)
    #expect(lines().isEmpty)
    #expect(try CallControlTests.run("S", agents.alice) == "status line: on")
    agents.run(milliseconds: 4500)
    #expect(lines().count == 5)
    // PCMU with RTP's header: 64 kbit/s and 4.8.
    #expect(lines().last?.hasPrefix("[0:00:0") == true && lines().last?.contains("audio 6") == true, "\(lines())")
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    agents.run(milliseconds: 2000)
    #expect(lines().count <= 7 && lines().last == "")
    let count = lines().count
    try agents.establishedCall()
    agents.run(milliseconds: 3000)
    #expect(lines().count >= count + 3)
    #expect(try CallControlTests.run("S", agents.alice) == "status line: off")
    #expect(lines().last == "")
    let last = lines().count
    agents.run(milliseconds: 3000)
    #expect(lines().count == last)
  }

  @Test("loglevel goes from one level to the next, or to the one that is named; each event has its place")
  func level() throws {
    let agents = try SimulatedAgents()
    var shown: [String] = []
    for _ in 0..<4 { shown.append(try CallControlTests.run("v", agents.alice)) }
    #expect(shown == ["debug", "error", "warn", "info"].map { "log level: \($0)" })
    try CallControlTests.run("/loglevel WARN", agents.alice)
    #expect(agents.alice.act { $0.logLevel } == .warn)
    #expect(!agents.alice.act { $0.execute(line: "/loglevel loud") }.isOK)
    let told = agents.alice.events.compactMap { if case .logLevel(let level) = $0 { level } else { nil } }
    #expect(told == [.debug, .error, .warn, .info, .warn])
    let call = CallID(number: 1)
    #expect(AgentEvent.incoming(call, from: "", answersItself: false).importance == .error)
    #expect(AgentEvent.warning(call, "").importance == .warn && AgentEvent.ringing(call).importance == .info)
    #expect(AgentEvent.registration(account: "", .failed("")).importance == .error)
    #expect(AgentEvent.registration(account: "", .registered).importance == .info)
  }
}
