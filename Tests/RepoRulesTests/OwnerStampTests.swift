internal import Testing

/// Sanitizers can't look inside a C library, so every wrapper of a handle shows who calls it.
@Suite struct OwnerStampTests {
  /// Files that import a C library without a stamp of their own, and why none is needed.
  static let exempt: [String: String] = [
    "Sources/SRTPEngine/SRTPPolicy.swift": "builds a policy on the stack for one call",
    "Sources/SRTPEngine/SRTPLibrary.swift": "has no handle: starts the library once",
    "Sources/SRTPEngine/RetiredSRTP.swift": "frees sessions that nobody else has any more, and does nothing else",
    "Modules/alsa/Sources/ALSALibrary.swift": "its handles live within one call",
    "Modules/dns/Sources/CAresQuery.swift": "its channel lives for one call, on that call's thread",
    "Modules/dns/Sources/CAresResolver.swift": "has no handle: starts the library once",
    "Sources/TestSupport/Replay.swift": "has no handle: what it sets is the calling thread's own",
    "Modules/opus/Sources/Opus.swift": "has no handle: asks for the version",
    "Modules/opus/Sources/OpusCodec.swift": "has no handle: names constants",
    "Modules/ice/Sources/OpenSSLSTUN.swift": "has no handle: hashes what its caller holds",
    "Modules/ice/Sources/RelayTLS.swift": "its context is never written after init; any thread may read it",
    "Modules/ice/Sources/RandomKey.swift": "has no handle: asks for random bytes, from any thread",
    "Modules/srtp/Sources/MasterKey.swift": "has no handle: asks for random bytes, from any thread",
    "Sources/UACore/Signalling/OpenSSLDigest.swift": "has no handle: hashes what its caller holds",
    "Sources/UACore/Signalling/CertificateNames.swift": "its handles live within one call",
    "Modules/dtls_srtp/Sources/DTLSSRTP.swift": "has no handle: asks for the version",
    "Modules/dtls_srtp/Sources/Certificate.swift": "its context is never written after init; any thread may read it",
    "Modules/dtls_srtp/Sources/Fingerprint.swift": "reads a certificate that its caller holds",
    "Modules/dtls_srtp/Sources/LibraryError.swift": "has no handle: reads the calling thread's error stack",
    "Modules/dtls_srtp/Sources/AssociationKeys.swift": "called by an association, which touches its stamp first",
    "Modules/dtls_srtp/Sources/MemoryBIO.swift": "called by an association, which touches its stamp first",
  ]

  /// The C libraries; CLinux is system calls only, and the kernel orders these.
  static let libraries = Set(Repository.lines("ls \(Repository.root)/Sources/CLibs")).subtracting(["CLinux"])

  static let wrappers = Repository.swiftFiles(below: "Sources", "Modules/*/Sources").filter { file in
    let imports = LayerTests.imports(of: Repository.text(of: file) ?? "")
    return !libraries.isDisjoint(with: imports)
  }

  @Test("the C libraries and the files that use them were found")
  func areFound() {
    #expect(Self.libraries.isSuperset(of: ["COpenSSL", "CSRTP", "COpus", "CSpeexDSP"]))
    #expect(Self.wrappers.count > Self.exempt.count)
    for file in Self.exempt.keys.sorted() {
      let isThere = Self.wrappers.contains(file)
      #expect(isThere, "\(file) uses no C library any more: take it off the list")
    }
  }

