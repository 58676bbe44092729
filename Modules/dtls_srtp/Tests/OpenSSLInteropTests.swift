import Glibc
import ModuleKit
import NetBase
import SRTPEngine
import Testing

@testable import dtls_srtp

/// A UDP socket on loopback that turns an exchange over in real time.
private final class LoopbackSocket {
  private let descriptor: Int32
  let port: UInt16

  init() throws {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    try #require(descriptor >= 0)
    self.descriptor = descriptor
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe bind(descriptor, generic, size) | getsockname(descriptor, generic, &size)
      }
    }
    try #require(result == 0)
    self.port = UInt16(bigEndian: address.sin_port)
  }

  deinit { close(self.descriptor) }

  static var now: Instant {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  func send(_ bytes: [UInt8], to peer: SocketAddress) {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = peer.port.bigEndian
    address.sin_addr.s_addr = UInt32(peer.high >> 32).bigEndian
    unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        _ = unsafe sendto(
          self.descriptor, bytes, bytes.count, 0, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  /// Waits for one datagram, at most `milliseconds`.
  func receive(milliseconds: Int32) -> (bytes: [UInt8], source: SocketAddress)? {
    var wanted = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
    guard unsafe poll(&wanted, 1, milliseconds) == 1 else { return nil }
    var bytes = [UInt8](repeating: 0, count: 4096)
    var address = sockaddr_in()
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let count = unsafe withUnsafeMutablePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
        unsafe recvfrom(self.descriptor, &bytes, bytes.count, 0, generic, &size)
      }
    }
    guard count >= 0 else { return nil }
    let source = SocketAddress(
      ipv4: UInt32(bigEndian: address.sin_addr.s_addr), port: UInt16(bigEndian: address.sin_port))
    return (Array(bytes[..<count]), source)
  }
}

/// What a shell command prints, to its end.
private func output(_ command: String) throws -> String {
  let stream = try unsafe #require(popen(command, "r"))
  return unsafe read(stream)
}

private func read(_ stream: UnsafeMutablePointer<FILE>) -> String {
  var bytes: [UInt8] = []
  while true {
    let character = unsafe getc(stream)
    guard character >= 0 else { break }
    bytes.append(UInt8(truncatingIfNeeded: character))
  }
  unsafe pclose(stream)
  return String(decoding: bytes, as: UTF8.self)
}

private func hex(_ bytes: [UInt8]) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined()
}

/// A certificate made by the command line tool, in a folder of its own.
private struct Files {
  let folder: String
  let fingerprint: Fingerprint

  init(key: String) throws {
    let folder = try output("mktemp -d /tmp/apus-dtls.XXXXXX").trimmed
    self.folder = folder
    let made = try output(
      "openssl req -x509 -newkey \(key) -nodes -days 2 -subj /CN=peer -keyout \(folder)/key.pem -out \(folder)/cert.pem"
        + " 2>&1; openssl x509 -in \(folder)/cert.pem -noout -fingerprint -sha256 2>&1")
    let text = try #require(made.split(separator: "=").last, "the openssl command is needed: \(made)")
    guard case .known(let fingerprint) = Fingerprint.parse("sha-256 \(String(text).trimmed)") else {
      Issue.record("the openssl command is needed: \(made)")
      throw CancellationError()
    }
    self.fingerprint = fingerprint
  }

  func remove() { _ = try? output("rm -rf \(self.folder)") }
}

extension String {
  fileprivate var trimmed: String {
    String(self.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
  }
}

@Suite("OpenSSL's own tools as peers, over loopback", .serialized) struct OpenSSLInteropTests {
  @Test(
    "the exporter's bytes are those that OpenSSL prints",
    arguments: [
      (true, SRTPProfile.aeadAES128GCM, "ec -pkeyopt ec_paramgen_curve:P-256"),
      (true, .aesCM128HMACSHA1Tag80, "rsa:2048"), (false, .aeadAES256GCM, "ec -pkeyopt ec_paramgen_curve:P-384"),
      (false, .aesCM128HMACSHA1Tag32, "rsa:2048"),
    ])
  func exporter(isActive: Bool, profile: SRTPProfile, key: String) throws {
    let files = try Files(key: key)
    defer { files.remove() }
    let socket = try LoopbackSocket()
    // When we are the client the tool needs a port that is free: that of a socket that is closed again.
    let toolPort = isActive ? try LoopbackSocket().port : 0
    let role =
      isActive
      ? "s_server -accept 127.0.0.1:\(toolPort) -naccept 1 -Verify 1" : "s_client -connect 127.0.0.1:\(socket.port)"
    // The tool reads its standard input from us, and ends when that ends.
    let tool = try unsafe #require(
      popen(
        "exec timeout 15 openssl \(role) -dtls1_2 -cert \(files.folder)/cert.pem -key \(files.folder)/key.pem"
          + " -use_srtp SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_128_GCM:SRTP_AEAD_AES_256_GCM:SRTP_AES128_CM_SHA1_32"
          + " -keymatexport EXTRACTOR-dtls_srtp -keymatexportlen \(2 * profile.keyAndSaltLength)"
          + " >\(files.folder)/printed 2>&1", "w"))
    let exchange = DTLSKeyExchange(certificate: try Certificate(profiles: [profile]))
    let remote = KeyExchangeRemote(
      isActive: isActive, fingerprints: [.init(function: "sha-256", digest: files.fingerprint.digest)],
      rtpAddress: SocketAddress(ipv4: 0x7F00_0001, port: toolPort), rtcpAddress: nil)
    exchange.start(remote, now: LoopbackSocket.now)
    var exported: String?
    let end = LoopbackSocket.now.advanced(byMilliseconds: 10_000)
    var isClosing = false
    func act() {
      while let action = exchange.nextAction() {
        switch consume action {
        case .send(let datagram, let to, _): socket.send(datagram, to: to)
        case .secured(_, let inbound, let outbound, let by):
          #expect(inbound.profile == profile && by.version == "DTLSv1.2")
          let (theirs, ours) = (inbound.keyAndSalt.bytes.copied(), outbound.keyAndSalt.bytes.copied())
          let (client, server) = isActive ? (ours, theirs) : (theirs, ours)
          let length = profile.keyLength
          exported = hex(
            Array(client[..<length]) + Array(server[..<length]) + Array(client[length...]) + Array(server[length...]))
        case .failed(let reason): Issue.record("\(reason)")
        case .closed: isClosing = true
        }
      }
    }
    act()
    while exported == nil, LoopbackSocket.now < end {
      if let (bytes, source) = socket.receive(milliseconds: 20) {
        bytes.withRawSpan { exchange.receive($0, from: source, on: .rtp, now: LoopbackSocket.now) }
      }
      act()
      exchange.timeout(now: LoopbackSocket.now)
      act()
    }
    exchange.close(now: LoopbackSocket.now)
    act()
    unsafe pclose(tool)
    let printed = try output("cat \(files.folder)/printed")
    let expected = try #require(exported, "no handshake: \(printed)")
    #expect(printed.contains("Keying material: \(expected)"), "\(printed)")
    #expect(!isClosing)
  }
}
