internal import Glibc
internal import HTTPServer
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SDPCodec
internal import TestSupport
internal import Testing

@testable internal import whip

/// The HTTP of WHIP and WHEP with real sockets, and an agent that answers every offer.
@Suite struct WHIPServerTests {
  @Test("whoever runs it is told where it listens")
  func listening() throws {
    let access = HTTPAccess(listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
    let served = try ServedApplication { loop, host throws(ModuleError) in
      let application = try WHIPProvider(access: access, tally: HTTPTally()).start(on: loop, host: host)
      return (application, (application as? WHIPServer)?.address.port ?? 0)
    }
    defer { served.stop() }
    #expect(served.log.withLock { $0 } == ["warning: module whip is listening on http://127.0.0.1:\(served.port)/"])
  }

  @Test("an offer is answered with a resource, which DELETE ends once (RFC 9725 §4.2)")
  func session() throws {
    let running = try Running()
    defer { running.stop() }
    let created = try running.request("POST /whip", type: "application/sdp", body: Offer.sending.text)
    #expect(created.hasPrefix("HTTP/1.1 201 "))
    #expect(created.contains("application/sdp"))
    #expect(created.contains("\r\n\r\nv=0\r\n"))
    let path = try #require(header("Location", of: created))
    #expect(path.hasPrefix("/whip/") && path.count > 26)
    #expect(try running.request("GET \(path)").hasPrefix("HTTP/1.1 405 "))
    #expect(try running.request("DELETE \(path)").hasPrefix("HTTP/1.1 200 "))
    #expect(try running.request("DELETE \(path)").hasPrefix("HTTP/1.1 404 "))
    #expect(running.log == ["answer 1 for 127.0.0.1", "hang up 1"])
  }

  @Test("later candidates, and a new beginning of ICE, come by PATCH (RFC 9725 §4.3)")
  func patch() throws {
    let running = try Running()
    defer { running.stop() }
    let created = try running.request("POST /whip", type: "application/sdp", body: Offer.sending.text)
    let path = try #require(header("Location", of: created))
    #expect(header("ETag", of: created) == "\"ours0\"")
    #expect(header("Accept-Patch", of: created) == "application/trickle-ice-sdpfrag")
    func patch(_ match: String?, _ body: String, type: String = "application/trickle-ice-sdpfrag") throws -> String {
      try running.request("PATCH \(path)", headers: match.map { ["If-Match: \($0)"] } ?? [], type: type, body: body)
    }
    func fragment(_ name: String) -> String { Self.fragment(name) }
    let refused = [
      try patch("\"ours0\"", fragment("theirs"), type: "application/sdp"), try patch("*", "a=ice-ufrag:theirs\r\n"),
      try patch(nil, fragment("theirs")), try patch("\"old\"", fragment("theirs")),
      try patch("\"ours0\"", fragment("other")),
    ].map { $0.split(separator: " ")[1] }
    #expect(refused == ["415", "400", "428", "412", "412"])
    #expect(running.log == ["answer 1 for 127.0.0.1"])
    #expect(try patch("\"ours0\"", fragment("theirs")).hasPrefix("HTTP/1.1 204 "))
    let anew = try patch("*", fragment("other"))
    #expect(anew.hasPrefix("HTTP/1.1 200 ") && header("ETag", of: anew) == "\"ours2\"")
    #expect(
      anew.hasSuffix(
        "\r\n\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=ice-ufrag:ours2\r\na=ice-pwd:0123456789012345678901\r\n"
          + "a=candidate:1 1 udp 2130706431 127.0.0.1 4000 typ host\r\na=end-of-candidates\r\n"))
    #expect(try patch("\"ours0\"", fragment("other")).hasPrefix("HTTP/1.1 412 "))
    #expect(try patch("\"ours2\"", fragment("other")).hasPrefix("HTTP/1.1 204 "))
    #expect(running.log.suffix(3) == ["answer 1 again", "answer 1 again", "answer 1 again"])
    let crowd = (0...100).map { "a=candidate:1 1 udp \($0) 127.0.0.1 9 typ host\r\n" }.joined()
    #expect(try patch("\"ours2\"", fragment("other") + crowd).hasPrefix("HTTP/1.1 413 "))
    #expect(try patch("*", "a=ice-ufrag\r\na=ice-pwd\r\n").hasPrefix("HTTP/1.1 400 "))
    #expect(running.log.count == 4)
  }

  /// Credentials and a candidate, as a client sends them.
  private static func fragment(_ name: String) -> String {
    "a=ice-ufrag:\(name)\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
      + "a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"
  }

