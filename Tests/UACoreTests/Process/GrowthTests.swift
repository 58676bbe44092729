import AllModules
import Glibc
import ModuleKit
import NetBase
import Runtime
import TestSupport
import Testing

@testable import UACore

/// Descriptors and threads of this process.
private struct Holdings {
  let descriptors: Int
  let threads: Int

  static var now: Holdings {
    Holdings(descriptors: self.entries("/proc/self/fd"), threads: self.entries("/proc/self/task"))
  }

  private static func entries(_ folder: String) -> Int {
    guard let directory = unsafe opendir(folder) else { return -1 }
    defer { unsafe closedir(directory) }
    var count = 0
    while unsafe readdir(directory) != nil { count += 1 }
    return count
  }

  /// Whether there is more than a few threads of Swift's own tasks, which come and go, can explain.
  func exceeds(_ other: Holdings) -> Bool {
    self.descriptors > other.descriptors + 2 || self.threads > other.threads + 4
  }

  static let none = Holdings(descriptors: 0, threads: 0)

  /// The holdings once they do not exceed `limit`, or after `seconds`: threads take a moment to go.
  static func settled(at limit: Holdings, seconds: Int) async throws -> Holdings {
    for _ in 0..<seconds * 100 where self.now.exceeds(limit) { try await Task.sleep(for: .milliseconds(10)) }
    return self.now
  }
}

/// A module's source and player, with a device that is everywhere; a tone has no player.
private struct DeviceDriver {
  let source: AudioDevice
  let player: AudioDevice

  static func all(recording: String) throws -> [DeviceDriver] {
    let root = #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 }
    let speech = root + "/Config/media/speech_48000.wav"
    return [
      ("aufile", speech, recording), ("ausine", "440", nil), ("aubridge", "growth", "growth"), ("alsa", "null", "null"),
    ].filter { self.present.contains($0.0) }.map { name, source, player in
      DeviceDriver(
        source: AudioDevice(driver: name, device: source),
        player: player.map { AudioDevice(driver: name, device: $0) }
          ?? AudioDevice(driver: "probe", device: ProbeCapture.makeName()))
    }
  }

  /// The modules of this build that bring a source or a player.
  static let present: Set<String> = {
    let drivers = allModules.filter { type in
      let module = try? type.init(settings: ModuleSettings(keys: type.configKeys))
      return (module?.facets ?? []).contains { ["audio source", "audio player"].contains($0.kind) }
    }
    return Set(drivers.map { $0.name })
  }()
}

