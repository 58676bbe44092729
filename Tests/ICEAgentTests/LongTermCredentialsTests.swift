import NetBase
import TestSupport
import Testing
import ice

@testable import ICEAgent

/// What a server, or someone on the way to it, can make of our credentials.
@Suite("long-term credentials (RFC 8489 §9.2)")
struct LongTermCredentialsTests {
  private static let algorithms: [UInt8] = [0, 1, 0, 0, 0, 2, 0, 0]

  private static func challenge(
    _ code: Int, nonce: String, algorithms: [UInt8]? = nil, method: UInt16 = STUNType.binding,
    id: STUNTransactionID = STUNTransactionID(high: 1, low: 2)
  ) throws -> STUNMessage {
    var message = STUNWriter(.failure, method: method, id: id)
    message.addError(code, "")
    message.add(STUNType.realm, "example.org")
    message.add(STUNType.nonce, nonce)
    if let algorithms { message.add(STUNType.passwordAlgorithms, algorithms) }
    return try #require(message.bytes.withRawSpan { STUNMessage($0) })
  }

  @Test(
    "a nonce that promises algorithms beside none is not believed, however its bits are numbered",
    arguments: ["obMatJos2AAAB", "obMatJos2gAAA", "obMatJos2AAAD"])
  func biddenDown(nonce: String) throws {
    var credentials = LongTermCredentials(username: "u", password: STUNSecret("p"), crypto: .openSSL)
    #expect(try !credentials.take(Self.challenge(401, nonce: nonce)))
    var request = STUNWriter(.request, id: STUNTransactionID(high: 1, low: 2))
    #expect(credentials.sign(&request) == nil)
    #expect(try credentials.take(Self.challenge(401, nonce: nonce, algorithms: Self.algorithms)))
    #expect(credentials.sign(&request)?.needsSHA256 == true)
  }

  @Test("who has named algorithms once is not believed to know none later")
  func biddenDownLater() throws {
    var credentials = LongTermCredentials(username: "u", password: STUNSecret("p"), crypto: .openSSL)
    #expect(try credentials.take(Self.challenge(401, nonce: "n1", algorithms: Self.algorithms)))
    #expect(try !credentials.take(Self.challenge(438, nonce: "n2")))
    #expect(try credentials.take(Self.challenge(438, nonce: "n3", algorithms: Self.algorithms)))
    var older = LongTermCredentials(username: "u", password: STUNSecret("p"), crypto: .openSSL)
    #expect(try older.take(Self.challenge(401, nonce: "n1")) && older.take(Self.challenge(438, nonce: "n2")))
  }

  @Test("a relay is granted by who knows the password only")
  func forgedGrant() throws {
    let server = ICEServer(
      .turn, address: SocketAddress(ipv4: 0xC633_6401, port: 3478), username: "u", password: STUNSecret("p"))
    var random: any RandomNumberGenerator = SystemRandomNumberGenerator()
    let now = Instant(nanoseconds: 0)
    var allocation = TURNAllocation(server, base: 0, crypto: .openSSL, using: &random)
    func request() throws -> STUNMessage {
      guard case .send(let bytes) = allocation.takeAction() else { throw STUNMissing() }
      return try #require(bytes.withRawSpan { STUNMessage($0) })
    }
    allocation.start(using: &random, now: now)
    let first = try request()
    let challenge = try Self.challenge(401, nonce: "n", method: STUNType.allocate, id: first.id)
    #expect(allocation.receive(challenge, using: &random, now: now) == .accepted)
    let second = try request()
    for password in ["q", nil, "p"] as [String?] {
      var grant = STUNWriter(.success, method: STUNType.allocate, id: second.id)
      grant.add(STUNType.xorRelayedAddress, server.address.with(port: 50_000))
      grant.add(STUNType.lifetime, UInt32(600))
      if let password {
        let key = Array("u:example.org:\(password)".utf8).hashed(.md5)
        grant.addIntegrity(.sha1, key: key, crypto: .openSSL)
      }
      let message = try #require(grant.bytes.withRawSpan { STUNMessage($0) })
      let isOurs = password == "p"
      #expect(allocation.receive(message, using: &random, now: now) == (isOurs ? .accepted : .unauthentic))
      #expect((allocation.state == .made) == isOurs)
    }
  }

  private struct STUNMissing: Error {}
}
