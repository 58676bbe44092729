internal import Glibc
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// What baresip's module `debug_cmd` has: the state of everything, and a few switches.
extension AgentCore {
  var debugCommands: [CoreCommand] {
    [
      CoreCommand("sipstat", key: "i", "SIP: what was seen, sent and dropped, and what is held") { [unowned self] _ in
        [
          Self.fields(of: self.endpoint.counters), Self.fields(of: self.endpoint.census),
          Self.fields(of: self.contactWatches.counters), Self.fields(of: self.watchers.counters),
        ].joined(separator: "\n")
      },
      CoreCommand("uastat", key: "u", "the current account's settings") {
        [unowned self] _ throws(CommandFailure) in
        guard let account = self.control.currentAccount else { throw CommandFailure("there is no account") }
        return account.text
      },
      CoreCommand("netstat", key: "n", "where SIP listens, and what its sockets carried") { [unowned self] _ in
        let counters = self.endpoint.counters
        // Those without a port open connections only.
        let listening = self.transports.all.filter { $0.localAddress.port != 0 }
          .map { "\($0.kind) \($0.localAddress)" }.joined(separator: ", ")
        let connections = self.transports.all.filter { !$0.counts.isEmpty }.map { transport in
          "\n\(transport.kind)\(transport.kind.isReliable ? " connections" : ""): "
            + transport.counts.map { "\($0.name) \($0.count)" }.joined(separator: ", ")
        }
        return "SIP listens on \(listening.isEmpty ? "nothing" : listening)\n"
          + "received \(counters.requestsReceived) requests, \(counters.responsesReceived) responses; "
          + "sent \(counters.requestsSent) requests, \(counters.responsesSent) responses, "
          + "\(counters.retransmissionsSent) again; \(counters.transportFailures) peers were not there"
          + "\(self.sharedPortsLine)\(connections.joined(separator: ""))"
      },
      CoreCommand("modules", "the modules that are switched on") { [unowned self] _ in
        self.settings.configuration.activeModules.joined(separator: "\n")
      },
      CoreCommand("config", "the settings in force") { [unowned self] _ in
        self.settings.configuration.text(modules: self.settings.available)
      },
      CoreCommand("conf_reload", "read the config file again; calls and sockets stay as they are") {
        [unowned self] _ throws(CommandFailure) in
        guard let reload = self.settings.reload else { throw CommandFailure("there is no config file to read") }
        self.settings.configuration.adopt(try reload())
        self.endpoint.adopt(self.settings.configuration.tollNumbers)
        return "the settings of calls are in force; those of sockets, media and modules need a new start"
      },
      CoreCommand("timers", "SIP's timers") { [unowned self] _ in
        let next = self.endpoint.nextDeadline.map { $0.nanoseconds(since: self.context.now) / 1_000_000 }
        return "\(self.endpoint.census.timers) timers, the next in \(next.map { "\($0) ms" } ?? "-")"
      },
      CoreCommand("memstat", key: "y", "memory of the process") { _ in
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return "at most \(usage.ru_maxrss) KiB resident"
      },
      CoreCommand("sysinfo", key: "s", "the machine, and this program") { [unowned self] _ in
        var name = utsname()
        unsafe uname(&name)
        let mode = self.settings.configuration.rxMode.rawValue
        return "apus \(apusVersion), rtp_rxmode \(mode), \(self.settings.available.count) modules compiled in\n"
          + "\(Self.text(of: name.sysname)) \(Self.text(of: name.release)) \(Self.text(of: name.machine))"
      },
      CoreCommand("siptrace", "[yes|no]", "show every SIP message, keys and digests left out") {
        [unowned self] text throws(CommandFailure) in
        guard ["", "yes", "no", "on", "off"].contains(text) else { throw CommandFailure("/siptrace takes yes or no") }
        self.isTracing = text.isEmpty ? !self.isTracing : text == "yes" || text == "on"
        return "SIP trace: \(self.isTracing ? "on" : "off")"
      },
      CoreCommand("apistate", "accounts and calls, as one JSON object") { [unowned self] _ in self.state.description },
      CoreCommand("main", "the main loop") { [unowned self] _ in
        "epoll, \(self.calls.count) calls, \(self.requests.count) requests wait for an answer"
      },
      CoreCommand("loglevel", key: "v", "[debug|info|warn|error]", "what is shown; without a word, one more") {
        [unowned self] text throws(CommandFailure) in
        guard let level = text.isEmpty ? self.logLevel.lower : LogLevel(name: text) else {
          throw CommandFailure("/loglevel takes debug, info, warn or error")
        }
        self.logLevel = level
        self.emit(.logLevel(level))
        return "log level: \(level.name)"
      },
      CoreCommand("play", "[FILE]", "play a sound file here; without one, stop") {
        [unowned self] file throws(CommandFailure) in
        self.stopLocalSound()
        guard !file.isEmpty else { return "" }
        return "playing audio file \(try self.play(file: file))"
      },
      CoreCommand("uuid", "this agent's instance identifier") { [unowned self] _ in self.instanceID },
    ]
  }

