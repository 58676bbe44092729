internal import Testing

/// What the compiler can't check is listed here, with the reason; what is not listed is not allowed.
@Suite struct EscapeTests {
  struct Entry: Sendable {
    let file: String
    let escape: String
    let count: Int
    let why: String

    init(_ file: String, _ escape: String, _ count: Int = 1, _ why: String) {
      (self.file, self.escape, self.count, self.why) = (file, escape, count, why)
    }
  }

  static let allowed: [Entry] = [
    Entry("Sources/NetBase/SecretBytes.swift", "@unchecked Sendable", 1, "owns memory that nothing else can reach"),
    Entry("Sources/Handoff/Locked.swift", "@unchecked Sendable", 1, "every access takes the lock"),
    Entry("Sources/Handoff/PCMRing.swift", "@unchecked Sendable", 1, "one writer and one reader, ordered by atomics"),
    Entry("Sources/Handoff/Disconnected.swift", "nonisolated(unsafe)", 1, "in as sending, out once as sending"),
    Entry("Sources/Runtime/LoopBound.swift", "@unchecked Sendable", 1, "every access checks the thread"),
    Entry("Sources/Runtime/EventLoop.swift", "nonisolated(unsafe)", 1, "withContext checks the thread"),
    Entry("Sources/Runtime/Thread.swift", "@unchecked Sendable", 1, "every access takes the lock"),
    Entry("Sources/Runtime/Thread.swift", "Unmanaged", 2, "the body's way through pthread_create"),
    Entry("Sources/SRTPEngine/RetiredSRTP.swift", "@unchecked Sendable", 1, "owns contexts that nobody else has"),
    Entry("Sources/UACore/Stages/PCMBlock.swift", "@unchecked Sendable", 1, "owns memory that nothing else can reach"),
    Entry("Sources/CLI/Terminal/KeyInput.swift", "nonisolated(unsafe)", 1, "written before its readers' flag"),
    Entry("Modules/dns/Sources/CAresQuery.swift", "Unmanaged", 3, "the way back from c-ares's callbacks"),
    Entry("Modules/dtls_srtp/Sources/Association.swift", "Unmanaged", 2, "the way back from OpenSSL's callbacks"),
    Entry("Modules/ice/Sources/RelayTLS.swift", "@unchecked Sendable", 1, "never written after its init"),
    Entry("Modules/dtls_srtp/Sources/Certificate.swift", "@unchecked Sendable", 1, "never written after its init"),
    Entry("Modules/dtls_srtp/Sources/MemoryBIO.swift", "Unmanaged", 2, "the way back from OpenSSL's callbacks"),
    Entry("Modules/dtls_srtp/Sources/MemoryBIO.swift", "@unchecked Sendable", 1, "never written after its init"),
  ]

  static let escapes = ["@unchecked Sendable", "nonisolated(unsafe)", "unsafeBitCast", "Unmanaged"]

  static let forbidden = [
    "Mutex<", "Mutex(", "try!", "fatalError(", " as! ", "@_silgen_name", "unsafeDowncast", "@preconcurrency import",
  ]

  static let files = Repository.swiftFiles(below: "Sources", "Modules/*/Sources")

  @Test("each unchecked escape is in the list, and the list has no more than there is", arguments: escapes)
  func escapesAreListed(_ escape: String) throws {
    for file in Self.files {
      let found = Self.count(escape, in: Self.code(try #require(Repository.text(of: file))))
      let listed = Self.allowed.first { $0.file == file && $0.escape == escape }?.count ?? 0
      #expect(found == listed, "\(file) has \(escape) \(found) time(s), \(listed) allowed")
    }
    for entry in Self.allowed where entry.escape == escape {
      let isThere = Self.files.contains(entry.file)
      #expect(isThere, "\(entry.file) is gone: take it off the list")
    }
  }

  @Test("what we never write is nowhere", arguments: forbidden)
  func forbiddenIsAbsent(_ word: String) throws {
    for file in Self.files {
      let found = Self.count(word, in: Self.code(try #require(Repository.text(of: file))))
      #expect(found == 0, "\(file) has \(word)")
    }
  }

  @Test("nothing is left for later", arguments: ["TODO", "FIXME", "XXX:"])
  func nothingIsLeft(_ word: String) throws {
    for file in Self.files {
      let found = Self.count(word, in: try #require(Repository.text(of: file)))
      #expect(found == 0, "\(file) has \(word)")
    }
  }

  @Test("a file holds one idea: at most 500 lines")
  func filesAreShort() throws {
    for file in Repository.swiftFiles(below: "Sources", "Modules", "Tests") {
      let text = try #require(Repository.text(of: file))
      let lines = text.split(separator: "\n", omittingEmptySubsequences: false).count
      #expect(lines <= 501, "\(file) has \(lines - 1) lines: which two ideas does it hold?")
    }
  }

  @Test("words are counted where they stand")
  func wordsAreCounted() {
    #expect(Self.count("try!", in: "try! a()\nlet b = try! c()") == 2)
    #expect(Self.count("try!", in: "try a()") == 0)
    #expect(Self.count("try!", in: Self.code("a / b // never try!\ntry! c()")) == 1)
  }

  /// The text without its comments that go to the end of a line.
  static func code(_ text: String) -> String {
    var code = ""
    for line in text.split(separator: "\n") {
      var kept = line
      var rest = line
      while let slash = rest.firstIndex(of: "/") {
        rest = rest[rest.index(after: slash)...]
        if rest.first == "/" {
          kept = line[..<slash]
          break
        }
      }
      code += kept + "\n"
    }
    return code
  }

  static func count(_ word: String, in text: String) -> Int {
    var count = 0
    var rest = text.utf8[...]
    let wanted = Array(word.utf8)
    while let start = rest.firstIndex(of: wanted[0]) {
      rest = rest[start...]
      if rest.starts(with: wanted) { count += 1 }
      rest = rest.dropFirst()
    }
    return count
  }
}
