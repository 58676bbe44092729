internal import ModuleKit

/// Modules that only have names and keys, so that these tests don't depend on the real ones.
enum ConfigModules {
  static let all: [any Module.Type] = [
    UDP.self, SIPUDP.self, Opus.self, G711.self, AUFile.self, AUSine.self, AUBridge.self, SRTP.self, DTLS.self,
  ]

  protocol Bare: Module {}

  struct UDP: Bare { static let name = "udp" }
  struct SIPUDP: Bare { static let name = "sip_udp" }
  struct G711: Bare { static let name = "g711" }
  struct AUFile: Bare { static let name = "aufile" }
  struct AUSine: Bare { static let name = "ausine" }
  struct AUBridge: Bare { static let name = "aubridge" }
  struct SRTP: Bare { static let name = "srtp" }
  struct DTLS: Bare { static let name = "dtls_srtp" }
  struct Opus: Bare {
    static let name = "opus"
    static let configKeys = [
      ConfigKey("opus_bitrate", .integer(6000...510_000), default: "28000", help: "Bit/s."),
      ConfigKey("opus_inbandfec", .bool, default: "no", help: "Whether lost packets can be rebuilt from the next."),
      ConfigKey("opus_application", .choice(["audio", "voip"]), default: "audio", help: "What is encoded."),
      ConfigKey("opus_gain", .decimal(-10...10), default: "0.5", help: "In dB."),
    ]
  }
}

extension ConfigModules.Bare {
  static var summary: String { "a module of the tests" }
  init(settings: ModuleSettings) throws(ModuleError) { throw ModuleError(.configuration, "it only has a name") }
  var facets: [Facet] { [] }
}