  @Test("If-Match: * is true of later candidates too, and the ETag stays (RFC 9110 §13.1.1)")
  func patchOfAny() throws {
    let running = try Running()
    defer { running.stop() }
    let created = try running.request("POST /whip", type: "application/sdp", body: Offer.sending.text)
    let path = try #require(header("Location", of: created))
    for match in ["*", "\"ours0\"", "*"] {
      let response = try running.request(
        "PATCH \(path)", headers: ["If-Match: \(match)"], type: "application/trickle-ice-sdpfrag",
        body: Self.fragment("theirs"))
      #expect(response.hasPrefix("HTTP/1.1 204 ") && header("ETag", of: response) == nil, "\(match): \(response)")
    }
  }

  @Test("a candidate is its section's, as a=mid says, with the credentials that are there (RFC 8840 §9)")
  func sections() throws {
    let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    func line(_ kind: String, _ mid: String, _ name: String) -> String {
      "m=\(kind) 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:\(mid)\r\na=ice-ufrag:\(name)\r\na=ice-pwd:0123456789012345678901\r\n"
    }
    let offer = try SessionDescription(parsing: head + line("video", "0", "others") + line("audio", "1", "theirs"))
    for (mid, counts) in [("a=mid:1\r\n", [0, 1]), ("a=mid:0\r\n", [1, 0]), ("", [1, 0])] {
      let body = Self.fragment("theirs").split(separator: "a=mid:0\r\n").joined(separator: mid)
      let fragment = try #require(ICEFragment(parsing: Array(body.utf8)))
      let merged = try #require(fragment.merged(into: offer))
      #expect(merged.media.map(\.candidates.count) == counts, "\(mid)")
      #expect(merged.media.map(\.iceUfrag) == ["others", "theirs"])
    }
  }

  @Test(
    "what is no offer for the endpoint is refused with a sentence, and makes no call",
    arguments: [
      ("POST /whip", "text/plain", Offer.sending, 415), ("POST /whip", "application/sdp", Offer.nonsense, 400),
      ("POST /whip", "application/sdp", Offer.receiving, 400), ("POST /whep", "application/sdp", Offer.sending, 400),
      ("POST /other", "application/sdp", Offer.sending, 404), ("PUT /whip", "application/sdp", Offer.sending, 405),
    ])
  fileprivate func refused(line: String, type: String, offer: Offer, status: Int) throws {
    let running = try Running()
    defer { running.stop() }
    let response = try running.request(line, type: type, body: offer.text)
    #expect(response.hasPrefix("HTTP/1.1 \(status) "), "\(response)")
    #expect(running.log.isEmpty)
  }

  @Test("without the token nothing is done; the refusal names no secret")
  func token() throws {
    let running = try Running { $0.token = BearerToken("s3cret") }
    defer { running.stop() }
    for shown in [nil, "Bearer s3cre", "Bearer s3cret1", "Basic s3cret"] {
      let response = try running.request(
        "POST /whep", headers: shown.map { ["Authorization: \($0)"] } ?? [], type: "application/sdp",
        body: Offer.receiving.text)
      #expect(response.hasPrefix("HTTP/1.1 401 "))
      #expect(!response.contains("s3cret"))
    }
    #expect(running.counters.forbidden == 4)
    #expect(running.log.isEmpty)
    let response = try running.request(
      "POST /whep", headers: ["Authorization: Bearer s3cret"], type: "application/sdp", body: Offer.receiving.text)
    #expect(response.hasPrefix("HTTP/1.1 201 "))
    #expect("\(BearerToken("s3cret") as Any)".contains("s3cret") == false)
  }

  @Test("a page of another origin calls only where whip_origin names it, and no name may be made to lead here")
  func origins() throws {
    let running = try Running { $0.origins = ["https://example.com"] }
    defer { running.stop() }
    func post(_ headers: [String]) throws -> String {
      try running.request("POST /whip", headers: headers, type: "application/sdp", body: Offer.sending.text)
    }
    #expect(try post(["Origin: https://evil.example"]).hasPrefix("HTTP/1.1 403 "))
    #expect(try post(["Origin: null"]).hasPrefix("HTTP/1.1 403 "))
    #expect(try running.request("POST /whip", host: "evil.example", type: "application/sdp").hasPrefix("HTTP/1.1 403 "))
    #expect(running.counters.forbidden == 3)
    #expect(running.log.isEmpty)
    let own = try post(["Origin: http://127.0.0.1:\(running.port)"])
    #expect(own.hasPrefix("HTTP/1.1 201 "))
    let other = try post(["Origin: https://example.com"])
    #expect(header("Access-Control-Allow-Origin", of: other) == "https://example.com")
    #expect(header("Access-Control-Expose-Headers", of: other) == "Location, ETag")
    let asked = try running.request("OPTIONS /whip", headers: ["Origin: https://example.com"])
    #expect(asked.hasPrefix("HTTP/1.1 204 "))
    #expect(header("Access-Control-Allow-Methods", of: asked)?.contains("POST") == true)
  }