/// What stays behind, seen from outside; in a process of its own, where nothing else comes and goes.
@Suite struct GrowthTests {
  @Test("calls leave no descriptor and no thread behind, in any mode")
  func calls() async {
    await #expect(processExitsWith: .success) {
      for mode in RxMode.allCases {
        let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
        let pair = try await LivePair(mode: mode, encryption: "dtls_srtp", player: device)
        var after: Holdings?
        for round in 0..<24 {
          let encryption = [nil, "srtp-mand", "dtls_srtp"][round % 3]
          try await pair.bob.setAccounts([LivePair.account("bob", encryption, device)])
          let call = try await pair.call(encryption, device)
          usleep(round % 2 == 0 ? 15_000 : 40_000)
          await pair.alice.hangUp(call)
          await pair.alice.waitUntilIdle()
          await pair.bob.waitUntilIdle()
          if round == 5 { after = try await Holdings.settled(at: .none, seconds: 1) }
        }
        guard let before = after else { exit(1) }
        // Each of the 18 calls since then has two transports, so what stays behind counts in dozens.
        let now = try await Holdings.settled(at: before, seconds: 20)
        #expect(!now.exceeds(before), "\(mode): \(before), then \(now)")
        if now.exceeds(before) { exit(2) }
        await pair.shutDown()
      }
    }
  }

  @Test("the devices of every module, begun and ended at once, leave no descriptor and no thread behind, in any mode")
  func devices() async {
    await #expect(processExitsWith: .success) {
      let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
      let recording = "\(folder)/apus-growth-\(getpid()).wav"
      let drivers = try DeviceDriver.all(recording: recording)
      if Set(drivers.map(\.source.driver)) != DeviceDriver.present { exit(3) }
      for mode in RxMode.allCases {
        let pair = try await LivePair(
          mode: mode, encryption: nil, player: drivers[0].player, modules: Array(DeviceDriver.present))
        var after: Holdings?
        for round in 0..<8 * drivers.count {
          let driver = drivers[round % drivers.count]
          var alice = LivePair.account("alice", nil, driver.player)
          var bob = LivePair.account("bob", nil, driver.player)
          (alice.source, bob.source) = (driver.source, driver.source)
          try await pair.bob.setAccounts([bob])
          let call = try await pair.alice.call("sip:bob@127.0.0.1:\(pair.port)", settings: alice)
          // Before it is answered, while the devices open, and once they run.
          usleep([0, 10_000, 60_000][round % 3])
          await pair.alice.hangUp(call)
          await pair.alice.waitUntilIdle()
          await pair.bob.waitUntilIdle()
          if round == 3 * drivers.count { after = try await Holdings.settled(at: .none, seconds: 1) }
        }
        guard let before = after else { exit(1) }
        // A player of each of some twenty calls since then: what stays behind counts in dozens.
        let now = try await Holdings.settled(at: before, seconds: 20)
        #expect(!now.exceeds(before), "\(mode): \(before), then \(now)")
        if now.exceeds(before) { exit(2) }
        await pair.shutDown()
      }
      _ = unsafe unlink(recording)
      for number in 2...8 { _ = unsafe unlink("\(folder)/apus-growth-\(getpid())-\(number).wav") }
    }
  }

  @Test("calls that nobody answers are over when their agent ends, and leave no descriptor and no thread behind")
  func unanswered() async {
    await #expect(processExitsWith: .success) {
      // A provisional response never comes, so CANCEL does not leave in the time that the agent waits.
      let silent = try UDPSocket(SocketAddress(ipv4: 0x7F00_0001, port: 0))
      let target = "sip:nobody@\(silent.localAddress)"
      func callNobody(_ mode: RxMode) async throws {
        let device = AudioDevice(driver: "probe", device: ProbeCapture.makeName())
        let pair = try await LivePair(mode: mode, encryption: nil, player: device)
        let ended = LivePair.reports(of: pair.alice)
        for _ in 0..<8 { _ = try await pair.alice.call(target, settings: LivePair.account("alice", nil, device)) }
        await pair.shutDown()
        let reasons = await ended.value.map(\.reason)
        if reasons != Array(repeating: "hangup", count: 8) { exit(3) }
      }
      try await callNobody(.main)
      let before = try await Holdings.settled(at: .none, seconds: 1)
      for mode in RxMode.allCases { try await callNobody(mode) }
      let now = try await Holdings.settled(at: before, seconds: 20)
      if now.exceeds(before) { exit(2) }
      withExtendedLifetime(silent) {}
    }
  }

  @Test("an agent that could not start leaves nothing behind")
  func failedStarts() async {
    await #expect(processExitsWith: .success) {
      func start() async throws {
        var configuration = Configuration()
        // A filter for the main loop only, in a mode that can't run it: refused after the modules were made.
        configuration.activeModules = ["sip_udp", "udp", "g711", "srtp", "dtls_srtp", "vumeter"]
        configuration.rxMode = .pool
        let agent = UserAgent(
          AgentSettings(
            available: allModules, configuration: configuration, listen: SocketAddress(ipv4: 0x7F00_0001, port: 0)))
        do {
          try await agent.start()
          exit(3)
        } catch is AdmissionError {}
        await agent.shutDown()
      }
      for _ in 0..<3 { try await start() }
      let before = try await Holdings.settled(at: .none, seconds: 1)
      for _ in 0..<10 { try await start() }
      let now = try await Holdings.settled(at: before, seconds: 20)
      if now.exceeds(before) { exit(2) }
    }
  }
}
