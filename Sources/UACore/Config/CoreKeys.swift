package import ModuleKit
internal import SIPStack
internal import SRTPEngine

/// The keys that the core itself understands, in the order of the generated config file.
///
/// Names and defaults are baresip's, but for `rtp_rxmode pool`, `rtp_rxmode_policy`, `rtp_rx_workers`,
/// `rtp_single_port`, `srtp_engine`, `srtp_rekey_packets`, `srtp_rekey_reports`, `rekey_method`, `toll_prefixes`,
/// `call_max_transfers`, `drain_timeout` and `LimitKeys`, which are ours, and for two defaults: `audio_path` is empty,
/// where baresip has the folder of its sounds, and `statmode_default` is off, where baresip shows figures.
package enum CoreKeys {
  /// Keys under one heading of the generated file.
  package struct Section: Sendable {
    package let title: String
    package let keys: [ConfigKey]
  }

  package static let sipListen = ConfigKey(
    "sip_listen", .string, default: "",
    help: "Address and port for SIP; without it every interface and any free port.")
  package static let sipTransports = ConfigKey(
    "sip_transports", .string, default: "",
    help: "Transports of SIP, of those whose modules there are: udp, tcp, tls, ws, wss; without it all of them.")
  package static let sipTransDef = ConfigKey(
    "sip_trans_def", .choice(["udp", "tcp", "tls", "ws", "wss"]), default: "udp",
    help: "Transport towards addresses that name none and have no records of their own in DNS.")
  package static let sipCertificate = ConfigKey(
    "sip_certificate", .string, default: "",
    help: "Our certificate and its key in one PEM file; without it peers can't open a connection with TLS.")
  package static let sipCAFile = ConfigKey(
    "sip_cafile", .string, default: "",
    help: "Authorities that certificates are verified by, in one PEM file; without it and sip_capath the system's.")
  package static let sipCAPath = ConfigKey(
    "sip_capath", .string, default: "", help: "A folder of such authorities.")
  package static let sipVerifyServer = ConfigKey(
    "sip_verify_server", .bool, default: "yes",
    help: "Whether a server must prove its name by a certificate that is verified.")
  package static let sipVerifyClient = ConfigKey(
    "sip_verify_client", .bool, default: "no",
    help: "Whether peers that open a connection with TLS must have a certificate that is verified.")
  package static let sipTOS = ConfigKey(
    "sip_tos", .integer(0...255), default: "160", help: "IP type of service, or traffic class, of SIP packets.")

  package static let callLocalTimeout = ConfigKey(
    "call_local_timeout", .integer(0...86_400), default: "120",
    help: "Seconds until a call that nobody answers here is refused; 0 is never.")
  package static let callMaxCalls = ConfigKey(
    "call_max_calls", .integer(0...1_000_000), default: "4",
    help: "Calls at the same time; more that come in are refused with 486. 0 is without limit.")
  package static let callHoldOtherCalls = ConfigKey(
    "call_hold_other_calls", .bool, default: "yes",
    help: "Whether the other calls are put on hold when one is answered, dialled or resumed.")
  package static let drainTimeout = ConfigKey(
    "drain_timeout", .integer(0...86_400), default: "0",
    help: "Seconds that calls may go on after SIGTERM, while new ones get 503; 0 ends all at once, as Ctrl-C does.")
  package static let tollPrefixes = ConfigKey(
    "toll_prefixes", .string, default: TollNumbers.standard.prefixes.joined(separator: ","),
    help: "What numbers begin with that no REFER and no redirect may make us call: a list, or none.")
  package static let callMaxTransfers = ConfigKey(
    "call_max_transfers", .integer(0...1000), default: "5",
    help: "How often in a row a REFER may send us on to somebody else.")

  package static let redialAttempts = ConfigKey(
    "redial_attempts", .string, default: "0",
    help: "How often a call that was not answered is made again: a number, or inf for without end.")
  package static let redialDelay = ConfigKey(
    "redial_delay", .integer(0...86_400), default: "5", help: "Seconds before a call is made again.")
  package static let menuCleanNumber = ConfigKey(
    "menu_clean_number", .bool, default: "no",
    help: "Whether blanks, brackets, dots, slashes and hyphens are taken out of numbers that are dialled.")
  package static let autoAnswerMethod = ConfigKey(
    "sip_autoanswer_method", .choice(AutoAnswer.Method.allCases.map(\.rawValue)), default: "",
    help: "How calls ask to be answered, once setadelay was used.")
  package static let statmodeDefault = ConfigKey(
    "statmode_default", .choice(["off", "call"]), default: "off",
    help: "Whether figures are shown on the terminal while a call stands; statmode switches it; "
      + "baresip's default is call.")

  package static let audioPath = ConfigKey(
    "audio_path", .string, default: "",
    help: "Folder in which sound files without a folder of their own are looked for; by default none, baresip has one.")
  package static let audioPlayer = ConfigKey(
    "audio_player", .string, default: "", help: "Where the peer is heard: MODULE,DEVICE.")
  package static let audioSource = ConfigKey(
    "audio_source", .string, default: "", help: "What the peer hears: MODULE,DEVICE.")
  package static let audioAlert = ConfigKey(
    "audio_alert", .string, default: "",
    help: "Where ringing and other tones are heard: MODULE,DEVICE; without it nowhere.")
  package static let videoSource = ConfigKey(
    "video_source", .string, default: "", help: "What the peer sees: MODULE,DEVICE; without it nothing.")
  package static let videoDisplay = ConfigKey(
    "video_display", .string, default: "", help: "Where the peer is seen: MODULE,DEVICE; without it nowhere.")

  package static let telephoneEventPayloadType = ConfigKey(
    "audio_telev_pt", .integer(96...127), default: "101",
    help: "Payload type that is offered for telephone events (DTMF, RFC 4733).")

  package static let audioLevel = ConfigKey(
    "audio_level", .bool, default: "no",
    help: "Offers, and takes, the level of the audio beside it in each packet (RFC 6464).")

  package static let ringFile = Self.toneFile(.ring, "a call that rings here")
  package static let callWaitingFile = Self.toneFile(.callWaiting, "a call that rings while another stands")
  package static let ringbackFile = Self.toneFile(.ringback, "a call of ours that rings")
  package static let busyFile = Self.toneFile(.busy, "a call of ours that finds the peer busy")
  package static let notFoundFile = Self.toneFile(.notFound, "a call of ours to nobody")
  package static let errorFile = Self.toneFile(.error, "a call of ours that fails otherwise")
  package static let autoAnswerFile = Self.toneFile(.autoAnswer, "a call that is about to be answered by itself")
  package static let ringbackDisabled = ConfigKey(
    "ringback_disabled", .bool, default: "no", help: "Whether nothing is heard while a call of ours rings.")

  private static func toneFile(_ tone: CallTone, _ what: String) -> ConfigKey {
    ConfigKey(
      "\(tone.rawValue)_aufile", .string, default: "",
      help: "Sound file on audio_alert for \(what); without it a built-in tone; none is silence.")
  }

  package static let rtpTOS = ConfigKey(
    "rtp_tos", .integer(0...255), default: "184", help: "IP type of service, or traffic class, of RTP packets.")
  package static let rtpPorts = ConfigKey(
    "rtp_ports", .range(1024...65_535), default: "1024-49152", help: "Local UDP ports for RTP and RTCP.")
  package static let jitterBufferType = ConfigKey(
    "audio_jitter_buffer_type", .choice(["off", "fixed", "adaptive"]), default: "fixed",
    help: "How audio that arrives unevenly is delayed.")
  package static let jitterBufferDelay = ConfigKey(
    "audio_jitter_buffer_ms", .range(0...10_000), default: "100-200",
    help: "Least and greatest delay of the jitter buffer, in milliseconds.")
  package static let jitterBufferSize = ConfigKey(
    "audio_jitter_buffer_size", .integer(1...1000), default: "50", help: "Packets that the jitter buffer holds at most."
  )
  package static let rtpTimeout = ConfigKey(
    "rtp_timeout", .integer(0...86_400), default: "0",
    help: "Seconds without RTP after which a call ends, while neither side holds the other; 0 is never.")

  package static let bundle = ConfigKey(
    "avt_bundle", .bool, default: "no",
    help: "Offers, and takes, all media of a call on one transport (RFC 9143), where RTCP is multiplexed.")

  package static let rxMode = ConfigKey(
    "rtp_rxmode", .choice(RxMode.allCases.map(\.rawValue)), default: RxMode.main.rawValue,
    help: "Where media is received: the main loop, a thread for each transport, or a pool of threads.")
  package static let rxPolicy = ConfigKey(
    "rtp_rxmode_policy", .choice(AdmissionPolicy.allCases.map(\.rawValue)), default: AdmissionPolicy.lock.rawValue,
    help: "What happens to a module that promises too little for rtp_rxmode: refuse it, lock it, or run it on main.")
  package static let rxWorkers = ConfigKey(
    "rtp_rx_workers", .integer(0...256), default: "0",
    help: "Threads of rtp_rxmode pool; 0 is one for each processor core.")
  package static let singlePort = ConfigKey(
    "rtp_single_port", .bool, default: "no",
    help: "Whether all calls of the main loop, or of a thread of rtp_rxmode pool, share one port, and one for RTCP.")

  package static let srtpEngine = ConfigKey(
    "srtp_engine", .choice(SRTPTransform.allCases.map(\.rawValue)), default: SRTPTransform.standard.rawValue,
    help: "What encrypts media packets: our own transform on OpenSSL, or libsrtp2.")

  package static let srtpRekeyPackets = ConfigKey(
    "srtp_rekey_packets", .integer(0...1 << 47), default: "0",
    help: "Packets sent under one key after which a call gets new keys by itself; 0 is near RFC 3711's limit.")

  package static let srtpRekeyReports = ConfigKey(
    "srtp_rekey_reports", .integer(0...1 << 30), default: "0",
    help: "SRTCP packets sent under one key after which a call gets new keys by itself; 0 is near RFC 3711's limit.")

  package static let rekeyMethod = ConfigKey(
    "rekey_method", .choice(RekeyMethod.allCases.map(\.rawValue)), default: RekeyMethod.invite.rawValue,
    help: "What offers a call's new keys: a re-INVITE, or an UPDATE where the peer allows it.")

  package static let netInterface = ConfigKey(
    "net_interface", .string, default: "", help: "Interface name or address from which calls are made.")
  package static let netAf = ConfigKey(
    "net_af", .choice(["ipv4", "ipv6"]), default: "", help: "Address family to which calls are limited.")

  package static let dnsServer = ConfigKey(
    "dns_server", .string, default: "", isRepeatable: true,
    help: "Address and port of a DNS server, instead of the system's; needs the module dns.")
  package static let dnsFallback = ConfigKey(
    "dns_fallback", .string, default: "", isRepeatable: true,
    help: "Address and port of a DNS server that is asked where the system has none; needs the module dns.")

  package static let modulePath = ConfigKey(
    "module_path", .string, default: "", help: "Accepted for baresip's sake and ignored: modules are compiled in.")
  package static let module = ConfigKey(
    "module", .string, default: "", isRepeatable: true,
    help: "Switches a module on; the order is the order of preference.")
  package static let moduleTmp = ConfigKey(
    "module_tmp", .string, default: "", isRepeatable: true, help: "The same as module.")
  package static let moduleApp = ConfigKey(
    "module_app", .string, default: "", isRepeatable: true, help: "The same as module.")

  package static let sections: [Section] = [
    Section(
      title: "SIP",
      keys: [
        sipListen, sipTransports, sipTransDef, sipCertificate, sipCAFile, sipCAPath, sipVerifyServer, sipVerifyClient,
        sipTOS,
      ]),
    Section(title: "Limits of SIP", keys: LimitKeys.all.map(\.key)),
    Section(
      title: "Calls",
      keys: [callLocalTimeout, callMaxCalls, callHoldOtherCalls, drainTimeout, tollPrefixes, callMaxTransfers]),
    Section(title: "Menu", keys: [redialAttempts, redialDelay, menuCleanNumber, autoAnswerMethod, statmodeDefault]),
    Section(
      title: "Audio", keys: [audioPath, audioPlayer, audioSource, audioAlert, telephoneEventPayloadType, audioLevel]),
    Section(title: "Video", keys: [videoSource, videoDisplay]),
    Section(
      title: "Tones",
      keys: [
        ringFile, callWaitingFile, ringbackFile, busyFile, notFoundFile, errorFile, autoAnswerFile, ringbackDisabled,
      ]),
    Section(
      title: "Media transport",
      keys: [rtpTOS, rtpPorts, jitterBufferType, jitterBufferDelay, jitterBufferSize, rtpTimeout, bundle]),
    Section(title: "Receiving", keys: [rxMode, rxPolicy, rxWorkers, singlePort]),
    Section(title: "Encryption", keys: [srtpEngine, srtpRekeyPackets, srtpRekeyReports, rekeyMethod]),
    Section(title: "Network", keys: [netInterface, netAf, dnsServer, dnsFallback]),
  ]

  /// All of them; the keys that switch modules on come last.
  package static let all: [ConfigKey] = sections.flatMap(\.keys) + [modulePath, module, moduleTmp, moduleApp]

  /// What baresip has in its core and we have in modules: switched on without a line of their own.
  package static let impliedModules = ["udp", "sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss", "dns"]
}
