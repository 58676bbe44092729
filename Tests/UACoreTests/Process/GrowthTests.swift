import AllModules
import Glibc
import ModuleKit
import NetBase
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

  /// The holdings once they do not exceed `limit`, or after `seconds`: threads take a moment to go.
  static func settled(at limit: Holdings, seconds: Int) async throws -> Holdings {
    for _ in 0..<seconds * 100 where self.now.exceeds(limit) { try await Task.sleep(for: .milliseconds(10)) }
    return self.now
  }
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
          if round == 5 { after = try await Holdings.settled(at: Holdings(descriptors: 0, threads: 0), seconds: 1) }
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
      let before = try await Holdings.settled(at: Holdings(descriptors: 0, threads: 0), seconds: 1)
      for _ in 0..<10 { try await start() }
      let now = try await Holdings.settled(at: before, seconds: 20)
      if now.exceeds(before) { exit(2) }
    }
  }
}