  @Test("a body above the limit, announced or not, is refused and counted")
  func oversize() throws {
    let running = try Running { $0.limits.bodyLength = 500 }
    defer { running.stop() }
    let long = String(repeating: "x", count: 600)
    #expect(try running.request("POST /whip", type: "application/sdp", body: long).hasPrefix("HTTP/1.1 413 "))
    let client = try running.client()
    client.send(
      "POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n258\r\n\(long)\r\n0\r\n\r\n")
    #expect(client.text().hasPrefix("HTTP/1.1 413 "))
    #expect(running.counters.oversize == 2)
    #expect(running.log.isEmpty)
  }

  @Test("header fields above the limit are refused and counted")
  func oversizeHead() throws {
    let running = try Running { $0.limits.headerLength = 1_000 }
    defer { running.stop() }
    let fields = (0..<20).map { "X-\($0): \(String(repeating: "x", count: 100))" }
    #expect(try running.request("GET /whip", headers: fields).hasPrefix("HTTP/1.1 400 "))
    #expect(running.counters.oversize == 1 && running.counters.malformed == 0)
    #expect(try running.request("GET /whip", headers: Array(fields.prefix(5))).hasPrefix("HTTP/1.1 405 "))
  }

  @Test("a session whose call is over is there no more, whoever ended it")
  func endedSession() throws {
    let running = try Running()
    defer { running.stop() }
    let created = try running.request("POST /whip", type: "application/sdp", body: Offer.sending.text)
    let session = try #require(header("Location", of: created))
    running.end(1)
    for method in ["PATCH", "DELETE", "GET"] {
      #expect(try running.request("\(method) \(session)").hasPrefix("HTTP/1.1 404 "), "\(method)")
    }
  }

  @Test("who comes by IPv4 to a socket of IPv6 is counted for himself, not with all others")
  func mappedAddresses() throws {
    let running = try Running {
      $0.listen = SocketAddress(ipv6: 0, 0, port: 0)
      $0.limits.requestsPerSecond = 2
    }
    defer { running.stop() }
    func statuses(from host: SocketAddress) throws -> [String] {
      try (0..<3).map { _ in
        let client = try RawPeer(to: SocketAddress(ipv4: 0x7F00_0001, port: running.port), from: host)
        client.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return String(client.text().dropFirst(9).prefix(3))
      }
    }
    for host: UInt32 in [0x7F00_0001, 0x7F00_0002] {
      #expect(try statuses(from: SocketAddress(ipv4: host, port: 0)) == ["405", "405", "429"])
    }
  }