  /// Where media of all calls is received (`rtp_single_port`), and what came there for none.
  private var sharedPortsLine: String {
    let ports = self.environment.sharedPorts
    guard !ports.addresses.isEmpty else { return "" }
    let places = ports.addresses.map(\.description).joined(separator: ", ")
    return "\nRTP of all calls comes to \(places); \(ports.unclaimed) datagrams were for none of them"
  }

  /// Each account by its address, as baresip has it, and the calls, which baresip has not.
  private var state: JSON {
    let current = self.control.currentAccount
    let accounts = self.localAccounts.map { account in
      JSON.Member(key: account.aor, value: account.state(isSelected: account === current))
    }
    let calls = self.reports.map { report -> JSON in
      [
        "line": .integer(Int(report.id.number)), "id": .string(self.calls[report.id]?.sipCallID ?? ""),
        "peeruri": .string(report.peer), "direction": .string(report.isOutgoing ? "outgoing" : "incoming"),
        "state": .string(report.state.rawValue), "onhold": .bool(report.isOnHold),
      ]
    }
    return .object(accounts + [JSON.Member(key: "calls", value: .array(calls))])
  }

  /// `name: value`, a line each, of a structure that holds no secret.
  private static func fields(of value: Any) -> String {
    Mirror(reflecting: value).children.map { child in
      var text = "\(child.value)"
      if text.hasPrefix("Optional("), text.hasSuffix(")") { text = String(text.dropFirst(9).dropLast()) }
      return "\(child.label ?? "")  \(text)"
    }.joined(separator: "\n")
  }

  /// The text of a C array of characters.
  private static func text(of field: some Any) -> String {
    let bytes = Mirror(reflecting: field).children.compactMap { $0.value as? CChar }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

extension LocalAccount {
  /// What `apistate` tells of an account, in baresip's words; no password among it.
  fileprivate func state(isSelected: Bool) -> JSON {
    let line = self.settings.account
    let proxies = (line?.outbound ?? []).map { JSON.string($0) }
    let settings: JSON = [
      "sip_nat": .string(line?.usesOutbound == true ? "outbound" : ""), "sip_nat_outbound": .array(proxies),
      "rel100_mode": .string(self.settings.reliableProvisionals.rawValue),
      "answer_mode": .string(self.settings.answerMode.rawValue),
      "inreq_allowed": .string(self.settings.acceptsRequests ? "yes" : "no"),
      "call_transfer": .bool(self.settings.acceptsTransfer), "packet_time": .integer(self.settings.packetTime),
    ]
    let registration: JSON = [
      "state": .bool(self.registration == .registered), "expires": .integer(self.route?.expires ?? 0),
      "code": .integer(self.registrationStatus), "interval": .integer(line?.registrationInterval ?? 3600),
      "q_value": .number(line?.registrationPreference.flatMap { Double($0) } ?? 0),
    ]
    return [
      "cuser": .string(self.user ?? ""), "selected_ua": .bool(isSelected), "aor": .string(self.aor),
      "display_name": .string(self.settings.displayName ?? ""), "settings": settings, "registration": registration,
    ]
  }

  /// What the registrar has answered; 0 where it has not.
  private var registrationStatus: Int {
    switch self.registration {
    case .registered: 200
    case .failed(let reason): reason.split(separator: " ").first.flatMap { Int($0) } ?? 0
    case .none, .registering, .unregistered: 0
    }
  }

  /// The settings, a line each; no password among them.
  var text: String {
    let settings = self.settings
    func yesOrNo(_ value: Bool) -> String { value ? "yes" : "no" }
    var lines: [String] = []
    func add(_ name: String, _ value: String) { if !value.isEmpty { lines.append("\(name)  \(value)") } }
    add("account", self.aor)
    add("display name", settings.displayName ?? "")
    add("registration", self.registration.text)
    add("outbound", settings.account?.outbound.joined(separator: ", ") ?? "")
    add("answermode", settings.answerMode.rawValue)
    add("answerdelay", String(settings.answerDelay))
    add("mediaenc", settings.mediaEncryption ?? "none")
    add("dtmfmode", settings.dtmfMode.rawValue)
    add("audio_codecs", settings.codecs.map(\.description).joined(separator: ","))
    add("audio_source", settings.source.map(\.description) ?? "none")
    add("audio_player", settings.player.map(\.description) ?? "none")
    add("ptime", String(settings.packetTime))
    add("rtcp_mux", yesOrNo(settings.usesRTCPMux))
    add("100rel", settings.reliableProvisionals.rawValue)
    add("call_transfer", yesOrNo(settings.acceptsTransfer))
    add("catchall", yesOrNo(settings.catchesAll))
    for header in self.headers { add("header", "\(header.name): \(header.value)") }
    add("extra", settings.account?.extra ?? "")
    return lines.joined(separator: "\n")
  }
}
