import Glibc
import ModuleKit
import NetBase
import SIPStack
import TestSupport
import Testing
import sip_tls

@testable import SIPStreams

@Suite("sip_tls") struct SIPTLSTests {
  static let authority = TestCertificates.file(TestCertificates.authority)
  static let server = TestCertificates.file(TestCertificates.server)
  static let client = TestCertificates.file(TestCertificates.client)
  static let stranger = TestCertificates.file(TestCertificates.stranger)
  static let elsewhere = TestCertificates.file(TestCertificates.elsewhere)

  static func bench(_ security: SIPSecurity, host: String = "127.0.0.1") throws -> SIPBench {
    let provider = SIPTLS(settings: ModuleSettings(keys: SIPTLS.configKeys)).provider
    return try SIPBench(provider, host: host, security: security)
  }

  /// A server with this certificate, and a client that trusts the authority.
  static func pair(
    _ certificate: String, client: SIPSecurity? = nil, host: String = "127.0.0.1", verifiesClient: Bool = false
  ) throws -> (server: SIPBench, client: SIPBench) {
    let server = try Self.bench(
      SIPSecurity(certificate: certificate, authorityFile: Self.authority, verifiesClient: verifiesClient),
      host: host)
    return (server, try Self.bench(client ?? SIPSecurity(authorityFile: Self.authority), host: host))
  }

  @Test("the module brings one SIP transport, for the main loop")
  func facets() {
    let module = SIPTLS(settings: ModuleSettings(keys: SIPTLS.configKeys))
    #expect(module.facets.count == 1 && module.facets[0].safety == .mainOnly && module.provider.kind == .tls)
  }

  @Test(
    "messages cross whole to a server that proves its name or its address",
    arguments: [
      ("127.0.0.1", nil), ("127.0.0.1", "example.test"), ("127.0.0.1", "sip.example.test"), ("::1", nil),
      ("127.0.0.1", "127.0.0.1"),
    ])
  func crossing(host: String, name: String?) throws {
    let (server, client) = try Self.pair(Self.server, host: host)
    defer {
      server.stop()
      client.stop()
    }
    for size in [0, 20_000, 65_000] {
      client.send(SIPTexts.request(size, bodyLength: size), to: SIPDestination(server.address, serverName: name))
    }
    #expect(server.wait { $0.messages.count == 3 })
    #expect(server.messages.map(\.bytes) == [0, 20_000, 65_000].map { SIPTexts.request($0, bodyLength: $0) })
    let origin = try #require(server.messages.first?.origin)
    server.send(SIPTexts.request(9), to: SIPDestination(origin.source, flow: origin.flow))
    #expect(client.wait { $0.messages.count == 1 })
    #expect(client.events.opened.count == 1 && client.events.closed.isEmpty)
  }

