// ThreadedCall MODE MEDIAENC SECONDS: a call between two agents, each on threads of its own, without Swift's task
// scheduler: Valgrind's thread checkers can't follow that one, nor Dispatch, and report hundreds of races in them.
//
// A call is made, held, resumed, given new keys where that is possible, and hung up. Exits with 0 when both sides heard
// each other.
//
// ThreadedCall --plant leak|race: no call, but a fault that the checkers must report.
internal import AllModules
internal import Glibc
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack
internal import UACore

/// One agent: its core on its main loop, and what it told.
final class Agent: Sendable {
  private let main: EventLoop
  private let core: LoopBound<AgentCore>
  private let pool: LoopPool
  private let ended = Locked<[CallReport]>([])
  private let name: String

  init(_ name: String, _ mode: RxMode, _ encryption: String?) {
    self.name = name
    let main = EventLoop.start(name: name)
    let core = LoopBound<AgentCore>(on: main)
    let pool = LoopPool(count: 2, name: "\(name)-pool")
    (self.main, self.core, self.pool) = (main, core, pool)
    main.sync { [ended] context in
      var configuration = Configuration()
      configuration.activeModules = ["udp", "sip_udp", "g711", "srtp", "dtls_srtp", "ausine"]
      configuration.rxMode = mode
      let settings = AgentSettings(
        available: allModules, configuration: configuration, listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
      do {
        let made = try AgentCore(
          settings: settings, main: main, context: context, loops: TransportLoops(main: main, pool: pool),
          wallClockOffset: wallClockNanoseconds() - context.now.nanoseconds
        ) { event in
          if case .ended(let report) = event { ended.withLock { $0.append(report) } }
        }
        try made.start()
        made.accounts = [Self.account(name, encryption)]
        core.put(made)
      } catch { fail("\(name): \(error)") }
    }
  }

  private static func account(_ name: String, _ encryption: String?) -> CallSettings {
    var account = CallSettings(
      identity: "sip:\(name)@127.0.0.1", source: AudioDevice(driver: "ausine", device: "440"), player: nil)
    account.mediaEncryption = encryption
    account.usesRTCPMux = true
    account.answersAtOnce = true
    account.codecs = CodecPreference("pcmu").map { [$0] } ?? []
    return account
  }

  /// Runs `body` on the agent's main loop and waits for it.
  func act<Result: Sendable>(_ body: @escaping @Sendable (AgentCore) -> Result) -> Result? {
    let core = self.core
    return self.main.sync { _ in core.withValue(body) } ?? nil
  }

  var report: CallReport? {
    self.act { core in
      for report in core.reports { core.refreshStatistics(report.id) }
      return core.reports.first
    } ?? nil
  }

  /// The report of the call, when it is over.
  var last: CallReport? { self.ended.withLock { $0.first } }

  func call(_ other: Agent) {
    guard let address = other.act({ $0.listenAddress }) ?? nil else { fail("there is no address") }
    let name = other.name
    let failure = self.act { core -> String? in
      do {
        _ = try core.call(SIPURI("sip:\(name)@127.0.0.1"), at: address, settings: core.accounts[0])
        return nil
      } catch { return "\(error)" }
    }
    if let failure = failure ?? nil { fail(failure) }
  }

  func stop() {
    _ = self.act { $0.close() }
    let core = self.core
    self.main.sync { _ in _ = core.take() }
    self.main.stop()
    self.pool.stop()
  }
}

func fail(_ what: String) -> Never {
  print("failed: \(what)")
  exit(1)
}

/// Waits for a condition; Valgrind is slow.
func wait(until what: String, _ condition: () -> Bool) {
  for _ in 0..<1200 {
    if condition() { return }
    usleep(50_000)
  }
  fail("waited in vain until \(what)")
}

let arguments = CommandLine.arguments
if arguments.count == 3, arguments[1] == "--plant" {
  plant(arguments[2])
  exit(0)
}
guard arguments.count == 4, let mode = RxMode(rawValue: arguments[1]), let seconds = Double(arguments[3]) else {
  fail("usage: ThreadedCall MODE MEDIAENC SECONDS")
}
let encryption = arguments[2] == "none" ? nil : arguments[2]
let (alice, bob) = (Agent("alice", mode, encryption), Agent("bob", mode, encryption))
alice.call(bob)
wait(until: "each hears the other") {
  [alice, bob].allSatisfy { ($0.report?.media.receivedPackets ?? 0) >= 5 }
}
guard let call = alice.report?.id else { fail("there is no call") }
_ = alice.act { $0.setHold(call, true) }
wait(until: "Bob is on hold") { bob.report?.isHeldByPeer == true }
_ = alice.act { $0.setHold(call, false) }
wait(until: "Bob is off hold") { bob.report?.isHeldByPeer == false }
if alice.act({ $0.rekey(call) }) == true {
  wait(until: "the new keys are in use") { (bob.report?.media.rekeys ?? 0) == 1 }
}
let heard = bob.report?.media.receivedPackets ?? 0
usleep(UInt32(seconds * 1_000_000))
wait(until: "Bob hears more") { (bob.report?.media.receivedPackets ?? 0) > heard + 5 }
_ = alice.act { $0.hangUp(call) }
wait(until: "both calls are over") { alice.last != nil && bob.last != nil }
alice.stop()
bob.stop()
guard let first = alice.last, let second = bob.last else { fail("there is no report") }
for report in [first, second] {
  guard report.reason == "hangup", report.failure == nil, report.mediaEncryption == encryption ?? "none" else {
    fail("\(report.reason), \(report.mediaEncryption)")
  }
}
print("heard \(first.media.receivedPackets) and \(second.media.receivedPackets) packets")