  @Test("HEAD gets a head only, so the next response follows it at once (RFC 9110 §9.3.2)")
  func head() throws {
    let running = try Running()
    defer { running.stop() }
    let client = try running.client()
    client.send("HEAD /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    client.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    let parts = client.text().split(separator: "\r\n\r\n").map { String($0) }
    try #require(parts.count == 3, "\(parts)")
    #expect(parts[0].hasPrefix("HTTP/1.1 405 ") && parts[1].hasPrefix("HTTP/1.1 405 "), "\(parts)")
    #expect(header("Content-Length", of: parts[0]) == "\(parts[2].utf8.count)")
  }

  @Test("a request that asks for another protocol is answered, and its connection ends: nothing more is read of it")
  func upgrade() throws {
    let running = try Running()
    defer { running.stop() }
    let client = try running.client()
    client.send(
      "POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n")
    let response = client.text()
    #expect(response.hasPrefix("HTTP/1.1 415 ") && header("Connection", of: response) == "close", "\(response)")
  }

  @Test("who expects 100 gets it before the body is sent, and 413 where the body is too long (RFC 9110 §10.1.1)")
  func expectation() throws {
    let running = try Running()
    defer { running.stop() }
    func head(_ length: Int) -> String {
      "POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/sdp\r\n"
        + "Expect: 100-continue\r\nContent-Length: \(length)\r\n\r\n"
    }
    let client = try running.client()
    let offer = Offer.sending.text
    client.send(head(offer.utf8.count))
    let invitation = client.text(until: "\r\n\r\n")
    #expect(invitation == "HTTP/1.1 100 Continue\r\n\r\n")
    client.send(offer)
    #expect(client.text().hasPrefix("HTTP/1.1 201 "))
    let other = try running.client()
    other.send(head(1_000_000))
    #expect(other.text().hasPrefix("HTTP/1.1 413 "))
  }

  @Test("a request that does not arrive in time loses its connection, and others are served meanwhile")
  func slow() throws {
    let running = try Running { $0.limits.requestTime = 300 }
    defer { running.stop() }
    let silent = try running.client()
    let halting = try running.client()
    halting.send("POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50\r\n\r\nv=0")
    #expect(try running.request("GET /whip").hasPrefix("HTTP/1.1 405 "))
    #expect(silent.text().isEmpty)
    #expect(halting.text().isEmpty)
    #expect(running.counters.slow == 2)
  }

  @Test("connections above the limit are closed at once and counted, and there is room again when one ends")
  func crowd() throws {
    let running = try Running { $0.limits.connections = 2 }
    defer { running.stop() }
    do {
      let one = try running.client()
      let other = try running.client()
      one.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      #expect(one.text(until: "\r\n\r\n").contains(" 405 "))
      other.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      #expect(other.text(until: "\r\n\r\n").contains(" 405 "))
      #expect(try running.client().text().isEmpty)
      #expect(running.counters.refused == 1)
      one.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      #expect(one.text(until: "\r\n\r\n").contains(" 405 "))
      other.send("GET /whip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
      #expect(other.text(until: "\r\n\r\n").contains(" 405 "))
    }
    // The server sees the two closed a moment later.
    var response = ""
    for _ in 0..<200 where !response.contains(" 405 ") {
      usleep(10_000)
      response = try running.request("GET /whip")
    }
    #expect(response.contains(" 405 "))
  }

  @Test("what is no HTTP ends its connection and is counted")
  func malformed() throws {
    let running = try Running()
    defer { running.stop() }
    let client = try running.client()
    client.send("\u{1}\u{2}\u{3} nonsense\r\n\r\n")
    #expect(client.text().isEmpty || client.text().isEmpty)
    #expect(running.counters.malformed == 1)
  }

  @Test(
    "elsewhere than on loopback it takes a certificate and a token, and says so",
    arguments: [[:], ["whip_token": "x"], ["whip_certificate": "/tmp/x.pem"]])
  func elsewhere(_ values: [String: String]) {
    let settings = ModuleSettings(
      keys: WHIP.configKeys, values: values.merging(["whip_listen": "0.0.0.0:8443"]) { old, _ in old })
    let error = #expect(throws: ModuleError.self) { try WHIP(settings: settings) }
    #expect(error?.message.contains("whip_certificate and whip_token") == true)
  }
}

/// What is sent as an offer.
private enum Offer: Sendable {
  case sending
  case receiving
  case nonsense

  var text: String {
    switch self {
    case .sending: Self.text("sendonly")
    case .receiving: Self.text("recvonly")
    case .nonsense: "nonsense"
    }
  }

  private static func text(_ direction: String) -> String {
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n"
      + "a=rtpmap:111 opus/48000/2\r\na=\(direction)\r\na=ice-ufrag:theirs\r\na=ice-pwd:0123456789012345678901\r\n"
  }
}

/// WHIP's server on a loop of its own, with an agent that answers every offer.
private final class Running {
  private let tally = HTTPTally()
  private let served: ServedApplication

  init(_ adjust: (inout HTTPAccess) -> Void = { _ in }) throws {
    var access = HTTPAccess(listen: SocketAddress(ipv4: 0x7F00_0001, port: 0))
    adjust(&access)
    let (tally, final) = (self.tally, access)
    self.served = try ServedApplication { _, host throws(ModuleError) in
      let server = try WHIPServer(final, tally: tally, host: host)
      return (server, server.address.port)
    }
  }

  var counters: HTTPCounters { self.tally.counters }
  var log: [String] { self.served.log.withLock { $0 } }
  var port: UInt16 { self.served.port }

  func client() throws -> RawPeer { try self.served.client() }

  func request(
    _ line: String, host: String? = nil, headers: [String] = [], type: String? = nil, body: String = ""
  ) throws -> String { try self.served.request(line, host: host, headers: headers, type: type, body: body) }

  func end(_ call: UInt64) { self.served.end(call) }

  func stop() { self.served.stop() }
}
