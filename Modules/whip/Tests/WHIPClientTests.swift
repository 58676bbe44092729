internal import AllModules
internal import Glibc
internal import HTTPClient
internal import HTTPServer
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import TestSupport
internal import Testing
internal import UACore

@testable internal import whip

/// Calls to endpoints of WHIP and WHEP: to our own server, and to one that answers as a test wants it.
@Suite struct WHIPClientTests {
  @Test(
    "who publishes sends and hears, who views hears, and DELETE ends both sides", arguments: RxMode.allCases,
    [false, true])
  func call(mode: RxMode, views: Bool) async throws {
    let server = try await Caller(mode, token: "s3cret")
    let client = try await Caller(mode, clientToken: "s3cret")
    let endpoint = views ? "whep" : "whip"
    let result = await client.agent.execute("/\(endpoint) http://127.0.0.1:\(server.port)/\(endpoint)")
    #expect(result == CommandResult(isOK: true, text: "call 1: calling http://127.0.0.1:\(server.port)/\(endpoint)"))
    try await client.wait { $0.first?.media.receivedPackets ?? 0 > 20 }
    if !views { try await server.wait { $0.first?.media.receivedPackets ?? 0 > 20 } }
    #expect(await client.agent.execute("/listcalls").text.contains("/\(endpoint)"))
    _ = await client.agent.execute("/hangup")
    let reports = [await client.ended(), await server.ended()]
    for report in reports {
      #expect(report.reason == "hangup" && report.profile != nil && report.failure == nil)
      #expect(report.media.lost == 0 && report.media.drops == DropCounters(), "\(report.media)")
    }
    #expect(reports.map(\.isOutgoing) == [true, true])
    if views { #expect(reports[0].media.sentPackets == 0 && reports[1].media.receivedPackets == 0) }
    await client.agent.shutDown()
    await server.agent.shutDown()
  }

  @Test("a call that its server ends is over here too")
  func serverEnds() async throws {
    let (server, client) = (try await Caller(.pool), try await Caller(.pool))
    _ = await client.agent.execute("/whip http://localhost:\(server.port)/whip")
    try await client.wait { $0.first?.media.receivedPackets ?? 0 > 0 }
    await server.agent.shutDown()
    #expect(await client.ended().reason == "hangup")
    await client.agent.shutDown()
  }

  @Test(
    "what is refused ends the call with one sentence",
    arguments: [
      (401, "refuses the call (401): whip_client_token"), (403, "whip_client_token"), (404, "there is no endpoint at"),
      (400, "refuses the offer (400)"), (503, "takes no call now (503)"), (500, "fails (500)"), (204, "(204)"),
    ])
  func refused(status: Int, sentence: String) async throws {
    let endpoint = try ScriptedEndpoint { _ in HTTPResponse(status, "no") }
    defer { endpoint.stop() }
    let report = try await Self.failed("/whip \(endpoint.url)/whip", token: "s3cret")
    #expect(report.failure?.message.contains(sentence) == true, "\(report)")
    #expect(report.failure?.message.contains("\n") == false && !"\(report)".contains("s3cret"))
    #expect(endpoint.log == ["POST /whip Bearer s3cret"])
  }

  @Test(
    "an answer that is none ends the call, and the session where there is one",
    arguments: [
      ([("Location", "/s")], "v=0", "not with application/sdp", true),
      ([("Content-Type", "application/sdp")], "v=0", "without the Location", false),
      ([("Content-Type", "application/sdp"), ("Location", "s/1")], "nonsense", "description can't be used", true),
      (
        [("Content-Type", "application/sdp"), ("Location", "/s")], String(repeating: "x", count: 70_000), "longer",
        false
      ),
    ])
  func unusable(headers: [(String, String)], answer: String, sentence: String, isDeleted: Bool) async throws {
    let endpoint = try ScriptedEndpoint { request in
      request.method == "DELETE" ? HTTPResponse(200) : HTTPResponse(201, headers: headers, body: Array(answer.utf8))
    }
    defer { endpoint.stop() }
    let report = try await Self.failed("/whep \(endpoint.url)/a/whep?x=1")
    #expect(report.failure?.message.contains(sentence) == true, "\(report)")
    #expect(report.failure?.message.contains("x=1") == false)
    let path = headers.contains { $0.1 == "s/1" } ? "/a/s/1" : "/s"
    #expect(
      endpoint.log.count == (isDeleted ? 2 : 1) && (!isDeleted || endpoint.log[1] == "DELETE \(path)"),
      "\(endpoint.log)")
  }

