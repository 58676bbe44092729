internal import Testing

/// The arrows between the layers point down only.
@Suite struct LayerTests {
  /// What the files of a folder may import; the C library's and the atomics' modules where a layer may touch them.
  static let allowed: [String: Set<String>] = [
    // L1
    "Sources/NetBase": ["Glibc"],
    "Sources/Handoff": ["Glibc", "Synchronization"],
    // L2: no clock, no lock, no thread, so not even the C library
    "Sources/SDPCodec": ["NetBase"],
    "Sources/SIPStack": ["NetBase", "ICEAgent"],  // STUN keeps UDP flows
    "Sources/RTPStack": ["NetBase"],
    "Sources/ICEAgent": ["NetBase"],
    // L3
    "Sources/SRTPEngine": ["NetBase", "CSRTP", "CTransform", "Glibc", "Synchronization"],
    "Sources/Runtime": [
      "NetBase", "Handoff", "CLinux", "Glibc", "Synchronization",
      "Dispatch",  // Dispatch runs the jobs that come after a loop's end
    ],
    // L4
    "Sources/ModuleKit": [
      "Glibc", "Synchronization", "Dispatch", "NetBase", "Handoff", "SIPStack", "ICEAgent", "SRTPEngine", "Runtime",
    ],
    // What modules that serve HTTP share; here, in HTTPClient and in SIPStreams, and nowhere else, does anything of NIO's appear.
    "Sources/HTTPServer": [
      "NetBase", "Handoff", "Runtime", "ModuleKit", "Glibc", "Synchronization", "NIOCore", "NIOPosix", "NIOSSL",
      "NIOHTTP1",
    ],
    // What modules that ask by HTTP share; TLS and the threads are those of the SIP modules.
    "Sources/HTTPClient": [
      "NetBase", "Runtime", "ModuleKit", "SIPStreams", "NIOCore", "NIOPosix", "NIOSSL", "NIOHTTP1",
    ],
    // What the SIP modules over connections share
    "Sources/SIPStreams": [
      "NetBase", "Handoff", "SIPStack", "Runtime", "ModuleKit", "Glibc", "Synchronization", "NIOCore", "NIOPosix",
      "NIOTLS", "NIOSSL", "NIOHTTP1", "NIOWebSocket",
    ],
    // L5
    "Sources/UACore": [
      "NetBase", "Handoff", "SDPCodec", "SIPStack", "RTPStack", "ICEAgent", "SRTPEngine", "Runtime", "ModuleKit",
      "CSpeexDSP", "COpenSSL", "Glibc", "Synchronization", "Dispatch",  // Dispatch runs the blocking resolver
    ],
    // L6
    "Sources/AllModules": Set(modules).union(["ModuleKit"]),
    "Sources/Apus": ["NetBase", "Handoff", "ModuleKit", "UACore", "AllModules", "Runtime", "Glibc", "Synchronization"],
    // L7
    "Sources/CLI": [
      "NetBase", "Handoff", "Runtime", "ModuleKit", "UACore", "AllModules", "Apus", "ArgumentParser", "Foundation",
      "Glibc", "Synchronization",
    ],
    "Sources/TestSupport": [
      "NetBase", "Handoff", "Runtime", "ModuleKit", "SIPStack", "RTPStack", "ICEAgent", "UACore", "AllModules", "g711",
      "ice", "CReplay", "Glibc", "Synchronization",
    ],
  ]

  /// What every module may import: L1, L2, keys, and what ModuleKit shows it.
  static let allowedInModules: Set<String> = [
    "NetBase", "Handoff", "SDPCodec", "SIPStack", "RTPStack", "SRTPEngine", "ModuleKit", "Glibc", "Synchronization",
  ]

  /// What single modules need besides: their C library, Runtime for the transports, a queue or Foundation for files.
  static let allowedInModule: [String: Set<String>] = [
    "udp": ["Runtime", "ICEAgent"],  // STUN tells whose a datagram is
    "sip_udp": ["Runtime"],
    "sip_tcp": ["SIPStreams"],
    "sip_tls": ["SIPStreams"],
    "sip_ws": ["SIPStreams"],
    "sip_wss": ["SIPStreams"],
    "dns": ["CCares", "Dispatch"],
    "dtls_srtp": ["COpenSSL"],
    "srtp": ["COpenSSL"],
    "ice": ["ICEAgent", "COpenSSL"],
    "opus": ["COpus"],
    "alsa": ["CAlsa", "Runtime"],
    "ctrl_tcp": ["Runtime"],
    "vumeter": ["Runtime"],
    "whip": ["HTTPClient", "HTTPServer", "Runtime"],
    "httpd": ["HTTPServer", "Runtime", "Foundation"],
  ]

  static let modules = Repository.lines("ls \(Repository.root)/Modules")

  @Test("a file imports only what its layer may see")
  func importsAreAllowed() throws {
    let files = Repository.swiftFiles(below: "Sources", "Modules/*/Sources")
    #expect(files.count > 50, "the repository was not found")
    for file in files {
      let parts = file.split(separator: "/")
      let allowed =
        parts[0] == "Modules"
        ? Self.allowedInModules.union(Self.allowedInModule[String(parts[1])] ?? [])
        : Self.allowed["Sources/\(parts[1])"]
      guard let allowed else {
        Issue.record("\(file): its folder has no layer in LayerTests.allowed")
        continue
      }
      for module in Self.imports(of: try #require(Repository.text(of: file))) where !allowed.contains(module) {
        Issue.record("\(file) imports \(module), which its layer may not see")
      }
    }
  }

  @Test("the protocol machines and what lies under them are free of Foundation, clocks and threads")
  func lowLayersAreSansIO() {
    for folder in ["NetBase", "Handoff", "SDPCodec", "SIPStack", "RTPStack", "ICEAgent", "SRTPEngine", "Runtime"] {
      let allowed = Self.allowed["Sources/\(folder)"] ?? []
      #expect(!allowed.contains("Foundation") && !allowed.contains("FoundationEssentials"))
    }
    for folder in ["SDPCodec", "RTPStack", "ICEAgent"] { #expect(Self.allowed["Sources/\(folder)"] == ["NetBase"]) }
    #expect(Self.allowed["Sources/SIPStack"] == ["NetBase", "ICEAgent"])
  }

  @Test(
    "an import is found however it is written",
    arguments: [
      ("import Glibc", ["Glibc"]),
      ("internal import Glibc", ["Glibc"]),
      ("@testable import UACore", ["UACore"]),
      ("package import struct NetBase.Instant", ["NetBase"]),
      ("  @preconcurrency internal import Foundation.NSThread  // why", ["Foundation"]),
      ("#if Trait\npublic import COpus\n#endif\nimport Runtime", ["COpus", "Runtime"]),
      ("// import Glibc\nlet important = 1", []),
    ])
  func importsAreFound(_ text: String, _ expected: [String]) {
    #expect(Self.imports(of: text) == expected)
  }

  /// The modules that a source file imports, in order.
  static func imports(of text: String) -> [String] {
    let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "typealias", "func", "let", "var"]
    return text.split(separator: "\n").compactMap { line in
      let words = line.split(whereSeparator: \.isWhitespace)
      guard let keyword = words.firstIndex(of: "import"),
        words[..<keyword].allSatisfy({
          $0.hasPrefix("@") || ["public", "package", "internal", "private", "fileprivate"].contains($0)
        })
      else { return nil }
      let name = words[(keyword + 1)...].first { !kinds.contains($0) }
      return name?.split(separator: ".").first.map(String.init)
    }
  }
}
