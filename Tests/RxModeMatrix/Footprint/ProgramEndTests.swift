import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import Soaking
import TestSupport
import Testing
import aufile
import udp

@testable import UACore

/// The kernel's UDP, and the ports whose last packet was a goodbye.
private struct GoodbyeCounter: DatagramTransport {
  let ports = Locked<Set<SocketAddress>>([])
  /// Then a goodbye can't be told from another report: but few calls happen to have one as their last packet.
  let isEncrypted: Bool

  func open(_ address: SocketAddress, typeOfService: Int) throws(ModuleError) -> sending any DatagramPort {
    GoodbyePort(try UDPTransport().open(address, typeOfService: typeOfService), self)
  }
}

private final class GoodbyePort: DatagramPort {
  private let inner: any DatagramPort
  private let counter: GoodbyeCounter

  init(_ inner: any DatagramPort, _ counter: GoodbyeCounter) { (self.inner, self.counter) = (inner, counter) }

  var localAddress: SocketAddress { self.inner.localAddress }
  func attach(to context: LoopContext, _ handler: @escaping () -> Void) { self.inner.attach(to: context, handler) }
  func detach(from context: LoopContext) { self.inner.detach(from: context) }
  func fill(_ batch: PacketBatch) { self.inner.fill(batch) }
  var unsent: Int { self.inner.unsent }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    switch PacketClass(bytes) {
    case .rtp: _ = self.counter.ports.withLock { $0.remove(self.localAddress) }
    case .rtcp:
      if self.counter.isEncrypted || Self.hasGoodbye(bytes) {
        _ = self.counter.ports.withLock { $0.insert(self.localAddress) }
      }
    case .stun, .dtls, .turnChannel, .unknown: break
    }
    return self.inner.send(bytes, to: address)
  }

  /// Whether one of the packets of a plain RTCP compound is a BYE (RFC 3550 §6.6).
  private static func hasGoodbye(_ bytes: RawSpan) -> Bool {
    var offset = 0
    while offset + 4 <= bytes.byteCount, (200...204).contains(bytes.uint8(at: offset + 1)) {
      if bytes.uint8(at: offset + 1) == 203 { return true }
      offset += 4 * (Int(bytes.uint16(at: offset + 2)) + 1)
    }
    return false
  }
}

/// What the end of a program does with the calls that stand.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ProgramEndTests {
  /// Calls that stand at once. A thousand threads in one process want more than two processors to be calls in real time.
  private static func count(_ mode: RxMode) -> Int {
    #if DEBUG
      10
    #else
      mode == .thread && !Seeds.isLong ? 150 : 500
    #endif
  }

  /// Seconds that a recording says it has; nil unless its header agrees with its length.
  private static func playable(_ path: String) -> Double? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { unsafe fclose(file) }
    var head = [UInt8](repeating: 0, count: 44)
    guard unsafe fread(&head, 1, 44, file) == 44, unsafe fseek(file, 0, SEEK_END) == 0 else { return nil }
    func little(_ offset: Int) -> Int { (0..<4).reduce(0) { $0 | Int(head[offset + $1]) << (8 * $1) } }
    let length = unsafe ftell(file)
    let isWhole =
      Array(head[0..<4]) == Array("RIFF".utf8) && Array(head[36..<40]) == Array("data".utf8)
      && little(4) == length - 8 && little(40) == length - 44
    return isWhole ? Double(little(40)) / Double(little(28)) : nil
  }

  @Test(
    "the end of a program with 500 calls (150 with a thread each) ends each: BYE, RTCP BYE, a file that is closed and can be played",
    arguments: ManyCalls.Kind.all)
  func endsAll(kind: ManyCalls.Kind) async throws {
    let count = Self.count(kind.mode)
    var limit = rlimit()
    unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    limit.rlim_cur = limit.rlim_max
    _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    let base = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    let folder = "\(base)/apus-end-\(getpid())-\(kind.mode.rawValue)"
    _ = unsafe mkdir(folder, 0o700)
    defer {
      for number in 0..<count { _ = unsafe unlink("\(folder)/\(number).wav") }
      _ = unsafe rmdir(folder)
    }
    var settings = ManyCalls.settings(kind)
    settings.configuration.activeModules.append("aufile")
    let goodbyes = GoodbyeCounter(isEncrypted: kind.encryption != nil)
    settings.datagrams = goodbyes
    let alice = UserAgent(settings, name: "alice")
    let bob = ManyCalls.agent("bob", kind)
    try await alice.start()
    try await bob.start()
    try await bob.setAccounts([ManyCalls.account("bob", kind)])
    let listeners = [alice, bob].map { agent in
      Task {
        var ended: [CallReport] = []
        for await event in agent.events { if case .ended(let report) = event { ended.append(report) } }
        return ended
      }
    }
    let target = "sip:bob@127.0.0.1:\(await bob.listenAddress?.port ?? 0)"
    for number in 0..<count {
      var account = ManyCalls.account("alice", kind)
      account.player = AudioDevice(driver: "aufile", device: "\(folder)/\(number).wav")
      _ = try await alice.call(target, settings: account)
      try await Task.sleep(for: .milliseconds(5))
    }
    // Who asks often keeps a slow main from playing.
    try await wait(until: "all calls have played a second", seconds: 120, every: 500) {
      await alice.refreshStatistics()
      return await alice.reports.count { $0.media.playedFrames >= 50 } == count
    }
    let began = ContinuousClock.now
    // What a signal to stop does.
    await alice.shutDown()
    let isFlushed = AudioFile.flush()
    let took = ContinuousClock.now - began
    await bob.waitUntilIdle()
    let left = await bob.reports.count
    await bob.shutDown()
    let (hers, his) = (await listeners[0].value, await listeners[1].value)
    print("the end of \(hers.count) calls, \(kind): \(took)")
    #expect(hers.count == count && his.count == count && left == 0)
    for report in hers + his {
      #expect(report.reason == "hangup" && report.failure == nil, "\(report.reason)")
      #expect(report.mediaEncryption == kind.encryption ?? "none")
    }
    // From one port of each call.
    #expect(goodbyes.ports.withLock { $0.count } == count)
    #expect(isFlushed)
    let seconds = (0..<count).compactMap { Self.playable("\(folder)/\($0).wav") }
    #expect(seconds.count == count && seconds.allSatisfy { $0 > 0.5 }, "\(seconds.count), \(seconds.min() ?? 0)")
  }
}