  @Test("redirections are followed three times, and none shows the token to another server")
  func redirected() async throws {
    let other = try ScriptedEndpoint { _ in HTTPResponse(404) }
    let elsewhere = other.url
    let endpoint = try ScriptedEndpoint { request in
      switch request.path {
      case "/1": HTTPResponse(307, headers: [("Location", "2")])
      case "/2": HTTPResponse(308, headers: [("Location", "\(elsewhere)/there")])
      case "/round": HTTPResponse(307, headers: [("Location", "/round")])
      case "/seen": HTTPResponse(303, headers: [("Location", "/1")])
      default: HTTPResponse(307, headers: [("Location", "ftp://127.0.0.1/")])
      }
    }
    defer {
      endpoint.stop()
      other.stop()
    }
    for (path, sentence) in [
      ("1", "there is no endpoint at \(elsewhere)/there"), ("round", "redirects more than 3 times"),
      ("seen", "refuses the offer (303)"), ("ftp", "no URL of http or https"),
    ] {
      let report = try await Self.failed("/whip \(endpoint.url)/\(path)", token: "s3cret")
      #expect(report.failure?.message.contains(sentence) == true, "\(report)")
    }
    let rounds = Array(repeating: "POST /round Bearer s3cret", count: 4)
    #expect(
      endpoint.log == ["POST /1 Bearer s3cret", "POST /2 Bearer s3cret"] + rounds
        + ["POST /seen Bearer s3cret", "POST /ftp Bearer s3cret"])
    #expect(other.log == ["POST /there"])
  }

  @Test("by TLS only to who proves the name, and from there to nobody without TLS")
  func secure() async throws {
    let authority = TestCertificates.file(TestCertificates.authority)
    let plain = try ScriptedEndpoint { _ in HTTPResponse(404) }
    let target = plain.url
    defer { plain.stop() }
    for (certificate, sentence) in [
      (TestCertificates.server, "which is without TLS"),
      (TestCertificates.stranger, "name its authority in sip_cafile"),
      (TestCertificates.elsewhere, "certificate is for another name"),
    ] {
      let endpoint = try ScriptedEndpoint(certificate: TestCertificates.file(certificate)) { _ in
        HTTPResponse(307, headers: [("Location", "\(target)/whip")])
      }
      let report = try await Self.failed("/whip \(endpoint.url)/whip", token: "s3cret", authority: authority)
      #expect(report.failure?.message.contains(sentence) == true, "\(report)")
      #expect(endpoint.log.count == (certificate == TestCertificates.server ? 1 : 0))
      endpoint.stop()
    }
    #expect(plain.log.isEmpty)
  }

  /// Nothing here waits for the test's own turn, which comes when a busy machine has one for it: by then the endpoint may be
  /// given up.
  @Test("who hangs up before the answer has come still ends the session that it brings")
  func hungUpEarly() async throws {
    let client = try await Caller(.main)
    let agent = client.agent
    let (hosts, isEnded) = (Locked<[String?]>([]), Locked(false))
    let endpoint = try ScriptedEndpoint { request in
      hosts.withLock { $0.append(request["Host"]) }
      if request.method == "POST" {
        // On main's loop, which is the agent's executor; `assumeIsolated` traps anywhere else.
        let isHungUp = agent.main.sync { _ in agent.assumeIsolated { $0.execute("/hangup").isOK } }
        return HTTPResponse(isHungUp == true ? 201 : 500, headers: [("Location", "/s")])
      }
      // Who does not wait for this is gone before it.
      usleep(100_000)
      isEnded.withLock { $0 = true }
      return HTTPResponse(200)
    }
    defer { endpoint.stop() }
    _ = await agent.execute("/whip \(endpoint.url)/whip")
    #expect(await client.ended().reason == "hangup")
    await agent.shutDown()
    #expect(endpoint.log == ["POST /whip", "DELETE /s"] && isEnded.withLock { $0 })
    #expect(hosts.withLock { $0 }.allSatisfy { "http://\($0 ?? "")" == endpoint.url })
  }

  @Test("a call that failed leaves its agent nothing to wait for")
  func failedIsOver() async throws {
    let loop = EventLoop.start(name: "failed")
    defer { loop.stop() }
    let url = try #require(HTTPURL("http://\(RawPeer.Listener().address)/"))
    let isTold = Locked(false)
    _ = loop.sync { _ in
      let client = WHIPClient(url, token: nil, http: HTTPClient(module: "whip", security: SIPSecurity(), on: loop))
      client.carry([]) { _ in client.end { isTold.withLock { $0 = true } } }
      return true
    }
    for _ in 0..<1000 where !isTold.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(10)) }
    #expect(isTold.withLock { $0 })
  }

  @Test("a server that is gone, says nothing, or speaks something else, is told apart")
  func gone() async throws {
    let free = RawPeer.Listener().address
    #expect(try await Self.failed("/whip http://\(free)/whip").failure?.message.contains("connection refused") == true)
    let cases = [
      ("", "closed before the answer"), ("SSH-2.0-x\r\n\r\n", "is not HTTP"),
      ("HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\nv=0", "closed before the answer"),
    ]
    let listener = RawPeer.Listener()
    listener.serve(cases.count) { index, peer in
      _ = peer.text(until: "\r\n\r\nv=0")
      peer.send(cases[index].0)
    }
    for (_, sentence) in cases {
      let failure = try await Self.failed("/whip http://\(listener.address)/whip").failure
      #expect(failure?.message.contains(sentence) == true, "\(String(describing: failure))")
    }
    let loop = EventLoop.start(name: "silent")
    defer { loop.stop() }
    let url = try #require(HTTPURL("http://\(listener.address)/"))
    let said = Locked<String?>(nil)
    _ = loop.sync { _ in
      HTTPClient(module: "whip", security: SIPSecurity(), patience: 200, on: loop).send("POST", to: url) { result in
        if case .failure(let error) = result { said.withLock { $0 = error.message } }
      }
      return true
    }
    for _ in 0..<1000 where said.withLock({ $0 }) == nil { try await Task.sleep(for: .milliseconds(10)) }
    #expect(said.withLock { $0 } == "http://\(listener.address)/: it does not answer within 0.2 s")
  }

  @Test(
    "a command without a URL of http or https says what it takes",
    arguments: ["", "example.com", "ftp://example.com", "http://", "https://me:secret@example.com/whip", "http://a b/"])
  func noURL(text: String) async throws {
    let client = try await Caller(.main)
    let result = await client.agent.execute("/whip \(text)")
    #expect(
      !result.isOK && result.text.hasPrefix("/whip takes the URL of an endpoint") && !result.text.contains("secret@"))
    await client.agent.shutDown()
  }

  /// The report of a call that did not come to be.
  private static func failed(_ line: String, token: String? = nil, authority: String? = nil) async throws -> CallReport
  {
    let client = try await Caller(.main, clientToken: token, authority: authority)
    let result = await client.agent.execute(line)
    #expect(result.isOK, "\(result)")
    let report = await client.ended()
    #expect(report.setup == nil)
    await client.agent.shutDown()
    return report
  }
}

