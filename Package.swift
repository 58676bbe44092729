// swift-tools-version: 6.2
import PackageDescription

/// One set of strict settings for every target.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
]

/// Built on demand only: `Scripts/bench` sets the variable.
let hasBenchmarks = Context.environment["APUS_BENCHMARKS"] != nil

/// A module: its folder, its target and its config name are one word.
func module(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource] = []) -> Target {
  .target(
    name: name, dependencies: ["NetBase", "Handoff", "ModuleKit"] + dependencies,
    path: "Modules/\(name)/Sources", resources: resources, swiftSettings: strict)
}

func moduleTests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .testTarget(
    name: "\(name)Tests",
    dependencies: [.target(name: name), "NetBase", "Handoff", "ModuleKit", "TestSupport"] + dependencies,
    path: "Modules/\(name)/Tests", swiftSettings: strict)
}

func layer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: "\(name)Tests", dependencies: dependencies, swiftSettings: strict)
}

func library(_ name: String, _ pkgConfig: String, _ package: String) -> Target {
  .systemLibrary(
    name: name, path: "Sources/CLibs/\(name)", pkgConfig: pkgConfig, providers: [.apt([package])])
}

let package = Package(
  name: "apus",
  products: [
    .library(name: "Apus", targets: ["Apus"]),
    .executable(name: "apus", targets: ["CLI"]),
  ],
  traits: [
    .trait(name: "CAres", description: "Names by NAPTR and SRV, on c-ares (libc-ares-dev)"),
    .trait(name: "ALSA", description: "Sound devices, on ALSA (libasound2-dev)"),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
  ],
  targets: [
    // L0: the C boundary
    .target(name: "CLinux", path: "Sources/CLibs/CLinux"),
    library("COpenSSL", "openssl", "libssl-dev"),
    library("CSRTP", "libsrtp2", "libsrtp2-dev"),
    // What an SRTP packet's keys do, on libcrypto.
    .target(name: "CTransform", dependencies: ["COpenSSL"], path: "Sources/CLibs/CTransform"),
    library("COpus", "opus", "libopus-dev"),
    // For tests: what OpenSSL draws and reads repeats.
    .target(name: "CReplay", dependencies: ["COpenSSL"], path: "Sources/CLibs/CReplay"),
    library("CSpeexDSP", "speexdsp", "libspeexdsp-dev"),
    library("CCares", "libcares", "libc-ares-dev"),
    library("CAlsa", "alsa", "libasound2-dev"),
    // L1
    layer("NetBase", []),
    layer("Handoff", []),
    // L2: protocol machines, sans I/O
    layer("SDPCodec", ["NetBase"]),
    layer("SIPStack", ["NetBase", "ICEAgent"]),
    layer("RTPStack", ["NetBase"]),
    layer("ICEAgent", ["NetBase"]),
    // L3
    layer("SRTPEngine", ["NetBase", "CSRTP", "CTransform"]),
    layer("Runtime", ["CLinux", "NetBase", "Handoff"]),
    // L4
    layer("ModuleKit", ["NetBase", "Handoff", "SIPStack", "ICEAgent", "SRTPEngine", "Runtime"]),
    // What the SIP modules over connections share
    layer(
      "SIPStreams",
      [
        "NetBase", "Handoff", "SIPStack", "Runtime", "ModuleKit",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOWebSocket", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    // What modules that serve HTTP share
    layer(
      "HTTPServer",
      [
        "NetBase", "Handoff", "Runtime", "ModuleKit",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    // What modules that ask by HTTP share
    layer(
      "HTTPClient",
      [
        "NetBase", "Runtime", "ModuleKit", "SIPStreams",
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    // Modules
    module("udp", ["Runtime", "ICEAgent"]),
    module("sip_udp", ["SIPStack", "Runtime"]),
    module("sip_tcp", ["SIPStreams", "SIPStack"]),
    module("sip_tls", ["SIPStreams", "SIPStack"]),
    module("sip_ws", ["SIPStreams", "SIPStack"]),
    module("sip_wss", ["SIPStreams", "SIPStack"]),
    module("dns", ["SIPStack", .target(name: "CCares", condition: .when(traits: ["CAres"]))]),
    module("dtls_srtp", ["SRTPEngine", "COpenSSL"]),
    module("srtp", ["SRTPEngine", "COpenSSL"]),
    module("ice", ["ICEAgent", "SIPStack", "COpenSSL"]),
    module("opus", ["COpus"]),
    module("g711"),
    module("aufile"),
    module("alsa", ["Runtime", .target(name: "CAlsa", condition: .when(traits: ["ALSA"]))]),
    module("ausine"),
    module("aubridge"),
    module("vumeter", ["Runtime"]),
    module("mixausrc"),
    module("ctrl_tcp", ["Runtime"]),
    module("whip", ["HTTPClient", "HTTPServer", "SDPCodec", "Runtime"]),
    module("httpd", ["HTTPServer", "Runtime"], resources: [.embedInCode("Page")]),
    module("presence"),
    module("serreg"),
    module("vp8"),
    module("h264"),
    module("vidbridge"),
    module("ivf"),
    // L5
    layer(
      "UACore",
      [
        "NetBase", "Handoff", "SDPCodec", "SIPStack", "RTPStack", "ICEAgent", "SRTPEngine", "Runtime", "ModuleKit",
        "CSpeexDSP", "COpenSSL",
      ]),
    // L6
    layer(
      "AllModules",
      [
        "ModuleKit", "udp", "sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "dns", "dtls_srtp", "srtp", "ice",
        "opus", "g711", "aufile", "alsa", "ausine", "aubridge", "vumeter", "mixausrc", "ctrl_tcp", "whip",
        "httpd", "presence", "serreg", "vp8", "h264", "vidbridge", "ivf",
      ]),
    layer("Apus", ["NetBase", "Handoff", "ModuleKit", "UACore", "AllModules"]),
    // L7
    .executableTarget(
      name: "CLI",
      dependencies: [
        "Apus", "AllModules", "UACore", "ModuleKit", "Runtime", "Handoff", "NetBase",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),
    layer(
      "TestSupport",
      [
        "NetBase", "Handoff", "Runtime", "ModuleKit", "SIPStack", "RTPStack", "ICEAgent", "UACore", "AllModules",
        "g711",
        "ice", "CReplay",
      ]),
    // Tests
    tests("NetBase", ["NetBase"]),
    tests("Handoff", ["Handoff"]),
    tests("SDPCodec", ["SDPCodec", "NetBase"]),
    tests("SIPStack", ["SIPStack", "NetBase", "ICEAgent"]),
    tests("RTPStack", ["RTPStack", "NetBase"]),
    tests("ICEAgent", ["ICEAgent", "NetBase", "SIPStack", "ice", "TestSupport", "MemorySearch"]),
    tests("SRTPEngine", ["SRTPEngine", "NetBase", "MemorySearch"]),
    tests("Runtime", ["Runtime", "NetBase", "Handoff"]),
    tests("ModuleKit", ["ModuleKit", "NetBase", "Handoff", "Runtime", "TestSupport"]),
    tests(
      "UACore",
      [
        "UACore", "ModuleKit", "AllModules", "NetBase", "Handoff", "Runtime", "RTPStack", "SDPCodec", "SIPStack",
        "ICEAgent", "ice", "udp", "g711", "vp8", "SRTPEngine", "CSRTP", "srtp", "dtls_srtp", "MemorySearch",
        "TestSupport",
      ]),
    .testTarget(
      name: "SimulationTests",
      dependencies: [
        "UACore", "ModuleKit", "NetBase", "Handoff", "Runtime", "RTPStack", "SIPStack", "SDPCodec", "ICEAgent", "ice",
        "TestSupport", "aufile",
      ], path: "Tests/Simulation", exclude: ["README.md"], swiftSettings: strict),
    .target(
      name: "FuzzTargets",
      dependencies: [
        "NetBase", "Handoff", "SDPCodec", "SIPStack", "RTPStack", "ICEAgent", "SRTPEngine", "ModuleKit", "HTTPServer",
        "HTTPClient", "UACore", "AllModules", "srtp", "dtls_srtp", "ice", "opus", "aufile", "vp8", "h264", "ivf",
        "ctrl_tcp", "whip", "TestSupport",
      ], path: "Tests/Fuzz/Targets", swiftSettings: strict),
    .testTarget(
      name: "FuzzCorpusTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz/Tests", swiftSettings: strict),
    tests("Apus", ["Apus", "UACore", "ModuleKit", "AllModules", "NetBase", "TestSupport"]),
    tests(
      "CLI",
      ["CLI", "UACore", "ModuleKit", "NetBase", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    .target(name: "CMemory", path: "Tests/CMemory"),
    // Looks for a secret in all memory.
    .target(
      name: "MemorySearch", dependencies: ["CMemory", "NetBase", "Handoff"], path: "Tests/MemorySearch",
      swiftSettings: strict),
    .executableTarget(
      name: "ThreadedCall",
      dependencies: ["UACore", "ModuleKit", "AllModules", "NetBase", "Handoff", "Runtime", "SIPStack"],
      path: "Tests/Valgrind/ThreadedCall", swiftSettings: strict),
    // Many calls at once, for long
    .target(
      name: "Soaking", dependencies: ["CMemory", "UACore", "ModuleKit", "AllModules", "NetBase", "Runtime"],
      path: "Tests/Soaking", swiftSettings: strict),
    .executableTarget(
      name: "SoakCalls", dependencies: ["Soaking"], path: "Tests/Valgrind/SoakCalls", swiftSettings: strict),
    .testTarget(
      name: "RxModeMatrixTests",
      dependencies: [
        "Soaking", "SRTPEngine", "TestSupport", "aufile",
        "UACore", "ModuleKit", "AllModules", "NetBase", "Handoff", "Runtime", "RTPStack", "SDPCodec", "SIPStack",
        "sip_udp", "udp", "vumeter",
      ], path: "Tests/RxModeMatrix", exclude: ["cells.txt"], swiftSettings: strict),
    tests("RepoRules", ["ModuleKit", "AllModules", "UACore"]),
    moduleTests("udp", ["Runtime", "ICEAgent"]),
    moduleTests("sip_udp", ["SIPStack"]),
    moduleTests("sip_tcp", ["SIPStreams", "SIPStack", "Runtime"]),
    moduleTests("sip_tls", ["SIPStreams", "SIPStack", "Runtime"]),
    moduleTests("sip_ws", ["SIPStreams", "SIPStack", "Runtime"]),
    moduleTests("sip_wss", ["SIPStreams", "SIPStack", "Runtime"]),
    moduleTests("dns", ["SIPStack", "Runtime"]),
    moduleTests("dtls_srtp", ["SRTPEngine", "COpenSSL"]),
    moduleTests("srtp", ["SRTPEngine"]),
    moduleTests("ice", ["ICEAgent", "SIPStack", "COpenSSL"]),
    moduleTests("opus", ["COpus"]),
    moduleTests("g711"),
    moduleTests("aufile"),
    moduleTests("alsa", ["Runtime"]),
    moduleTests("ausine"),
    moduleTests("mixausrc"),
    moduleTests("aubridge", ["Runtime"]),
    moduleTests("vumeter", ["Runtime"]),
    moduleTests("whip", ["HTTPClient", "HTTPServer", "Runtime", "SDPCodec", "UACore", "AllModules"]),
    moduleTests("httpd", ["HTTPServer", "Runtime"]),
    moduleTests("ctrl_tcp", ["Runtime"]),
    moduleTests("presence"),
    moduleTests("serreg"),
    moduleTests("vp8"),
    moduleTests("h264"),
    moduleTests("vidbridge"),
    moduleTests("ivf"),
  ]
)

if hasBenchmarks {
  package.targets += [
    // Takes malloc's place and counts.
    .target(name: "CAllocations", path: "Benchmarks/CAllocations"),
    // What the same calls cost in C.
    .target(
      name: "CLimit", dependencies: ["CAllocations", "CTransform", "CSRTP", "COpenSSL", "COpus"],
      path: "Benchmarks/CLimit"),
    .executableTarget(
      name: "apus-bench",
      dependencies: [
        "CAllocations", "CLimit", "CTransform", "COpus", "opus", "UACore", "AllModules", "ModuleKit", "Runtime",
        "SRTPEngine",
        "SIPStack", "RTPStack", "Handoff", "NetBase",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], path: "Benchmarks/Sources", swiftSettings: strict),
  ]
}

// The program of Scripts/fuzz: only built with its flags, which bring libFuzzer.
if Context.environment["APUS_FUZZ"] != nil {
  package.targets += [
    .target(name: "CFuzz", path: "Tests/Fuzz/CFuzz"),
    .executableTarget(
      name: "apus-fuzz", dependencies: ["CFuzz", "FuzzTargets", "Handoff"], path: "Tests/Fuzz/Main",
      swiftSettings: strict),
  ]
}

// What is tested is optimised in a release build; to optimise the tests as well takes minutes.
for target in package.targets where target.isTest {
  target.swiftSettings = (target.swiftSettings ?? []) + [.unsafeFlags(["-Onone"], .when(configuration: .release))]
}

// Test targets by name, with blanks between them: only these are built, for Scripts/mutants; these are not, for a build in
// which they could show nothing.
let named = { (variable: String) in Context.environment[variable]?.split(separator: " ").map(String.init) }
if let wanted = named("APUS_TEST_TARGETS") { package.targets.removeAll { $0.isTest && !wanted.contains($0.name) } }
if let spared = named("APUS_SPARED_TARGETS") { package.targets.removeAll { $0.isTest && spared.contains($0.name) } }
