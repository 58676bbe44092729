import MemorySearch
import NetBase
import SIPStack
import TestSupport
import Testing
import ice

@testable import ICEAgent

@Suite("Passwords of STUN and TURN servers leave no trace", .serialized)
struct STUNWipingTests {
  private static let socket = SocketAddress(ipv4: 0x0A00_0001, port: 4000)
  private static let realm = "example.org"
  private static let now = Instant(nanoseconds: 0)

  @Test("a session's password and long-term key are nowhere in memory once it is over", arguments: [true, false])
  func session(isModern: Bool) throws {
    let password = SearchedSecret(count: 24)
    let key = Self.key(password, isModern ? .sha256 : .md5)
    try Self.session(password, isModern) { requests in
      // A STUN and a TURN server each have an answer.
      #expect(requests.count == 2 && requests.allSatisfy { $0.hasIntegritySHA256 == isModern })
      let known = STUNSecret(key.bytes)
      #expect(requests.allSatisfy { request in known.withBytes { request.isAuthentic(key: $0, crypto: .openSSL) } })
      #expect(password.isThere() && key.isThere(), "the search finds what is there")
    }
    #expect(password.copies() == 0 && key.copies() == 0)
  }

  @Test("nothing of a password is printed")
  func printed() {
    let server = ICEServer(.turn, address: Self.socket, username: "u", password: STUNSecret("a-password"))
    for text in ["\(server)", String(reflecting: server), "\(server.password as Any)"] {
      #expect(!text.contains("a-password"))
    }
    var dumped = ""
    dump(server, to: &dumped)
    #expect(!dumped.contains("a-password") && !dumped.contains("97"), "\(dumped)")
  }

  /// Runs `body` on the requests that two servers of a session get in answer to their challenges.
  private static func session(
    _ password: SearchedSecret, _ isModern: Bool, _ body: ([STUNMessage]) throws -> Void
  ) throws {
    let secret = STUNSecret(password.bytes)
    let servers = [ICEServer.Kind.stun, .turn].enumerated().map { index, kind in
      ICEServer(
        kind, address: SocketAddress(ipv4: 0xC633_6401 + UInt32(index), port: 3478), username: "u", password: secret)
    }
    var configuration = ICEConfiguration(crypto: .openSSL)
    configuration.servers = servers
    let session = ICESession(
      configuration, bases: [ICEBase(component: 1, address: Self.socket)], role: .controlling,
      random: SeededGenerator(seed: 1), now: Self.now)
    var later = Self.now
    var requests: [STUNMessage] = []
    for _ in 0..<4 {
      later = later.advanced(byMilliseconds: 100)
      session.timeout(now: later)
      while let action = session.takeAction() {
        guard case .send(let bytes, _, let address) = action else { continue }
        let request = try #require(bytes.withRawSpan { STUNMessage($0) })
        guard !request.hasIntegrity else {
          requests.append(request)
          continue
        }
        Self.challenge(request, isModern).withRawSpan {
          session.receive($0, from: address, base: 0, now: later)
        }
      }
    }
    try body(requests)
  }

  private static func challenge(_ request: STUNMessage, _ isModern: Bool) -> [UInt8] {
    var answer = STUNWriter(.failure, method: request.method, id: request.id)
    answer.addError(401, "")
    answer.add(STUNType.realm, Self.realm)
    answer.add(STUNType.nonce, "nonce")
    if isModern { answer.add(STUNType.passwordAlgorithms, [0, 2, 0, 0]) }
    return answer.bytes
  }

  /// `user:realm:password`, hashed, without a trace of its own.
  private static func key(_ password: SearchedSecret, _ hash: STUNCrypto.Hash) -> SearchedSecret {
    let start = Array("u:\(Self.realm):".utf8)
    let password = password.bytes
    var text = SecretBytes(count: start.count + password.count)
    unsafe text.withUnsafeMutableBytes { room in
      for (offset, byte) in start.enumerated() { unsafe room[offset] = byte }
      for offset in 0..<password.count { unsafe room[start.count + offset] = password.bytes.uint8(at: offset) }
    }
    return SearchedSecret(STUNCrypto.openSSL.digest(hash, text.bytes))
  }
}