  @Test("a file that imports a C library stamps its handle, or is listed with a reason", arguments: wrappers)
  func isStamped(_ file: String) throws {
    let text = Self.unwrapped(EscapeTests.code(try #require(Repository.text(of: file))))
    if Self.exempt[file] != nil {
      #expect(!text.contains("OwnerStamp("), "\(file) has a stamp: take it off the list")
      return
    }
    #expect(text.contains("OwnerStamp("), "\(file) wraps a C handle: give it an OwnerStamp, or list it with a reason")
    #expect(!Self.handles(in: text).isEmpty, "\(file): which property is its handle?")
    for member in Self.untouched(in: text) {
      Issue.record("\(file): \(member) uses the handle without touching the stamp")
    }
  }

  @Test("one stamp serves all")
  func isShared() throws {
    let owners = Repository.swiftFiles(below: "Sources", "Modules").filter { file in
      (Repository.text(of: file) ?? "").contains("struct OwnerStamp")
    }
    #expect(owners == ["Sources/NetBase/OwnerStamp.swift"])
  }

  @Test("ThreadSanitizer reports a second thread on a stamp, and not one that took the handle over")
  func isSeen() {
    let program = Repository.output(of: "mktemp").dropLast()
    defer { _ = Repository.output(of: "rm -f \(program)") }
    let said = Repository.output(
      of: "cd \(Repository.root) && swiftc -O -sanitize=thread -package-name apus -swift-version 6"
        + " -enable-upcoming-feature InternalImportsByDefault Sources/NetBase/OwnerStamp.swift Tests/OwnerStamp/main.swift"
        + " -o \(program) 2>&1")
    #expect(said.isEmpty, "\(said)")
    let report = Repository.output(of: "\(program) 2>&1")
    #expect(report.contains("WARNING: ThreadSanitizer") && report.contains("OwnerStamp"), "\(report)")
    let handedOver = Repository.output(of: "\(program) handed 2>&1")
    #expect(handedOver == "done\n", "\(handedOver)")
  }

  @Test("a member that forgets the stamp is found")
  func forgottenIsFound() {
    let text = """
      final class Wrapper {
        private let handle: OpaquePointer
        private var stamp = OwnerStamp("a wrapper")
        init() { unsafe self.handle = make() }
        deinit {
          self.stamp.touch()
          unsafe destroy(self.handle)
        }
        func good() -> Int {
          self.stamp.touch()
          return unsafe use(self.handle)
        }
        package mutating func bad() -> Int { unsafe use(self.handle) }
        var worse: Int { unsafe use(self.handle) }
        private func inner() { unsafe use(self.handle) }
      }
      """
    #expect(Self.handles(in: text) == ["handle"])
    #expect(
      Self.untouched(in: text) == [
        "package mutating func bad() -> Int { unsafe use(self.handle) }", "var worse: Int { unsafe use(self.handle) }",
      ])
  }

  /// The text as it is without the `#if` of a trait around all of it.
  static func unwrapped(_ text: String) -> String {
    guard text.hasPrefix("#if ") else { return text }
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    return lines.map { $0.hasPrefix("  ") ? $0.dropFirst(2) : $0 }.joined(separator: "\n")
  }

  /// Names of the stored properties that hold a C library's pointer.
  static func handles(in text: String) -> [String] {
    text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ")
      guard line.hasPrefix("  "), !line.hasPrefix("   "),
        let keyword = words.firstIndex(where: { $0 == "let" || $0 == "var" }),
        keyword + 2 < words.count, words[keyword + 1].hasSuffix(":"),
        ["OpaquePointer", "OpaquePointer?", "srtp_t"].contains(words[keyword + 2])
      else { return nil }
      return String(words[keyword + 1].dropLast())
    }
  }

  /// First lines of the members that use a handle and don't touch the stamp. What is private is called by a member
  /// that did, an initialiser has no second thread yet, a consuming member gives the handle up, and the deinit of a struct
  /// can change nothing.
  static func untouched(in text: String) -> [String] {
    let uses = Self.handles(in: text).map { "self.\($0)" }
    var members: [[Substring]] = []
    for line in text.split(separator: "\n") {
      let isStart = line.hasPrefix("  ") && !line.hasPrefix("   ") && !line.hasPrefix("  }") && !line.hasPrefix("  )")
      if isStart || members.isEmpty { members.append([line]) } else { members[members.count - 1].append(line) }
    }
    return members.compactMap { lines in
      let first = lines[0].drop { $0 == " " }
      let body = lines.joined(separator: "\n")
      let isExempt =
        ["private ", "init(", "package init(", "consuming "].contains { first.hasPrefix($0) }
        || body.contains("touch()")
        || body.contains("self.call(") || (first.hasPrefix("deinit") && text.contains("struct "))
      return !isExempt && uses.contains { body.contains($0) } ? String(first) : nil
    }
  }
}
