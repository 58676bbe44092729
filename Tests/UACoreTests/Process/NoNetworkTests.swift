import AllModules
import Glibc
import ModuleKit
import NetBase
import Testing

@testable import UACore

/// A machine without any network interface.
@Suite struct NoNetworkTests {
  /// Moves this thread, and those that it starts, to a network of their own, where even the loopback is down.
  private static func leaveTheNetwork() {
    typealias Unshare = @convention(c) (Int32) -> Int32
    guard let symbol = unsafe dlsym(UnsafeMutableRawPointer(bitPattern: 0), "unshare") else { exit(10) }
    let newNetwork: Int32 = 0x4000_0000
    guard unsafe unsafeBitCast(symbol, to: Unshare.self)(newNetwork) == 0 else {
      print("no network namespace: errno \(errno); this test needs root")
      exit(11)
    }
  }

  private static func agent(_ mode: RxMode, listen: SocketAddress) -> UserAgent {
    self.leaveTheNetwork()
    var configuration = Configuration()
    configuration.activeModules = ["sip_udp", "udp", "g711", "srtp"]
    configuration.rxMode = mode
    return UserAgent(AgentSettings(available: allModules, configuration: configuration, listen: listen))
  }

  private static func expect(_ isTrue: Bool, _ code: Int32, _ text: String) {
    guard !isTrue else { return }
    print(text)
    exit(code)
  }

  @Test("without a network interface a call is refused with one sentence, in any mode, and the agent ends as ever")
  func noInterface() async {
    await #expect(processExitsWith: .success) {
      for mode in RxMode.allCases {
        let agent = NoNetworkTests.agent(mode, listen: SocketAddress(ipv4: 0, port: 0))
        try await agent.start()
        let settings = CallSettings(identity: "sip:alice@nowhere", source: nil, player: nil)
        do {
          _ = try await agent.call("sip:bob@192.0.2.1", settings: settings)
          NoNetworkTests.expect(false, 2, "the call was placed")
        } catch let error as ModuleError {
          NoNetworkTests.expect(
            error.kind == .unavailable
              && error.message == "there is no route to 192.0.2.1: no network interface leads there", 3, "\(error)")
        }
        let reports = await agent.reports
        NoNetworkTests.expect(reports.isEmpty, 4, "a call is left")
        await agent.shutDown()
      }
    }
  }

  @Test("an address that no interface has is refused at the start, or its first call says that nobody can be reached")
  func noAddress() async {
    await #expect(processExitsWith: .success) {
      let agent = NoNetworkTests.agent(.thread, listen: SocketAddress(ipv4: 0xC000_0209, port: 5060))
      let reports = LivePair.reports(of: agent)
      do {
        try await agent.start()
        // Linux lets one bind to anything where no interface ever had an address.
        let settings = CallSettings(identity: "sip:alice@nowhere", source: nil, player: nil)
        _ = try await agent.call("sip:bob@192.0.2.1", settings: settings)
        await agent.waitUntilIdle()
      } catch let error as ModuleError {
        NoNetworkTests.expect(error.message.contains("192.0.2.9:5060"), 2, "\(error)")
        exit(0)
      }
      await agent.shutDown()
      let report = await reports.value.first
      NoNetworkTests.expect(
        report?.reason == "unreachable" && report?.failure?.kind == .unavailable
          && report?.failure?.message.hasPrefix("sip:bob@192.0.2.1 is not there: ") == true, 3, "\(report as Any)")
    }
  }
}
