import AllModules
import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport
import Testing

@testable import UACore

/// Two agents with every SIP transport, over the kernel's loopback.
private struct ConnectedPair: Sendable {
  let alice: UserAgent
  let bob: UserAgent
  let addresses: [SIPTransportKind: SocketAddress]
  /// What went over Alice's transports.
  let trace = Locked<[String]>([])

  init(
    host: String = "127.0.0.1", transports: [SIPTransportKind] = SIPTransportKind.allCases,
    names: [DNSQuestion: DNSAnswer] = [:], verifiesClient: Bool = false, mode: RxMode = .main
  ) async throws {
    var configuration = Configuration()
    configuration.activeModules = [
      "udp", "sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "g711", "ausine", "aubridge",
    ]
    configuration.sipTransports = transports
    configuration.rxMode = mode
    configuration.rtpPorts = 20_000...32_000
    configuration.sipSecurity.authorityFile = TestCertificates.file(TestCertificates.authority)
    let listen = try #require(SocketAddress(host: host, port: 0))
    var settings = AgentSettings(available: allModules, configuration: configuration, listen: listen)
    settings.nameResolver = TableResolver(table: names)
    settings.traceSIP = { [trace] text in trace.withLock { $0.append(text) } }
    self.alice = UserAgent(settings, name: "alice")
    settings.traceSIP = nil
    settings.configuration.sipSecurity.certificate = TestCertificates.file(TestCertificates.server)
    settings.configuration.moduleValues = ["sip_ws_listen": listen.description, "sip_wss_listen": listen.description]
    settings.configuration.sipSecurity.verifiesClient = verifiesClient
    self.bob = UserAgent(settings, name: "bob")
    try await self.alice.start()
    try await self.bob.start()
    self.addresses = await self.bob.listenAddresses
    try await self.bob.setAccounts([Self.account("bob")])
  }

  static func account(_ name: String) -> CallSettings {
    var account = CallSettings(
      identity: "sip:\(name)@127.0.0.1", source: AudioDevice(driver: "ausine", device: "440"), player: nil)
    account.answersAtOnce = true
    return account
  }

  func call(_ target: String) async throws {
    _ = try await self.alice.call(target, settings: Self.account("alice"))
  }

  /// Waits, twenty seconds at most.
  func wait(_ isDone: () async -> Bool) async -> Bool {
    for _ in 0..<2000 {
      if await isDone() { return true }
      try? await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  func isUp() async -> Bool {
    await self.wait {
      let (here, there) = (await self.alice.reports.first, await self.bob.reports.first)
      return here?.state == .established && there?.state == .established
    }
  }

  func isIdle() async -> Bool {
    await self.wait {
      let (here, there) = (await self.alice.reports, await self.bob.reports)
      return here.isEmpty && there.isEmpty
    }
  }

  func shutDown() async {
    await self.alice.shutDown()
    await self.bob.shutDown()
  }
}

/// Answers from a table, on a thread of its own as a resolver does.
private struct TableResolver: NameResolver {
  let table: [DNSQuestion: DNSAnswer]

  func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
    let answer = self.table[question] ?? .nothing
    Task.detached { completion(answer) }
  }
}

@Suite("calls over every SIP transport", .serialized, .timeLimit(.minutes(3))) struct TransportCallTests {
  private static func target(_ kind: SIPTransportKind, _ address: SocketAddress) -> String {
    switch kind {
    case .udp: "sip:bob@\(address)"
    case .wss: "sips:bob@\(address);transport=ws"
    case .tcp, .tls, .ws: "sip:bob@\(address);transport=\(kind.name)"
    }
  }

  @Test(
    "either side hangs up, over the connection that there is",
    arguments: SIPTransportKind.allCases, ["127.0.0.1", "::1"])
  func calls(kind: SIPTransportKind, host: String) async throws {
    let pair = try await ConnectedPair(host: host)
    let address = try #require(pair.addresses[kind], "\(pair.addresses)")
    for calleeHangsUp in [false, true] {
      try await pair.call(Self.target(kind, address))
      #expect(await pair.isUp())
      if calleeHangsUp { await pair.bob.hangUpFirst() } else { await pair.alice.hangUpFirst() }
      #expect(await pair.isIdle())
    }
    let texts = pair.trace.withLock { $0 }
    let invite = try #require(texts.first { $0.contains("\nINVITE ") })
    #expect(invite.contains("Via: SIP/2.0/\(kind.rawValue) "), "\(invite)")
    // Nobody can connect to a WebSocket client, so it gives no address (RFC 7118 §5.1).
    let contact = try #require(invite.split(whereSeparator: \.isNewline).first { $0.contains("Contact: ") })
    #expect(
      contact.contains(".invalid;") == kind.isWebSocket && contact.contains(host) != kind.isWebSocket, "\(invite)")
    #expect(invite.contains(".invalid;rport;") == kind.isWebSocket)
    // The one URI here that is sips is that of WSS (RFC 3261 §8.1.1.8).
    #expect(contact.contains("<sips:") == (kind == .wss), "\(contact)")
    await pair.shutDown()
  }

