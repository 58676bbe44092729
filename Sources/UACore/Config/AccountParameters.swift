internal import ModuleKit

/// The parameters of an account line: baresip's and `privacy`, each with what it may be and what it does.
enum AccountParameters {
  static func named(_ name: String) -> ConfigKey? { table[name] }

  static let names: [String] = all.map(\.name)

  private static let table = Dictionary(all.map { ($0.name, $0) }) { first, _ in first }

  /// The default is shown, and may be words.
  static let all: [ConfigKey] = [
    parameter(
      "regint", .integer(0...31_536_000), "3600",
      "seconds between registrations, and up to 255 more at random while it is not set; 0 doesn't register"),
    parameter(
      "rwait", .integer(0...31_536_000), "0",
      "percent of the granted time after which a registration is refreshed, held between 5 and 95; 0 is 90"),
    parameter(
      "prio", .integer(0...1_000_000), "0",
      "0 registers; an account with another number waits until `uareg` asks for it or, with module `serreg`, until "
        + "every account with a smaller one has failed"),
    parameter(
      "fbregint", .integer(0...31_536_000), "0",
      "with module `serreg`: seconds between two questions whether its registrar is there, a REGISTER that binds "
        + "nothing, while accounts of another `prio` are registered; 0 asks as after any failure"),
    parameter(
      "regq", .decimal(0...1), "",
      "the Contact's preference at the registrar"),
    parameter(
      "pubint", .integer(0...31_536_000), "0",
      "seconds for which presence is published at a time (RFC 3903, module `presence`); 0 doesn't publish"),
    parameter(
      "auth_user", .string, "the address's user",
      "user name for the digest"),
    parameter(
      "auth_pass", .string, "",
      "password for the digest"),
    parameter(
      "outbound", .string, "",
      "outbound proxy, a SIP URI in quotes"),
    parameter(
      "outbound1", .string, "",
      "the same as `outbound`"),
    parameter(
      "outbound2", .string, "",
      "the proxy that is tried next"),
    parameter(
      "sipnat", .choice(["outbound"]), "",
      "keeps the connection to the registrar and is reached over it (RFC 5626)"),
    parameter(
      "uas_user", .string, "",
      "user name that callers need"),
    parameter(
      "uas_pass", .string, "",
      "password that callers need"),
    parameter(
      "answermode", .choice(AnswerMode.allCases.map(\.rawValue)), "manual",
      "how a call is answered; "
        + "`early`, `early-audio` and, where the call has video, `early-video` send media before it is"),
    parameter(
      "answerdelay", .integer(0...3_600_000), "0",
      "milliseconds before a call is answered by itself"),
    parameter(
      "sip_autoanswer", .bool, "no",
      "whether a caller may ask to be answered: Call-Info, Alert-Info, Answer-Mode (RFC 5373)"),
    parameter(
      "sip_autoanswer_beep", .choice(["on", "off", "local", "yes", "no"]), "on",
      "whether `audio_alert`, where there is one, plays a tone before a call is answered for `sip_autoanswer`; "
        + "`local` is `on`, for a sound that Alert-Info names is never fetched"),
    parameter(
      "sip_autoredirect", .bool, "no",
      "whether a 3xx is followed without asking"),
    parameter(
      "100rel", .choice(ReliableProvisionals.allCases.map(\.rawValue)), "no",
      "whether provisional responses are acknowledged (RFC 3262)"),
    parameter(
      "call_transfer", .bool, "yes",
      "whether a REFER in a call makes a call; one from outside a call never does, "
        + "nor one to what `toll_prefixes` lists"),
    parameter(
      "dtmfmode", .choice(DTMFMode.allCases.map(\.rawValue)), "rtpevent",
      "how digits are sent: RFC 4733, INFO, or INFO where the peer has no telephone events"),
    parameter(
      "privacy", .choice(CallerPrivacy.allCases.map(\.rawValue)), "none",
      "`id` hides who calls: From and Contact are anonymous, and only a registrar or proxy of the account's is told "
        + "(RFC 3323, 3325); ours, baresip has none"),
    parameter(
      "inreq_allowed", .bool, "yes",
      "whether requests from outside a dialog are taken"),
    parameter(
      "check_origin", .bool, "yes",
      "whether a registered account takes calls from its registrar or proxy only"),
    parameter(
      "catchall", .bool, "no",
      "whether calls for users that no account has come here"),
    parameter(
      "mwi", .bool, "yes",
      "whether the mailbox is asked for messages, once registered (RFC 3842)"),
    parameter(
      "mediaenc", .string, "none",
      "`srtp`, `srtp-mand`, `srtp-mandf`, `dtls_srtp` or `none`"),
    parameter(
      "medianat", .string, "none",
      "`ice` or `none`; `stun` and `turn` are taken for `ice`, with a warning: there is neither without checks"),
    parameter(
      "natpinhole", .bool, "no",
      "whether audio that is only received has its way through a NAT opened, and kept open, by empty packets; "
        + "not with `medianat`, whose checks do that"),
    parameter(
      "rtcp_mux", .bool, "no",
      "whether RTCP shares the RTP socket (RFC 5761)"),
    parameter(
      "ptime", .integer(10...120), "20",
      "milliseconds of audio in a packet; shorter where the codec makes none of that length "
        + "(opus: 10, 20, 40, 60, 80, 100, 120)"),
    parameter(
      "autelev_pt", .integer(0...127), "0",
      "payload type of telephone events; 0 is `audio_telev_pt`"),
    parameter(
      "audio_codecs", .string, "all, in the order of the modules",
      "codecs in order, NAME[/RATE[/CHANNELS]], with commas"),
    parameter(
      "audio_source", .string, "the config's",
      "MODULE,DEVICE"),
    parameter(
      "audio_player", .string, "the config's",
      "MODULE,DEVICE"),
    parameter(
      "video_codecs", .string, "all, in the order of the modules",
      "video codecs in order, by name, with commas"),
    parameter(
      "video_source", .string, "the config's",
      "MODULE,DEVICE"),
    parameter(
      "video_display", .string, "the config's",
      "MODULE,DEVICE"),
    parameter(
      "stunserver", .string, "",
      "whom `medianat=ice` asks: stun:HOST[:PORT], turn:HOST[:PORT] (over UDP), turn:HOST[:PORT]?transport=tcp or "
        + "turns:HOST[:PORT] (over TLS), several with commas"),
    parameter(
      "stunuser", .string, "",
      "user name for these servers"),
    parameter(
      "stunpass", .string, "",
      "password for these servers"),
    parameter(
      "cert", .string, "",
      "the client's certificate and key for TLS, a PEM file"),
    parameter(
      "tcpsrcport", .integer(0...65_535), "0",
      "the port that TCP, TLS and WebSocket connections to the registrar, or to the outbound proxies, leave from; "
        + "0 is any free one"),
    parameter(
      "extra", .string, "",
      "free text, shown by `uastat`"),
  ]

  private static func parameter(
    _ name: String, _ kind: ConfigKey.Kind, _ value: String, _ help: String
  ) -> ConfigKey { ConfigKey(name, kind, default: value, help: help) }
}
