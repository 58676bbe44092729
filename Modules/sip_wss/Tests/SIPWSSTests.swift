import ModuleKit
import NetBase
import SIPStack
import SIPStreams
import TestSupport
import Testing
import sip_wss

@Suite("sip_wss") struct SIPWSSTests {
  static let authority = TestCertificates.file(TestCertificates.authority)
  static let certificate = TestCertificates.file(TestCertificates.server)

  static func bench(_ values: [String: String], _ security: SIPSecurity) throws -> SIPBench {
    let module = try SIPWSS(settings: ModuleSettings(keys: SIPWSS.configKeys, values: values))
    return try SIPBench(module.provider, security: security)
  }

  @Test("messages cross whole both ways, and the server has proved its name")
  func crossing() throws {
    let server = try Self.bench(["sip_wss_listen": "127.0.0.1:0"], SIPSecurity(certificate: Self.certificate))
    let client = try Self.bench([:], SIPSecurity(authorityFile: Self.authority))
    defer {
      server.stop()
      client.stop()
    }
    #expect(server.address.port != 0 && client.address.port == 0)
    for size in [0, 65_000] {
      client.send(
        SIPTexts.request(size, bodyLength: size), to: SIPDestination(server.address, serverName: "example.test"))
    }
    #expect(server.wait { $0.messages.count == 2 })
    #expect(server.messages.map(\.bytes) == [0, 65_000].map { SIPTexts.request($0, bodyLength: $0) })
    let origin = try #require(server.messages.first?.origin)
    server.send(SIPTexts.request(3, bodyLength: 30_000), to: SIPDestination(origin.source, flow: origin.flow))
    #expect(client.wait { $0.messages.map(\.bytes) == [SIPTexts.request(3, bodyLength: 30_000)] })
  }

  @Test("a server of another name is not spoken to")
  func wrongName() throws {
    let server = try Self.bench(["sip_wss_listen": "127.0.0.1:0"], SIPSecurity(certificate: Self.certificate))
    let client = try Self.bench([:], SIPSecurity(authorityFile: Self.authority))
    defer {
      server.stop()
      client.stop()
    }
    client.send(SIPTexts.request(), to: SIPDestination(server.address, serverName: "other.test"))
    #expect(client.wait { !$0.closed.isEmpty })
    #expect(client.events.closed.first?.reason.contains("for another name") == true)
    #expect(client.events.opened.isEmpty && server.events.opened.isEmpty)
  }

  @Test("to listen takes a certificate, to connect doesn't")
  func withoutCertificate() throws {
    let error = #expect(throws: ModuleError.self) {
      try Self.bench(["sip_wss_listen": "127.0.0.1:8443"], SIPSecurity())
    }
    #expect(error?.message == "sip_wss_listen 127.0.0.1:8443: it needs a certificate, in sip_certificate")
  }
}