/// An agent with a tone, and WHIP both ways.
private final class Caller: Sendable {
  /// Below what the kernel gives to whoever asks for any: a port is not taken between its choice and its use.
  private static let ports = Locked<UInt16>(UInt16.random(in: 10_000...18_000))

  let agent: UserAgent
  let port: UInt16
  private let reports: Task<CallReport?, Never>

  init(_ mode: RxMode, token: String? = nil, clientToken: String? = nil, authority: String? = nil) async throws {
    self.port = Self.ports.withLock { next in
      next += 1
      return next
    }
    var configuration = Configuration()
    configuration.activeModules = ["sip_udp", "udp", "g711", "dtls_srtp", "ice", "ausine", "whip"]
    (configuration.rxMode, configuration.rxWorkers) = (mode, 1)
    configuration.netInterface = "127.0.0.1"
    configuration.rtpPorts = 20_000...32_000
    configuration.audioSource = AudioDevice(driver: "ausine", device: "440")
    configuration.sipSecurity.authorityFile = authority
    configuration.moduleValues = ["whip_listen": "127.0.0.1:\(self.port)"]
    configuration.moduleValues["whip_token"] = token
    configuration.moduleValues["whip_client_token"] = clientToken
    let agent = UserAgent(
      AgentSettings(
        available: allModules, configuration: configuration, listen: SocketAddress(ipv4: 0x7F00_0001, port: 0)))
    self.agent = agent
    self.reports = Task {
      for await event in agent.events { if case .ended(let report) = event { return report } }
      return nil
    }
    try await agent.start()
  }

  /// The first call's report, when it is over.
  func ended() async -> CallReport {
    guard let report = await self.reports.value else { preconditionFailure("the agent has ended without a call") }
    return report
  }

  /// Waits, 20 seconds at most, for figures.
  func wait(_ isDone: ([CallReport]) -> Bool) async throws {
    for _ in 0..<400 {
      await self.agent.refreshStatistics()
      try await Task.sleep(for: .milliseconds(50))
      if isDone(await self.agent.reports) { return }
    }
    Issue.record("not within 20 s: \(await self.agent.reports)")
  }
}

/// A server that answers as it is told, and writes down what it is asked.
private final class ScriptedEndpoint {
  let url: String
  private let loop = EventLoop.start(name: "endpoint")
  private let requests = Locked<[String]>([])
  private let server: LoopBound<HTTPServer>

  init(certificate: String? = nil, _ answer: @escaping @Sendable (HTTPRequest) -> HTTPResponse) throws {
    let (loop, requests, server) = (self.loop, self.requests, LoopBound<HTTPServer>(on: self.loop))
    self.server = server
    let port = loop.sync { _ -> UInt16? in
      var access = HTTPAccess(listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
      access.certificate = certificate
      let made = try? HTTPServer(access, tally: HTTPTally(), on: loop) { request, reply in
        let shown = request["Authorization"].map { " \($0)" } ?? ""
        requests.withLock { $0.append("\(request.method) \(request.path)\(shown)") }
        reply(answer(request))
      }
      guard let made else { return nil }
      server.put(made)
      return made.address.port
    }
    self.url = "http\(certificate == nil ? "" : "s")://127.0.0.1:\(try #require(port ?? nil))"
  }

  var log: [String] { self.requests.withLock { $0 } }

  func stop() {
    let server = self.server
    _ = self.loop.sync { _ in
      server.take()?.stop()
      return true
    }
    self.loop.stop()
  }
}
