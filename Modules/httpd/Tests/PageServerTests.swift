internal import Foundation
internal import HTTPServer
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import TestSupport
internal import Testing

@testable internal import httpd

/// The page's HTTP with real sockets, and an agent that answers every offer.
@Suite struct PageServerTests {
  @Test("the page, its style and its script are served without the token, and load nothing from elsewhere")
  func page() throws {
    let running = try Running { $0.token = BearerToken("s3cret") }
    defer { running.stop() }
    for (path, type, word) in [
      ("/", "text/html", "<title>Apus</title>"), ("/page.css", "text/css", "color-scheme"),
      ("/page.js", "text/javascript", "RTCPeerConnection"),
    ] {
      let response = try running.request("GET \(path)")
      #expect(response.hasPrefix("HTTP/1.1 200 ") && body(of: response).contains(word))
      #expect(header("Content-Type", of: response) == "\(type); charset=utf-8")
      #expect(
        header("Content-Security-Policy", of: response)?.hasPrefix("default-src 'none'; script-src 'self'") == true)
      #expect(!body(of: response).contains("http://") && !body(of: response).contains("https://"))
      #expect(!response.contains("s3cret"))
    }
  }

  @Test(
    "nothing else is told or done without the token",
    arguments: ["GET /calls", "DELETE /calls/1", "POST /talks", "GET /talks/1", "GET /recordings", "GET /nothing"])
  func token(line: String) throws {
    let running = try Running { $0.token = BearerToken("s3cret") }
    defer { running.stop() }
    for shown in [[], ["Authorization: Bearer guess"]] {
      let response = try running.request(line, headers: shown, type: "application/json", body: Talk.echo)
      #expect(response.hasPrefix("HTTP/1.1 401 ") && !response.contains("s3cret"))
    }
    #expect(running.counters.forbidden == 2 && running.log.isEmpty)
    let response = try running.request(
      line, headers: ["Authorization: Bearer s3cret"], type: "application/json", body: Talk.echo)
    #expect(!response.hasPrefix("HTTP/1.1 401 "))
  }

  @Test("an echo hears itself, a recording goes to a file, and what the visitor ends is over")
  func talks() throws {
    let running = try Running()
    defer { running.stop() }
    let echo = try running.talk(Talk.echo)
    #expect(body(of: echo).contains(#""answer": "v=0"#))
    let path = try #require(header("Location", of: echo))
    #expect(path.count > 25)
    #expect(body(of: try running.request("GET \(path)")) == #"{"call": 1, "partner": null, "failure": null}"#)
    #expect(body(of: try running.request("GET /recordings")) == #"{"recordings": []}"#)
    let recording = try #require(header("Location", of: try running.talk(Talk.record)))
    #expect(try running.request("DELETE \(path)").hasPrefix("HTTP/1.1 204 "))
    #expect(try running.request("DELETE \(path)").hasPrefix("HTTP/1.1 404 "))
    #expect(try running.request("DELETE \(recording)").hasPrefix("HTTP/1.1 204 "))
    #expect(
      running.log == [
        "answer 1 for page at 127.0.0.1, aubridge,httpd-1-near to aubridge,httpd-1-near",
        "answer 2 for page at 127.0.0.1, silence to aufile", "hang up 1", "hang up 2",
      ])
  }

  @Test(
    "a SIP call is joined with the browser's by two bridges, and the end of either is that of both", arguments: [1, 2])
  func gateway(first: UInt64) throws {
    let running = try Running()
    defer { running.stop() }
    let path = try #require(header("Location", of: try running.talk(Talk.sip("bob"))))
    #expect(body(of: try running.request("GET \(path)")) == #"{"call": 1, "partner": 2, "failure": null}"#)
    running.end(first)
    #expect(try running.request("GET \(path)").hasPrefix("HTTP/1.1 404 "))
    #expect(
      running.log == [
        "answer 1 for page at 127.0.0.1, aubridge,httpd-1-far to aubridge,httpd-1-near",
        "dial 2 to bob, aubridge,httpd-1-near to aubridge,httpd-1-far", "hang up \(first)", "hang up \(3 - first)",
      ])
  }

  @Test("whom nobody can call is told, and the visitor's own call ends with the page's word")
  func nobody() throws {
    let running = try Running()
    defer { running.stop() }
    let path = try #require(header("Location", of: try running.talk(Talk.sip("nobody"))))
    #expect(body(of: try running.request("GET \(path)")).contains("nobody is not a SIP URI"))
    #expect(try running.request("DELETE \(path)").hasPrefix("HTTP/1.1 204 "))
    #expect(running.log.last == "hang up 1")
  }

  @Test("the calls are listed with their levels, and any of them can be ended")
  func calls() throws {
    let running = try Running()
    defer { running.stop() }
    _ = try running.talk(Talk.echo)
    let meter = LevelMeter(request(1, .receive), board: running.levels)
    hear(half, by: meter)
    #expect(
      body(of: try running.request("GET /calls"))
        == #"{"calls": [{"id": 1, "report": {"peer": "sip:bob@192.0.2.1"}, "level_tx_db": null, "level_rx_db": -6.02}]}"#
    )
    #expect(try running.request("DELETE /calls/7").hasPrefix("HTTP/1.1 404 "))
    #expect(try running.request("DELETE /calls/x").hasPrefix("HTTP/1.1 404 "))
    #expect(try running.request("DELETE /calls/1").hasPrefix("HTTP/1.1 204 "))
    #expect(running.log.last == "hang up 1")
  }

  @Test("who gives a command as to baresip's module is told who takes them")
  func raw() throws {
    let running = try Running()
    defer { running.stop() }
    let response = try running.request("GET /raw/?r")
    #expect(response.hasPrefix("HTTP/1.1 404 ") && body(of: response).contains("module ctrl_tcp takes them"))
    #expect(running.log.isEmpty)
  }

  @Test(
    "what is no talk is refused with a sentence, and makes no call",
    arguments: [
      ("application/json", "nonsense", 400), ("application/json", #"{"with":"echo"}"#, 400),
      ("application/json", #"{"with":"sip","offer":"v=0"}"#, 400),
      ("application/json", #"{"with":"x","offer":"v=0"}"#, 400), ("text/plain", Talk.echo, 415),
    ])
  func refused(type: String, body: String, status: Int) throws {
    let running = try Running()
    defer { running.stop() }
    #expect(try running.request("POST /talks", type: type, body: body).hasPrefix("HTTP/1.1 \(status) "))
    #expect(running.log.isEmpty)
  }

  @Test("a page of another origin, and a name that was made to lead here, get nothing")
  func origins() throws {
    let running = try Running()
    defer { running.stop() }
    let other = ["Origin: https://evil.example"]
    let response = try running.request("POST /talks", headers: other, type: "application/json", body: Talk.echo)
    #expect(response.hasPrefix("HTTP/1.1 403 "))
    #expect(try running.request("GET /calls", headers: other).hasPrefix("HTTP/1.1 403 "))
    #expect(try running.request("GET /calls", host: "evil.example").hasPrefix("HTTP/1.1 403 "))
    #expect(running.counters.forbidden == 3 && running.log.isEmpty)
    let own = ["Origin: http://127.0.0.1:\(running.port)"]
    #expect(
      try running.request("POST /talks", headers: own, type: "application/json", body: Talk.echo)
        .hasPrefix("HTTP/1.1 201 "))
  }

  @Test("who asks for much at once and reads nothing is asked for no more, and loses its connection")
  func unread() throws {
    let running = try Running {
      $0.limits.requestTime = 1_000
      $0.limits.requestsPerSecond = 100_000
    }
    defer { running.stop() }
    let peer = try running.client()
    // Their answers are 20 MB: the kernel takes a quarter of that at most.
    let request = "GET /page.js HTTP/1.1\r\nHost: 127.0.0.1:\(running.port)\r\n\r\n"
    peer.send(String(repeating: request, count: 2_000))
    let began = ContinuousClock.now
    while running.counters.slow == 0, ContinuousClock.now - began < .seconds(30) { usleep(10_000) }
    #expect(running.counters.slow == 1 && running.counters.requests < 1_500, "\(running.counters)")
  }

  @Test("a host that asks too often in a second is told to wait, and counted")
  func rate() throws {
    let running = try Running { $0.limits.requestsPerSecond = 3 }
    defer { running.stop() }
    let responses = try (0..<5).map { _ in try running.request("GET /calls") }
    let limited = responses.filter { $0.hasPrefix("HTTP/1.1 429 ") }
    #expect(limited.count == running.counters.rateLimited && limited.count >= 1)
    #expect(limited.allSatisfy { header("Retry-After", of: $0) == "1" })
  }

  @Test("a recording is heard by its name only, and its folder goes with the agent")
  func recordings() throws {
    let recordings = try Recordings(folder: "")
    let path = recordings.make()
    #expect(recordings.names.isEmpty, "nothing is in it yet")
    try Data("RIFF".utf8).write(to: URL(filePath: path))
    let name = try #require(recordings.names.first)
    #expect(recordings.path(of: name) == path)
    #expect(recordings.path(of: "../\(name)") == nil && recordings.path(of: "/etc/passwd") == nil)
    for _ in 0..<Recordings.most {
      try Data("RIFF".utf8).write(to: URL(filePath: recordings.make()))
      recordings.removeOldest()
    }
    #expect(recordings.names.count == Recordings.most && recordings.path(of: name) == nil)
    recordings.remove()
    #expect(!FileManager.default.fileExists(atPath: URL(filePath: path).deletingLastPathComponent().path))
  }

  @Test("a page that can't be served leaves no folder behind")
  func folderOfAFailure() throws {
    func make() throws -> String {
      let folder = URL(filePath: try Recordings(folder: "").make()).deletingLastPathComponent().path
      return folder
    }
    #expect(!FileManager.default.fileExists(atPath: try make()))
  }

  @Test("a recording whose offer is refused costs none of the others; one that begins costs the oldest")
  func refusedRecording() throws {
    let running = try Running(recordings: Recordings.most)
    defer { running.stop() }
    for path in running.recordings { try Data("RIFF".utf8).write(to: URL(filePath: path)) }
    let before = try running.request("GET /recordings")
    for path in running.recordings { #expect(before.contains(URL(filePath: path).lastPathComponent)) }
    #expect(try running.talk(#"{"with":"record","offer":"refused"}"#).hasPrefix("HTTP/1.1 400 "))
    #expect(body(of: try running.request("GET /recordings")) == body(of: before))
    #expect(running.recordings.allSatisfy { FileManager.default.fileExists(atPath: $0) })
    #expect(try running.talk(Talk.record).hasPrefix("HTTP/1.1 201 "))
    #expect(running.recordings.filter { !FileManager.default.fileExists(atPath: $0) } == [running.recording])
  }

  @Test("a recording comes whole, in more than one piece, and one whose file is gone is told so")
  func recording() throws {
    let running = try Running()
    defer { running.stop() }
    let name = URL(filePath: running.recording).lastPathComponent
    #expect(body(of: try running.request("GET /recordings")) == #"{"recordings": []}"#)
    let samples = String(repeating: "0123456789", count: 20_000) + "end"
    try Data(samples.utf8).write(to: URL(filePath: running.recording))
    #expect(body(of: try running.request("GET /recordings")) == #"{"recordings": ["\#(name)"]}"#)
    let response = try running.request("GET /recordings/\(name)")
    #expect(header("Content-Type", of: response) == "audio/wav" && header("Content-Length", of: response) == "200003")
    #expect(body(of: response) == samples)
    try FileManager.default.removeItem(atPath: running.recording)
    #expect(try running.request("GET /recordings/\(name)").hasPrefix("HTTP/1.1 404 "))
  }

  @Test("a recording is read as its listener takes it: what is cut off meanwhile does not come, and that is the end")
  func taken() throws {
    let running = try Running()
    defer { running.stop() }
    // More than the kernel keeps of a connection.
    let length = 32_000_000
    try Data().write(to: URL(filePath: running.recording))
    let file = try FileHandle(forWritingTo: URL(filePath: running.recording))
    try file.truncate(atOffset: UInt64(length))
    let client = try running.client()
    client.send(
      "GET /recordings/\(URL(filePath: running.recording).lastPathComponent) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    let first = client.receive() ?? []
    #expect(String(decoding: first.prefix(15), as: UTF8.self) == "HTTP/1.1 200 OK")
    try file.truncate(atOffset: 1000)
    var count = first.count
    while let more = client.receive(), !more.isEmpty { count += more.count }
    #expect(count < length)
  }

  @Test("baresip's http_listen stays on loopback without a certificate and a token, and says so")
  func elsewhere() throws {
    let settings = ModuleSettings(keys: HTTPD.configKeys, values: ["http_listen": "0.0.0.0:8000"])
    let access = try HTTPAccess("http", port: 8000, danger: "hear and make calls", staysHome: true, settings: settings)
    #expect(access.listen == SocketAddress(ipv4: 0x7F00_0001, port: 8000))
    #expect(
      access.warning?.contains("http_certificate and http_token; without them it stays on 127.0.0.1:8000") == true)
  }
}

/// What the page asks for.
private enum Talk {
  static let echo = #"{"with":"echo","offer":"v=0"}"#
  static let record = #"{"with":"record","offer":"v=0"}"#
  static func sip(_ target: String) -> String { #"{"with":"sip","to":"\#(target)","offer":"v=0"}"# }
}

/// The page's server on a loop of its own, with an agent that answers every offer.
private final class Running {
  private let tally = HTTPTally()
  private let served: ServedApplication
  private let folder = FileManager.default.temporaryDirectory.appending(path: "apus-page-\(UUID().uuidString)")
  private let made = Locked<[String]>([])
  let levels = LevelBoard()

  init(recordings count: Int = 1, _ adjust: (inout HTTPAccess) -> Void = { _ in }) throws {
    var access = HTTPAccess(listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
    adjust(&access)
    let (tally, levels, folder, made, final) = (self.tally, self.levels, self.folder.path, self.made, access)
    self.served = try ServedApplication { loop, host throws(ModuleError) in
      let recordings = try Recordings(folder: folder)
      made.withLock { $0 = (0..<count).map { _ in recordings.make() } }
      let server = try PageServer(
        final, tally: tally, levels: levels, talks: Talks(host: host, recordings: recordings, loop: loop), host: host)
      return (server, server.address.port)
    }
  }

  var counters: HTTPCounters { self.tally.counters }
  var log: [String] { self.served.log.withLock { $0 } }
  var port: UInt16 { self.served.port }
  /// Where recordings may be, the oldest first: there are no files there yet.
  var recordings: [String] { self.made.withLock { $0 } }
  var recording: String { self.recordings[0] }

  func request(
    _ line: String, host: String? = nil, headers: [String] = [], type: String? = nil, body: String = ""
  ) throws -> String { try self.served.request(line, host: host, headers: headers, type: type, body: body) }

  func talk(_ body: String) throws -> String { try self.request("POST /talks", type: "application/json", body: body) }

  func end(_ call: UInt64) { self.served.end(call) }
  func client() throws -> RawPeer { try self.served.client() }

  func stop() {
    self.served.stop()
    try? FileManager.default.removeItem(at: self.folder)
  }
}
