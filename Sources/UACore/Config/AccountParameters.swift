internal import ModuleKit

/// The parameters of an account line: baresip's and `privacy`, each with what it may be and whether Apus acts on it.
enum AccountParameters {
  /// What Apus does with a parameter.
  enum Effect: Sendable {
    case used
    /// Nothing: a warning, unless the value is the one that Apus behaves as anyway.
    case ignored(harmless: String?, why: String)
  }

  struct Parameter: Sendable {
    /// The default is shown, and may be words.
    let key: ConfigKey
    let effect: Effect
    /// Never to be shown.
    let isSecret: Bool
  }

  static func named(_ name: String) -> Parameter? { table[name] }

  static let names: [String] = all.map(\.key.name)

  private static let table = Dictionary(all.map { ($0.key.name, $0) }) { first, _ in first }

  static let all: [Parameter] = [
    used(
      "regint", .integer(0...31_536_000), "3600",
      "seconds between registrations, and up to 255 more at random while it is not set; 0 doesn't register"),
    used(
      "rwait", .integer(0...31_536_000), "0",
      "percent of the granted time after which a registration is refreshed, held between 5 and 95; 0 is 90"),
    used(
      "prio", .integer(0...1_000_000), "0",
      "0 registers; an account with another number waits until `uareg` asks for it"),
    ignored(
      "fbregint", .integer(0...31_536_000), harmless: "0", "an account with a `prio` is registered by `uareg` only"),
    used(
      "regq", .decimal(0...1), "",
      "the Contact's preference at the registrar"),
    ignored(
      "pubint", .integer(0...31_536_000), harmless: "0",
      "presence isn't published, only told to contacts that ask (module `presence`)"),
    used(
      "auth_user", .string, "the address's user",
      "user name for the digest"),
    used(
      "auth_pass", .string, "",
      "password for the digest", isSecret: true),
    used(
      "outbound", .string, "",
      "outbound proxy, a SIP URI in quotes"),
    used(
      "outbound1", .string, "",
      "the same as `outbound`"),
    used(
      "outbound2", .string, "",
      "the proxy that is tried next"),
    used(
      "sipnat", .choice(["outbound"]), "",
      "keeps the connection to the registrar and is reached over it (RFC 5626)"),
    used(
      "uas_user", .string, "",
      "user name that callers need"),
    used(
      "uas_pass", .string, "",
      "password that callers need", isSecret: true),
    used(
      "answermode", .choice(AnswerMode.allCases.map(\.rawValue)), "manual",
      "how a call is answered; `early` and `early-audio` send sound before it is, `early-video` is `manual`"),
    used(
      "answerdelay", .integer(0...3_600_000), "0",
      "milliseconds before a call is answered by itself"),
    used(
      "sip_autoanswer", .bool, "no",
      "whether a caller may ask to be answered: Call-Info, Alert-Info, Answer-Mode (RFC 5373)"),
    ignored(
      "sip_autoanswer_beep", .choice(["on", "off", "local", "yes", "no"]), harmless: "off",
      "no tone is played before an automatic answer"),
    used(
      "sip_autoredirect", .bool, "no",
      "whether a 3xx is followed without asking"),
    used(
      "100rel", .choice(ReliableProvisionals.allCases.map(\.rawValue)), "no",
      "whether provisional responses are acknowledged (RFC 3262)"),
    used(
      "call_transfer", .bool, "yes",
      "whether a REFER in a call makes a call; one from outside a call never does, "
        + "nor one to what `toll_prefixes` lists"),
    used(
      "dtmfmode", .choice(DTMFMode.allCases.map(\.rawValue)), "rtpevent",
      "how digits are sent: RFC 4733, INFO, or INFO where the peer has no telephone events"),
    used(
      "privacy", .choice(CallerPrivacy.allCases.map(\.rawValue)), "none",
      "`id` hides who calls: From and Contact are anonymous, and only a registrar or proxy of the account's is told "
        + "(RFC 3323, 3325); ours, baresip has none"),
    used(
      "inreq_allowed", .bool, "yes",
      "whether requests from outside a dialog are taken"),
    used(
      "check_origin", .bool, "yes",
      "whether a registered account takes calls from its registrar or proxy only"),
    used(
      "catchall", .bool, "no",
      "whether calls for users that no account has come here"),
    used(
      "mwi", .bool, "yes",
      "whether the mailbox is asked for messages, once registered (RFC 3842)"),
    used(
      "mediaenc", .string, "none",
      "`srtp`, `srtp-mand`, `srtp-mandf`, `dtls_srtp` or `none`"),
    used(
      "medianat", .string, "none",
      "`ice` or `none`; `stun` and `turn` are taken for `ice`, with a warning: there is neither without checks"),
    ignored(
      "natpinhole", .bool, harmless: "no", "media ports are opened by the first packet of a call"),
    used(
      "rtcp_mux", .bool, "no",
      "whether RTCP shares the RTP socket (RFC 5761)"),
    used(
      "ptime", .integer(10...120), "20",
      "milliseconds of audio in a packet"),
    used(
      "autelev_pt", .integer(0...127), "0",
      "payload type of telephone events; 0 is `audio_telev_pt`"),
    used(
      "audio_codecs", .string, "all, in the order of the modules",
      "codecs in order, NAME[/RATE[/CHANNELS]], with commas"),
    used(
      "audio_source", .string, "the config's",
      "MODULE,DEVICE"),
    used(
      "audio_player", .string, "the config's",
      "MODULE,DEVICE"),
    ignored(
      "video_codecs", .string, harmless: nil, "there is no video"),
    ignored(
      "video_source", .string, harmless: nil, "there is no video"),
    ignored(
      "video_display", .string, harmless: nil, "there is no video"),
    used(
      "stunserver", .string, "",
      "whom `medianat=ice` asks: stun:HOST[:PORT], turn:HOST[:PORT] (over UDP), turn:HOST[:PORT]?transport=tcp or "
        + "turns:HOST[:PORT] (over TLS), several with commas"),
    used(
      "stunuser", .string, "",
      "user name for these servers"),
    used(
      "stunpass", .string, "",
      "password for these servers", isSecret: true),
    used(
      "cert", .string, "",
      "the client's certificate and key for TLS, a PEM file"),
    ignored(
      "tcpsrcport", .integer(0...65_535), harmless: "0", "connections leave from a free port"),
    used(
      "extra", .string, "",
      "free text, shown by `uastat`"),
  ]

  private static func used(
    _ name: String, _ kind: ConfigKey.Kind, _ value: String, _ help: String, isSecret: Bool = false
  ) -> Parameter {
    Parameter(key: ConfigKey(name, kind, default: value, help: help), effect: .used, isSecret: isSecret)
  }

  private static func ignored(
    _ name: String, _ kind: ConfigKey.Kind, harmless: String?, _ why: String, isSecret: Bool = false
  ) -> Parameter {
    Parameter(
      key: ConfigKey(name, kind, default: harmless ?? "", help: why), effect: .ignored(harmless: harmless, why: why),
      isSecret: isSecret)
  }
}
