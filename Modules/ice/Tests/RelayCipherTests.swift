internal import COpenSSL
internal import ModuleKit
internal import NetBase
internal import TestSupport
internal import Testing

@testable internal import ice

/// TLS towards a server, in memory.
@Suite("TLS of a relay's connection") struct RelayCipherTests {
  private static func context(verifies: Bool = true, trusts: Bool = true) throws -> RelayTLSContext {
    try RelayTLS().context(
      SIPSecurity(
        authorityFile: TestCertificates.file(trusts ? TestCertificates.authority : TestCertificates.stranger),
        verifiesServer: verifies)
    ).get()
  }

  @Test(
    "a server of the name, and of the authority, is talked to both ways, however its bytes arrive",
    arguments: ["example.test", "127.0.0.1", "::1"], [1, 100, 16_000])
  func talks(name: String, size: Int) throws {
    let (cipher, server) = (try RelayCipher(try Self.context(), name: name), try TLSPeer())
    cipher.start()
    server.exchange(with: cipher, by: size)
    #expect(cipher.isSecured && cipher.failure == nil)
    let said = (0..<3_000).map { UInt8($0 & 255) }
    #expect(said.withRawSpan { cipher.write($0) })
    server.write(said.reversed())
    server.exchange(with: cipher, by: size)
    #expect(server.heard == said)
    #expect(server.read(cipher) == said.reversed())
    #expect(cipher.failure == nil)
  }

  @Test("nothing is written to a server whose certificate is for another name, or of no authority that is trusted")
  func distrusted() throws {
    for (name, trusts, sentence) in [
      ("other.test", true, "has a certificate for another name"),
      ("127.0.0.2", true, "has a certificate for another name"),
      ("example.test", false, "has a certificate of no authority that is trusted here"),
    ] {
      let (cipher, server) = (try RelayCipher(try Self.context(trusts: trusts), name: name), try TLSPeer())
      cipher.start()
      server.exchange(with: cipher)
      #expect(!cipher.isSecured && cipher.failure?.hasPrefix(sentence) == true, "\(cipher.failure ?? "")")
      #expect(![UInt8](repeating: 1, count: 9).withRawSpan { cipher.write($0) } && server.heard.isEmpty)
    }
  }

  @Test("with sip_verify_server no any certificate will do")
  func unverified() throws {
    let context = try Self.context(verifies: false, trusts: false)
    let (cipher, server) = (try RelayCipher(context, name: "other.test"), try TLSPeer())
    cipher.start()
    server.exchange(with: cipher)
    #expect(cipher.isSecured)
  }

  @Test("a good-bye, and what is no TLS, are the end")
  func ends() throws {
    let (cipher, server) = (try RelayCipher(try Self.context(), name: "example.test"), try TLSPeer())
    cipher.start()
    server.exchange(with: cipher)
    server.close()
    server.exchange(with: cipher)
    #expect(server.read(cipher).isEmpty && cipher.failure == "has closed the connection")
    let other = try RelayCipher(try Self.context(), name: "example.test")
    other.start()
    Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8).withRawSpan { other.feed($0) }
    #expect(!other.isSecured && other.failure?.hasPrefix("refuses TLS: ") == true)
  }

  @Test("authorities that can't be read are one sentence, and looked for again the next time")
  func authorities() throws {
    let contexts = RelayTLS()
    let trust = SIPSecurity(authorityFile: "/nowhere/ca.pem")
    for _ in 0..<2 {
      guard case .failure(let error) = contexts.context(trust) else {
        Issue.record("there is nothing to read")
        continue
      }
      #expect(error.message == "sip_cafile /nowhere/ca.pem: it can't be read, or has no certificate in PEM form")
    }
    guard case .success(let first) = contexts.context(SIPSecurity()),
      case .success(let second) = contexts.context(SIPSecurity())
    else {
      Issue.record("the system has authorities")
      return
    }
    #expect(first === second)
  }
}

/// The other end, by OpenSSL.
@safe private final class TLSPeer {
  private let context: OpaquePointer
  private let ssl: OpaquePointer
  private let inbound: OpaquePointer
  private let outbound: OpaquePointer
  private(set) var heard: [UInt8] = []

  init() throws {
    let path = TestCertificates.file(TestCertificates.server)
    unsafe self.context = try #require(unsafe SSL_CTX_new(TLS_server_method()))
    #expect(unsafe SSL_CTX_use_certificate_chain_file(self.context, path) == 1)
    #expect(unsafe SSL_CTX_use_PrivateKey_file(self.context, path, SSL_FILETYPE_PEM) == 1)
    unsafe self.ssl = try #require(unsafe SSL_new(self.context))
    unsafe self.inbound = try #require(unsafe BIO_new(BIO_s_mem()))
    unsafe self.outbound = try #require(unsafe BIO_new(BIO_s_mem()))
    unsafe SSL_set_bio(self.ssl, self.inbound, self.outbound)
    unsafe SSL_set_accept_state(self.ssl)
  }

  deinit {
    unsafe SSL_free(self.ssl)
    unsafe SSL_CTX_free(self.context)
  }

  func write(_ bytes: [UInt8]) { #expect(unsafe SSL_write(self.ssl, bytes, Int32(bytes.count)) == bytes.count) }

  func close() { unsafe SSL_shutdown(self.ssl) }

  /// Carries what either end has for the other, until neither has.
  func exchange(with cipher: RelayCipher, by size: Int = 16_000) {
    var room = [UInt8](repeating: 0, count: 16_384)
    while true {
      let count = cipher.drain(into: &room)
      if count > 0 { unsafe BIO_write(self.inbound, room, Int32(count)) }
      var plain = [UInt8](repeating: 0, count: 4_096)
      while case let read = unsafe SSL_read(self.ssl, &plain, 4_096), read > 0 { self.heard += plain[..<Int(read)] }
      ERR_clear_error()
      var answer: [UInt8] = []
      while case let read = unsafe BIO_read(self.outbound, &room, 16_384), read > 0 { answer += room[..<Int(read)] }
      guard count > 0 || !answer.isEmpty else { return }
      for start in stride(from: 0, to: answer.count, by: size) {
        Array(answer[start..<min(start + size, answer.count)]).withRawSpan { cipher.feed($0) }
      }
    }
  }

  /// What the cipher has for its owner.
  func read(_ cipher: RelayCipher) -> [UInt8] {
    var (all, room): ([UInt8], [UInt8]) = ([], [UInt8](repeating: 0, count: 1_000))
    while case let count = cipher.read(into: &room, at: 10), count > 0 { all += room[10..<(10 + count)] }
    return all
  }
}