  @Test("test_call_tcp: a call over TCP, heard both ways", arguments: RxMode.allCases)
  func overTCP(mode: RxMode) async throws {
    let pair = try await ConnectedPair(transports: [.tcp], mode: mode)
    try await pair.call(Self.target(.tcp, try #require(pair.addresses[.tcp])))
    #expect(await pair.isUp())
    #expect(
      await pair.wait {
        let (here, there) = (await pair.alice.reports.first, await pair.bob.reports.first)
        return here?.firstMedia != nil && there?.firstMedia != nil
      })
    let (here, there) = (await pair.alice.execute("/netstat").text, await pair.bob.execute("/netstat").text)
    #expect(here.contains("\ntcp connections: accepted 0, refused 0, open 0, connected 1, failed 0, "), "\(here)")
    #expect(there.contains("\ntcp connections: accepted 1, refused 0, open 1, connected 0, failed 0, "), "\(there)")
    await pair.alice.hangUpFirst()
    #expect(await pair.isIdle())
    await pair.shutDown()
  }

  @Test("test_call_deny_udp: where UDP is not wanted, a call over it is refused with a sentence")
  func deniedUDP() async throws {
    let pair = try await ConnectedPair(transports: [.tcp])
    let address = try #require(pair.addresses[.tcp])
    let error = await #expect(throws: ModuleError.self) { try await pair.call("sip:bob@\(address);transport=udp") }
    #expect(error?.message.contains("transport udp is not active (sip_transports, and the sip_ modules)") == true)
    await pair.shutDown()
  }

  @Test("a transport that sip_transports leaves out is not used, and the sentence says so")
  func leftOut() async throws {
    let pair = try await ConnectedPair(transports: [.udp])
    #expect(Set(pair.addresses.keys) == [.udp])
    let error = await #expect(throws: ModuleError.self) { try await pair.call("sip:bob@127.0.0.1:5060;transport=tcp") }
    #expect(error?.message.contains("transport tcp is not active (sip_transports, and the sip_ modules)") == true)
    await pair.shutDown()
  }

  @Test(
    "a call to a port where no one listens ends at once, over a connection too",
    arguments: [
      SIPTransportKind.udp, .tcp, .tls, .ws,
    ])
  func nobody(kind: SIPTransportKind) async throws {
    let pair = try await ConnectedPair()
    let listener = RawPeer.Listener()
    let address = listener.address
    _ = consume listener
    try await pair.call(Self.target(kind, address))
    #expect(await pair.wait { await pair.alice.reports.isEmpty })
    for await event in pair.alice.events {
      guard case .ended(let report) = event else { continue }
      #expect(report.failure?.kind == .unavailable)
      let message = report.failure?.message ?? ""
      #expect(message.contains("\(address): connection refused"), "\(message)")
      break
    }
    await pair.shutDown()
  }

  @Test("an SRV record leads to the server and its port, and to the next one when the first is gone")
  func failover() async throws {
    let listener = RawPeer.Listener()
    let gone = listener.address
    _ = consume listener
    // The table has to be there before the port is known: bob's is taken by a fixed one.
    let free = RawPeer.Listener()
    let port = free.address.port
    _ = consume free
    let pair = try await ConnectedPair(
      names: [
        .srv("_sip._tcp.example.test"): .srv([
          SRVRecord(priority: 1, weight: 0, port: gone.port, target: "one.example.test"),
          SRVRecord(priority: 2, weight: 0, port: port, target: "two.example.test"),
        ]),
        .a("one.example.test"): .addresses([SocketAddress(ipv4: 0x7F00_0001, port: 0)]),
        .a("two.example.test"): .addresses([SocketAddress(ipv4: 0x7F00_0001, port: 0)]),
      ])
    var configuration = Configuration()
    configuration.activeModules = ["udp", "sip_udp", "sip_tcp", "g711", "ausine", "aubridge"]
    let second = UserAgent(
      AgentSettings(
        available: allModules, configuration: configuration, listen: SocketAddress(ipv4: 0x7F00_0001, port: port)),
      name: "second")
    try await second.start()
    try await second.setAccounts([ConnectedPair.account("bob")])
    try await pair.call("sip:bob@example.test;transport=tcp")
    #expect(await pair.wait { await second.reports.first?.state == .established })
    await pair.alice.hangUpFirst()
    #expect(await pair.wait { await second.reports.isEmpty })
    #expect(await pair.isIdle())
    await second.shutDown()
    await pair.shutDown()
  }

  @Test("test_call_sni: a server is asked for by its name, and must prove just that one")
  func serverName() async throws {
    let here = DNSAnswer.addresses([SocketAddress(ipv4: 0x7F00_0001, port: 0)])
    let pair = try await ConnectedPair(names: [.a("example.test"): here, .a("stranger.test"): here])
    let port = try #require(pair.addresses[.tls]).port
    try await pair.call("sip:bob@example.test:\(port);transport=tls")
    #expect(await pair.isUp())
    await pair.alice.hangUpFirst()
    #expect(await pair.isIdle())
    try await pair.call("sip:bob@stranger.test:\(port);transport=tls")
    #expect(await pair.isIdle())
    var reasons: [String] = []
    for await event in pair.alice.events {
      guard case .ended(let report) = event else { continue }
      reasons.append(report.failure?.message ?? "none")
      if reasons.count == 2 { break }
    }
    #expect(reasons[0] == "none" && reasons[1].contains("stranger.test"), "\(reasons)")
    await pair.shutDown()
  }

  @Test("test_call_cert_select: an account shows its own certificate where one is wanted", arguments: [true, false])
  func ownCertificate(hasOne: Bool) async throws {
    let here = DNSAnswer.addresses([SocketAddress(ipv4: 0x7F00_0001, port: 0)])
    let pair = try await ConnectedPair(names: [.a("example.test"): here], verifiesClient: true)
    let port = try #require(pair.addresses[.tls]).port
    let file = TestCertificates.file(TestCertificates.client)
    var account = try #require(Account(uri: "sip:alice@example.test"))
    account.registrationInterval = 0
    account.certificate = hasOne ? file : nil
    var settings = CallSettings(account: account, configuration: Configuration())
    settings.source = AudioDevice(driver: "ausine", device: "440")
    try await pair.alice.setAccounts([settings])
    _ = try await pair.alice.call("sip:bob@example.test:\(port);transport=tls", settings: settings)
    #expect(hasOne ? await pair.isUp() : await pair.isIdle())
    await pair.alice.hangUpFirst()
    #expect(await pair.isIdle())
    await pair.shutDown()
  }

  @Test("a transport that is switched off takes no calls, and does again when it is on")
  func switched() async throws {
    let pair = try await ConnectedPair()
    #expect(await pair.bob.execute("/entransp tcp no").text == "SIP over: udp, tls, ws, wss")
    try await pair.call(Self.target(.tcp, try #require(pair.addresses[.tcp])))
    #expect(await pair.isIdle())
    #expect(await pair.bob.execute("/entransp tcp yes").isOK)
    try await pair.call(Self.target(.tcp, try #require(await pair.bob.listenAddresses[.tcp])))
    #expect(await pair.isUp())
    #expect(await pair.bob.execute("/entransp tcp no").isOK)
    #expect(await pair.bob.listenAddresses[.tcp] == nil)
    await pair.bob.hangUpFirst()
    await pair.alice.hangUpFirst()
    #expect(await pair.isIdle())
    await pair.shutDown()
  }

  @Test("a name without records is a sentence")
  func noName() async throws {
    let pair = try await ConnectedPair()
    let error = await #expect(throws: ModuleError.self) { try await pair.call("sip:bob@nowhere.test") }
    #expect(error?.kind == .unavailable && error?.message.hasPrefix("nowhere.test: the name has no address") == true)
    await pair.shutDown()
  }

  @Test(
    "whoever calls a lone name is told how a user is called, and whoever registers at one is not",
    .timeLimit(.minutes(1)))
  func loneName() async throws {
    let pair = try await ConnectedPair()
    let error = await #expect(throws: ModuleError.self) { try await pair.call("bob") }
    #expect(error?.message.contains("a user is called as sip:bob@DOMAIN") == true, "\(error?.message ?? "")")
    #expect(await pair.alice.execute("/uanew <sip:alice@office>").isOK)
    #expect(await pair.alice.execute("/uanew <sip:office>").isOK)
    var reasons: [String] = []
    for await event in pair.alice.events {
      guard case .registration(_, .failed(let reason)) = event else { continue }
      reasons.append(reason)
      if reasons.count == 2 { break }
    }
    let expected = "office: the name has no address; check it, or write the host's IP address"
    #expect(reasons == [expected, expected])
    let refused = await #expect(throws: ModuleError.self) { _ = try await pair.alice.call("bob") }
    #expect(refused?.message.contains("a user is called as sip:bob@DOMAIN") == true, "\(refused?.message ?? "")")
    await pair.shutDown()
  }
}

extension UserAgent {
  fileprivate func hangUpFirst() { if let id = self.reports.first?.id { self.hangUp(id) } }
}
