import MemorySearch
import NetBase
import SRTPEngine
import Testing

@Suite("Retired keys leave no trace", .serialized, .bothTransforms)
struct WipingTests {
  @Test("a retired master key is nowhere in the process's memory", arguments: SRTPProfile.allCases)
  func inbound(_ profile: SRTPProfile) throws {
    let secret = SearchedSecret(count: profile.keyAndSaltLength)
    // So many that the search itself does not use all of the memory again that they give back.
    let receivers = (0..<64).map { _ in Receiver() }
    for receiver in receivers { try receiver.keys.install(secret.material(profile), now: at(0)) }
    #expect(secret.isThere(), "the search finds what is there")
    for receiver in receivers { try receiver.keys.install(key(1, profile), now: at(0)) }
    for receiver in receivers { receiver.keys.timeout(now: at(30_000)) }
    #expect(receivers.allSatisfy { $0.keys.generationCount == 1 })
    #expect(secret.copies() == 0)
  }

  @Test("a master key that was switched away from is nowhere in the process's memory")
  func outbound() throws {
    let secret = SearchedSecret(count: 30)
    var keys = OutboundKeys()
    try keys.install(secret.material(.aesCM128HMACSHA1Tag80), switchNow: true)
    #expect(secret.isThere())
    try keys.install(key(1), switchNow: true)
    #expect(secret.copies() == 0)
    try keys.install(secret.material(.aesCM128HMACSHA1Tag80), switchNow: false)
    #expect(secret.isThere())
    try keys.install(key(2), switchNow: false)
    #expect(secret.copies() == 0)
  }

  @Test("what the session keys were derived through is left on no stack")
  func derivation() throws {
    // A master key and salt of nobody else's, and the SRTCP authentication key (label 4 of RFC 3711 §4.3.2) that follows
    // from them by `openssl enc -aes-128-ctr`: the last that is derived. Only its midstates are kept.
    let master: [UInt8] = [
      0x5B, 0x1F, 0x0C, 0x93, 0xE4, 0x7A, 0x21, 0xD8, 0x66, 0x09, 0xBF, 0x3C, 0x8E, 0x52, 0xA7, 0xD4, 0x91, 0xC7,
      0x0E, 0x3A, 0xD8, 0x5F, 0x46, 0xB2, 0x20, 0x7B, 0xE9, 0x14, 0x5C, 0x83,
    ]
    // Its bytes turned round, so that this list is none of the copies.
    let authentication = SearchedSecret(
      [0x99, 0x4F, 0x6D, 0x0C, 0x27, 0xCF, 0xD0, 0xCA, 0x0A, 0x7B, 0x4F, 0xC4, 0x32, 0x25, 0xE8, 0x80]
        .reversed())
    let material = try SRTPKeyMaterial(
      profile: .aesCM128HMACSHA1Tag80, keyAndSalt: master.withRawSpan { SecretBytes($0) })
    // Deep below what the search itself needs of the stack.
    let context = try unsafe withUnsafeTemporaryAllocation(byteCount: 1 << 18, alignment: 16) { room in
      unsafe room.initializeMemory(as: UInt8.self, repeating: 0)
      return try OutboundSRTP(material, transform: .openssl)
    }
    #expect(authentication.copies() == 0)
    _ = consume context
  }
}

/// Keys in a place of their own, for they can't be in an array.
private final class Receiver { var keys = InboundKeys() }

extension SearchedSecret {
  fileprivate func material(_ profile: SRTPProfile) throws -> SRTPKeyMaterial {
    try SRTPKeyMaterial(profile: profile, keyAndSalt: self.bytes)
  }
}
