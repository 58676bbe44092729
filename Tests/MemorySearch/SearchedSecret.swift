internal import CMemory
internal import Glibc
internal import Handoff
package import NetBase

/// A random key that can be looked for in all of the process's writable memory.
@safe package final class SearchedSecret: @unchecked Sendable {  // the window is used in one search at a time
  /// One search at a time: each copies all memory, and so what another looks for.
  private static let turn = Locked(())

  /// AddressSanitizer leaves freed memory as it was, so a key's beginning tells; the NSS beneath libsrtp2 leaves salts there,
  /// which are no secret.
  private static let freedMemoryStays = unsafe dlsym(nil, "__asan_init") != nil

  private let pattern: UnsafeMutableRawBufferPointer
  private let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)

  package init(count: Int) {
    unsafe self.pattern = .allocate(byteCount: count, alignment: 16)
    for offset in 0..<count { unsafe self.pattern[offset] = .random(in: 0...255) }
  }

  package init(_ bytes: some Collection<UInt8>) {
    unsafe self.pattern = .allocate(byteCount: bytes.count, alignment: 16)
    for (offset, byte) in bytes.enumerated() { unsafe self.pattern[offset] = byte }
  }

  package init(_ bytes: borrowing SecretBytes) {
    unsafe self.pattern = .allocate(byteCount: bytes.count, alignment: 16)
    unsafe bytes.withUnsafeBytes { unsafe self.pattern.copyMemory(from: $0) }
  }

  deinit {
    unsafe self.pattern.deallocate()
    unsafe self.window.deallocate()
  }

  /// A copy, which is its owner's to let go.
  package var bytes: SecretBytes {
    var bytes = unsafe SecretBytes(count: self.pattern.count)
    unsafe bytes.withUnsafeMutableBytes { unsafe $0.copyMemory(from: UnsafeRawBufferPointer(self.pattern)) }
    return bytes
  }

  /// Whether the search finds it; tried again, for memory that others map meanwhile can hide a place.
  package func isThere() -> Bool { (0..<5).contains { _ in self.copies() > 0 } }

  /// How often the 16 bytes at the key's start are in memory, and how often what is behind them, apart from this search's
  /// own copies. Freed memory has other things in its first 16 bytes: that a longer key was not wiped, the rest tells.
  package func copies() -> Int {
    // What the test's own calls and a search before have spilled from registers is not what is looked for.
    cmemory_clear_stack()
    return Self.turn.withLock { _ in self.search() }
  }

  private func search() -> Int {
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
      guard unsafe count > self.pattern.count else { break }
      var (rest, left): (UnsafeRawPointer, Int)
      for piece in self.pieces {
        let wanted = unsafe self.pattern.baseAddress! + piece.lowerBound
        unsafe (rest, left) = (UnsafeRawPointer(self.window.baseAddress!), count)
        while let hit = unsafe cmemory_find(rest, left, wanted, piece.count) {
          let offset = unsafe UnsafeRawPointer(hit) - UnsafeRawPointer(self.window.baseAddress!)
          if !self.isOwn(address + UInt(offset)) { found += 1 }
          unsafe (rest, left) = (UnsafeRawPointer(hit) + 1, count - offset - 1)
        }
      }
      // Windows overlap, so that no key hides between two.
      if UInt(count) >= end - address { break }
      address += unsafe UInt(count - self.pattern.count)
    }
    unsafe memset(self.window.baseAddress!, 0, self.window.count)
    return found
  }

  /// What is looked for; less than eight bytes would be found by chance.
  private var pieces: [Range<Int>] {
    let count = unsafe self.pattern.count
    return count < 24 || Self.freedMemoryStays ? [0..<16] : [0..<16, 16..<count]
  }

  private func isOwn(_ address: UInt) -> Bool {
    let (pattern, window) = unsafe (
      UInt(bitPattern: self.pattern.baseAddress), UInt(bitPattern: self.window.baseAddress)
    )
    return address == pattern || address == pattern + 16 || (window..<window + (1 << 20)).contains(address)
  }
}