  @Test(
    "a server that does not prove its name is not spoken to, and the sentence says what to change",
    arguments: [
      (Self.stranger, "example.test", "name its authority in sip_cafile"),
      (Self.stranger, nil, "name its authority in sip_cafile"),
      (Self.elsewhere, "example.test", "the peer's certificate is for another name"),
      (Self.elsewhere, nil, "the peer's certificate is for another name"),
      (Self.server, "other.test", "the peer's certificate is for another name"),
    ])
  func unproven(certificate: String, name: String?, reason: String) throws {
    let (server, client) = try Self.pair(certificate)
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: name))
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.closed.first?.reason.contains(reason) == true, "\(client.events.closed)")
    #expect(client.events.opened.isEmpty && server.messages.isEmpty)
  }

  @Test(
    "an asterisk stands for one whole first label, and not for all of a domain",
    arguments: [
      ("example.test", "EXAMPLE.test.", true), ("*.example.test", "sip.example.test", true),
      ("*.example.test", "example.test", false), ("*.example.test", "a.sip.example.test", false),
      ("*.test", "example.test", false), ("s*.example.test", "sip.example.test", false),
      ("example.test", "sip.example.test", false), ("", "example.test", false),
    ])
  func matching(pattern: String, name: String, isMatch: Bool) {
    let matches = ServerIdentity.matches(pattern, name)
    #expect(matches == isMatch)
  }

  @Test("the authorities of the system do not vouch for a test's certificate")
  func systemAuthorities() throws {
    let (server, client) = try Self.pair(Self.server, client: SIPSecurity())
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "example.test"))
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.opened.isEmpty)
  }

  @Test("without verification every server will do")
  func unverified() throws {
    let (server, client) = try Self.pair(Self.stranger, client: SIPSecurity(verifiesServer: false))
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "whoever.test"))
    #expect(server.wait { $0.messages.count == 1 })
  }

  @Test("a connection is shared by messages to the same address and name only")
  func names() throws {
    let (server, client) = try Self.pair(Self.server)
    defer {
      server.stop()
      client.stop()
    }
    let first = client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "example.test"))
    let second = client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "sip.example.test"))
    let third = client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "example.test"))
    #expect(first != second && first == third)
    #expect(server.wait { $0.messages.count == 3 && $0.opened.count == 2 })
    // No name was proved on a connection that the peer opened: a request does not go back on it by chance.
    let source = try #require(server.messages.first?.origin.source)
    #expect(server.send(SIPTexts.request(), to: source) == .sent(SIPFlow(number: 3)))
  }

  @Test("a client without a certificate is turned away where one is wanted, and both ends say so")
  func clientWithoutCertificate() throws {
    let (server, client) = try Self.pair(Self.server, verifiesClient: true)
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(), to: server.address)
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.closed.first?.reason.contains("the peer wants a certificate of ours") == true)
    #expect(server.messages.isEmpty)
  }

  @Test("a client with a certificate is let in, be it the core's or the account's")
  func clientCertificate() throws {
    let (server, client) = try Self.pair(
      Self.server, client: SIPSecurity(certificate: Self.client, authorityFile: Self.authority), verifiesClient: true)
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(1), to: server.address)
    #expect(server.wait { $0.messages.count == 1 })
    let plain = try Self.bench(SIPSecurity(authorityFile: Self.authority))
    defer { plain.stop() }
    plain.send(SIPTexts.request(2), to: SIPDestination(server.address, certificate: Self.client))
    #expect(server.wait { $0.messages.count == 2 })
    // One of an authority that the server does not trust is no use.
    plain.send(SIPTexts.request(3), to: SIPDestination(server.address, certificate: Self.stranger))
    #expect(plain.wait { !$0.closed.isEmpty })
    #expect(server.messages.count == 2)
  }

  @Test("a port that does not speak TLS is told")
  func plainPeer() throws {
    let client = try Self.bench(SIPSecurity(authorityFile: Self.authority))
    defer { client.stop() }
    let listener = RawPeer.Listener()
    client.send(SIPTexts.request(), to: listener.address)
    let peer = listener.accept()
    peer.send("SIP/2.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.closed.first?.reason == "the peer does not speak TLS at this port")
  }

  @Test("a peer that connects and says nothing does not stay")
  func silentPeer() throws {
    var provider = SIPTLS(settings: ModuleSettings(keys: SIPTLS.configKeys)).provider
    provider.limits.setup = .milliseconds(100)
    let server = try SIPBench(provider, security: SIPSecurity(certificate: Self.server))
    defer { server.stop() }
    let peer = try RawPeer(to: server.address)
    let isClosed = peer.isClosedByPeer()
    #expect(isClosed && server.events.opened.isEmpty)
  }

  @Test(
    "files that can't be used are named before anything is opened",
    arguments: [
      (SIPSecurity(certificate: "/nowhere/cert.pem"), "sip_certificate: /nowhere/cert.pem must be a file"),
      (SIPSecurity(certificate: Self.authority), "sip_certificate: \(Self.authority) must be a file with"),
      (SIPSecurity(authorityFile: "/nowhere/ca.pem"), "sip_cafile /nowhere/ca.pem: it can't be read"),
    ])
  func badFiles(security: SIPSecurity, sentence: String) {
    let error = #expect(throws: ModuleError.self) { try Self.bench(security) }
    #expect(error?.message.hasPrefix(sentence) == true && error?.kind == .configuration, "\(error?.message ?? "")")
  }

  @Test("without a certificate it listens nowhere, and still connects")
  func clientOnly() throws {
    let (server, client) = try Self.pair(Self.server)
    defer {
      server.stop()
      client.stop()
    }
    #expect(client.address.port == 0 && server.address.port != 0)
    client.send(SIPTexts.request(), to: server.address)
    #expect(server.wait { $0.messages.count == 1 })
  }
}
