internal import ModuleKit

/// The parameters of an account line: baresip's, each with what it may be and whether Apus acts on it.
enum AccountParameters {
  /// What Apus does with a parameter.
  enum Effect: Sendable {
    case used
    /// Nothing: a warning, unless the value is the one that Apus behaves as anyway.
    case ignored(harmless: String?)
  }

  struct Parameter: Sendable {
    /// The value without it stands in baresip's manual; here it is Apus's.
    let key: ConfigKey
    let effect: Effect
    /// Never to be shown.
    let isSecret: Bool
  }

  static func named(_ name: String) -> Parameter? { table[name] }

  static let names: [String] = all.map(\.key.name)

  private static let table = Dictionary(all.map { ($0.key.name, $0) }) { first, _ in first }

  private static let all: [Parameter] = [
    used("regint", .integer(0...31_536_000), "seconds between registrations; 0 is none"),
    used("auth_user", .string, "user name for the digest"),
    secret("auth_pass", "password for the digest"),
    used("outbound", .string, "outbound proxy"),
    used("outbound1", .string, "outbound proxy"),
    used("outbound2", .string, "second outbound proxy"),
    used("answermode", .choice(AnswerMode.allCases.map(\.rawValue)), "how a call is answered"),
    used("answerdelay", .integer(0...3_600_000), "milliseconds before a call is answered by itself"),
    used("dtmfmode", .choice(DTMFMode.allCases.map(\.rawValue)), "how digits are sent"),
    used("call_transfer", .bool, "whether REFER is accepted"),
    used("sip_autoanswer", .bool, "whether a caller may ask for an automatic answer"),
    used("sip_autoredirect", .bool, "whether a 3xx is followed without asking"),
    used("mediaenc", .string, "media encryption"),
    used("medianat", .string, "NAT traversal of media"),
    used("rtcp_mux", .bool, "whether RTCP shares the RTP socket"),
    used("ptime", .integer(10...120), "milliseconds of audio in a packet"),
    used("autelev_pt", .integer(0...127), "payload type of telephone events; 0 is audio_telev_pt"),
    used("audio_codecs", .string, "codecs in order, NAME[/RATE[/CHANNELS]]"),
    used("audio_source", .string, "MODULE,DEVICE"),
    used("audio_player", .string, "MODULE,DEVICE"),
    used("extra", .string, "free text"),
    ignored("prio", .integer(0...1_000_000), harmless: "0"),
    ignored("rwait", .integer(0...100), harmless: "0"),
    ignored("fbregint", .integer(0...31_536_000), harmless: "0"),
    ignored("pubint", .integer(0...31_536_000), harmless: "0"),
    ignored("regq", .decimal(0...1), harmless: nil),
    ignored("sipnat", .choice(["outbound"]), harmless: nil),
    ignored("uas_user", .string, harmless: nil),
    secret("uas_pass", "", effect: .ignored(harmless: nil)),
    ignored("100rel", .choice(["no", "yes", "required"]), harmless: "no"),
    ignored("sip_autoanswer_beep", .choice(["on", "off", "local"]), harmless: "off"),
    ignored("inreq_allowed", .bool, harmless: "yes"),
    ignored("check_origin", .bool, harmless: "yes"),
    ignored("catchall", .bool, harmless: "no"),
    ignored("mwi", .bool, harmless: "no"),
    ignored("natpinhole", .bool, harmless: "no"),
    ignored("video_codecs", .string, harmless: nil),
    ignored("video_source", .string, harmless: nil),
    ignored("video_display", .string, harmless: nil),
    ignored("stunserver", .string, harmless: nil),
    ignored("stunuser", .string, harmless: nil),
    secret("stunpass", "", effect: .ignored(harmless: nil)),
    ignored("cert", .string, harmless: nil),
    ignored("tcpsrcport", .integer(0...65_535), harmless: "0"),
  ]

  private static func used(_ name: String, _ kind: ConfigKey.Kind, _ help: String) -> Parameter {
    Parameter(key: ConfigKey(name, kind, default: "", help: help), effect: .used, isSecret: false)
  }

  private static func ignored(_ name: String, _ kind: ConfigKey.Kind, harmless: String?) -> Parameter {
    Parameter(
      key: ConfigKey(name, kind, default: harmless ?? "", help: ""), effect: .ignored(harmless: harmless),
      isSecret: false)
  }

  private static func secret(_ name: String, _ help: String, effect: Effect = .used) -> Parameter {
    Parameter(key: ConfigKey(name, .string, default: "", help: help), effect: effect, isSecret: true)
  }
}
