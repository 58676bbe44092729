import CMemory
import Glibc
import NetBase
import SRTPEngine
import Testing

/// One at a time: a search copies all memory, and so what another looks for.
@Suite("Retired keys leave no trace", .serialized, .bothTransforms)
struct WipingTests {
  @Test("a retired master key is nowhere in the process's memory", arguments: SRTPProfile.allCases)
  func inbound(_ profile: SRTPProfile) throws {
    let secret = Secret(count: profile.keyAndSaltLength)
    var keys = InboundKeys()
    try keys.install(secret.material(profile), now: at(0))
    #expect(secret.isThere(), "the search finds what is there")
    try keys.install(key(1, profile), now: at(0))
    keys.timeout(now: at(30_000))
    #expect(keys.generationCount == 1)
    #expect(secret.copies() == 0)
  }

  @Test("a master key that was switched away from is nowhere in the process's memory")
  func outbound() throws {
    let secret = Secret(count: 30)
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
    let authentication = Secret(
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

/// A random key that can be looked for in all of the process's writable memory.
@safe private final class Secret {
  private let pattern: UnsafeMutableRawBufferPointer
  private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)

  init(count: Int) {
    unsafe self.pattern = .allocate(byteCount: count, alignment: 16)
    for offset in 0..<count { unsafe self.pattern[offset] = .random(in: 0...255) }
  }

  init(_ bytes: some Collection<UInt8>) {
    unsafe self.pattern = .allocate(byteCount: bytes.count, alignment: 16)
    for (offset, byte) in bytes.enumerated() { unsafe self.pattern[offset] = byte }
  }

  deinit {
    unsafe self.pattern.deallocate()
    unsafe self.window.deallocate()
  }

  func material(_ profile: SRTPProfile) throws -> SRTPKeyMaterial {
    var bytes = SecretBytes(count: profile.keyAndSaltLength)
    unsafe bytes.withUnsafeMutableBytes { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(self.pattern)) }
    return try SRTPKeyMaterial(profile: profile, keyAndSalt: bytes)
  }

  /// Whether the search finds it; tried again, for memory that others map meanwhile can hide a place.
  func isThere() -> Bool { (0..<5).contains { _ in self.copies() > 0 } }

  /// How often the 16 bytes at the key's start are in memory, apart from this search's own copies.
  func copies() -> Int {
    guard let maps = unsafe fopen("/proc/self/maps", "r") else { return -1 }
    let memory = unsafe open("/proc/self/mem", O_RDONLY)
    defer {
      unsafe fclose(maps)
      close(memory)
    }
    var found = 0
    var line = [CChar](repeating: 0, count: 512)
    while unsafe fgets(&line, 512, maps) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      let fields = text.split(separator: " ")
      let range = fields[0].split(separator: "-").compactMap { UInt(String($0), radix: 16) }
      // Sanitizers map terabytes of shadow memory, which holds no data.
      guard range.count == 2, fields[1].hasPrefix("rw"), range[1] - range[0] < 1 << 30 else { continue }
      found += self.copies(from: range[0], to: range[1], memory)
    }
    return found
  }

  private func copies(from start: UInt, to end: UInt, _ memory: Int32) -> Int {
    var found = 0
    var address = start
    while address < end {
      let count = unsafe pread(
        memory, self.window.baseAddress, min(self.window.count, Int(end - address)), off_t(address))
      guard count > 16 else { break }
      var (rest, left) = unsafe (UnsafeRawPointer(self.window.baseAddress!), count)
      while let hit = unsafe cmemory_find(rest, left, self.pattern.baseAddress!, 16) {
        let offset = unsafe UnsafeRawPointer(hit) - UnsafeRawPointer(self.window.baseAddress!)
        if !self.isOwn(address + UInt(offset)) { found += 1 }
        unsafe (rest, left) = (UnsafeRawPointer(hit) + 1, count - offset - 1)
      }
      // Windows overlap, so that no key hides between two.
      if UInt(count) >= end - address { break }
      address += UInt(count - 16)
    }
    unsafe memset(self.window.baseAddress!, 0, self.window.count)
    return found
  }

  private func isOwn(_ address: UInt) -> Bool {
    let (pattern, window) = unsafe (
      UInt(bitPattern: self.pattern.baseAddress), UInt(bitPattern: self.window.baseAddress)
    )
    return address == pattern || (window..<window + (1 << 20)).contains(address)
  }
}
