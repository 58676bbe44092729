package import ModuleKit
internal import SIPStack

/// The accounts file: one account a line, in baresip's syntax.
package enum AccountsFile {
  /// Reads the file's text; a line with an error gives no account.
  ///
  /// - Parameters:
  ///   - configuration: says which modules are switched on.
  ///   - modules: all that are compiled in.
  package static func parse(
    _ text: String, file: String, configuration: Configuration, modules: [any Module.Type],
    problems: inout [ConfigProblem]
  ) -> [Account] {
    let drivers = DriverCheck(active: configuration.activeModules, modules: modules)
    let codecs = text.contains("_codecs") ? CodecNames(configuration, modules) : CodecNames()
    var accounts: [Account] = []
    for (line, content) in ConfigLines(text) {
      var reading = AccountReading(
        at: ConfigLocation(file: file, line: line), drivers: drivers, codecs: codecs,
        transports: configuration.sipTransports)
      let account = reading.read(content)
      problems += reading.problems
      guard var account, !reading.problems.hasErrors else { continue }
      account.line = line
      accounts.append(account)
    }
    return accounts
  }

  /// Reads one account as a program or a command line gives it, without a file.
  package static func parse(
    line: String, configuration: Configuration, modules: [any Module.Type], problems: inout [ConfigProblem]
  ) -> Account? {
    parse(line, file: "account", configuration: configuration, modules: modules, problems: &problems).first
  }
}

/// What the modules bring that are switched on.
private struct CodecNames {
  private(set) var audio: [any AudioCodec] = []
  private(set) var video: [String] = []

  init() {}

  init(_ configuration: Configuration, _ modules: [any Module.Type]) {
    for name in configuration.activeModules {
      guard let type = modules.first(where: { $0.name == name }),
        let module = try? type.init(settings: configuration.settings(for: type))
      else { continue }
      for facet in module.facets {
        switch facet.body {
        case .codec(let codec): self.audio.append(codec)
        case .videoCodec(let codec): self.video.append(codec.encodingName.lowercased())
        default: break
        }
      }
    }
  }
}

/// One account line on its way to an `Account`.
private struct AccountReading {
  let location: ConfigLocation
  let drivers: DriverCheck
  let codecs: CodecNames
  /// Those of `sip_transports`; nil for all that modules bring.
  let transports: [SIPTransportKind]?
  var problems: [ConfigProblem] = []

  init(at location: ConfigLocation, drivers: DriverCheck, codecs: CodecNames, transports: [SIPTransportKind]?) {
    (self.location, self.drivers, self.codecs, self.transports) = (location, drivers, codecs, transports)
  }

  /// Which module brings each value of `mediaenc`.
  private static let encryptionModules = [
    "srtp": "srtp", "srtp-mand": "srtp", "srtp-mandf": "srtp", "dtls_srtp": "dtls_srtp",
  ]
  /// What `medianat` takes.
  private static let natModules = ["ice", "stun", "turn", "none"]
  /// Values of baresip's that calls go without.
  private static let foreignNATModules = ["natpmp", "pcp"]

  /// What belongs to the address, as it is written there (RFC 3261 §19.1.1).
  private static let addressParameters = [
    "transport": "transport=tcp", "lr": "lr", "user": "user=phone", "maddr": "maddr=192.0.2.1", "ttl": "ttl=1",
    "method": "method=INVITE",
  ]

  mutating func read(_ content: Substring) -> Account? {
    let line: AddressLine
    do { line = try AddressLine(content) } catch {
      self.error("account", "\(error.message). A line is \"Name\" <sip:user@host>;parameter=value")
      return nil
    }
    var hadPassword = false
    guard let address = AddressOfRecord(line.uri, hadPassword: &hadPassword), (try? SIPURI(address.description)) != nil
    else {
      self.error("account", "the address is no SIP URI: it takes <sip:user@host> or <sips:user@host>")
      return nil
    }
    if hadPassword {
      self.warning("account", "a password in the address is not used: write ;auth_pass=PASSWORD after it")
    }
    for parameter in address.parameters {
      let name = parameter.prefix { $0 != "=" }.lowercased()
      guard AccountParameters.named(name) != nil else { continue }
      self.error(name, "it stands in the address, where it does nothing: write it after the bracket, <...>;\(name)=...")
    }
    self.checkTransport(of: address, key: "transport")
    var account = Account(address: address)
    account.displayName = line.displayName
    var seen: Set<String> = []
    // The parameter before, where it is a password that ends at the first semicolon.
    var password: String?
    var cut: Set<String> = []
    for parameter in line.parameters {
      // Half of a password may not be shown.
      if let password, Self.mayBeOfPassword(parameter) {
        guard cut.insert(password).inserted else { continue }
        self.error(
          password,
          "what follows it is no parameter that is known: quote a password that has a ; in it, \(password)=\"…\"")
        continue
      }
      password = parameter.name.hasSuffix("pass") && !parameter.isQuoted ? parameter.name : nil
      if seen.insert(parameter.name).inserted {
        self.take(parameter, into: &account)
      } else {
        self.warning(parameter.name, "it stands twice in the line; this one is ignored")
      }
    }
    if seen.contains("auth_user"), !seen.contains("auth_pass") {
      self.warning("auth_user", "it needs ;auth_pass=PASSWORD beside it: nobody is asked for the password at the start")
    }
    self.checkCallers(seen)
    if address.user == nil, account.registrationInterval != 0 {
      self.warning(
        "account", "the address has no user to register: write <sip:user@host>, or ;regint=0 to register nobody")
    }
    return account
  }

  /// Whether it is nothing that is known, nor near to it.
  private static func mayBeOfPassword(_ parameter: AddressLine.Parameter) -> Bool {
    guard AccountParameters.named(parameter.name) == nil, self.addressParameters[parameter.name] == nil else {
      return false
    }
    return parameter.value == nil || NearestName.of(parameter.name, in: AccountParameters.names) == nil
  }

  /// Half of what callers need would let everybody in.
  private mutating func checkCallers(_ seen: Set<String>) {
    for (one, other) in [("uas_user", "uas_pass"), ("uas_pass", "uas_user")]
    where seen.contains(one) && !seen.contains(other) {
      self.error(one, "it needs \(other) beside it: without it everybody may call")
    }
  }

  private mutating func take(_ parameter: AddressLine.Parameter, into account: inout Account) {
    guard let known = AccountParameters.named(parameter.name) else {
      if let example = Self.addressParameters[parameter.name] {
        self.error(parameter.name, "it belongs inside the brackets: <sip:user@host;\(example)>")
        return
      }
      // One that is mistyped must not be missed; what other programs wrote there is passed over, as baresip does.
      let question = NearestName.question(parameter.name, in: AccountParameters.names)
      let message = "neither Apus nor baresip has such an account parameter\(question)"
      if question.isEmpty { self.warning(parameter.name, message) } else { self.error(parameter.name, message) }
      return
    }
    guard let value = parameter.value, !value.isEmpty else {
      self.error(parameter.name, "it has no value: \(known.purpose ?? "it takes \(known.kind.allowed)")")
      return
    }
    guard let plain = known.kind.normalised(value) else {
      self.error(parameter.name, known.refusal(of: value))
      return
    }
    self.set(parameter.name, plain, in: &account)
  }

  private mutating func set(_ name: String, _ value: String, in account: inout Account) {
    switch name {
    case "regint": account.registrationInterval = Int(value)
    case "pubint": account.publicationInterval = Int(value) ?? 0
    case "rwait": account.registrationWait = Int(value).flatMap { $0 == 0 ? nil : min(max($0, 5), 95) }
    case "prio": account.priority = Int(value) ?? 0
    case "fbregint": account.fallbackInterval = Int(value) ?? 0
    case "regq": account.registrationPreference = value
    case "sipnat": account.usesOutbound = true
    case "uas_user": account.serverUser = value
    case "uas_pass": account.serverPassword = Password(value)
    case "100rel": account.reliableProvisionals = ReliableProvisionals(rawValue: value) ?? .no
    case "inreq_allowed": account.acceptsRequests = value == "yes"
    case "check_origin": account.checksOrigin = value == "yes"
    case "catchall": account.catchAll = value == "yes"
    case "mwi": account.subscribesMessageWaiting = value == "yes"
    case "cert": account.certificate = value
    case "tcpsrcport": account.sourcePort = UInt16(value).flatMap { $0 == 0 ? nil : $0 }
    case "auth_user": account.authUser = value
    case "auth_pass": account.authPassword = Password(value)
    case "outbound", "outbound1": self.setProxy(name, value) { account.outbound.insert($0, at: 0) }
    case "outbound2": self.setProxy(name, value) { account.outbound.append($0) }
    case "answermode": account.answerMode = AnswerMode(rawValue: value) ?? .manual
    case "answerdelay": account.answerDelay = Int(value) ?? 0
    case "privacy": account.privacy = CallerPrivacy(rawValue: value) ?? .none
    case "dtmfmode": account.dtmfMode = DTMFMode(rawValue: value) ?? .rtpevent
    case "call_transfer": account.callTransfer = value == "yes"
    case "sip_autoanswer": account.sipAutoanswer = value == "yes"
    case "sip_autoanswer_beep": account.sipAutoanswerBeep = value != "off" && value != "no"
    case "sip_autoredirect": account.sipAutoredirect = value == "yes"
    case "mediaenc": account.mediaEncryption = self.encryption(value)
    case "medianat": account.mediaNAT = self.nat(value)
    case "stunserver": account.stunServers = self.servers(value)
    case "stunuser": account.stunUser = value
    case "stunpass": account.stunPassword = Password(value)
    case "rtcp_mux": account.rtcpMux = value == "yes"
    case "natpinhole": account.opensPinhole = value == "yes"
    case "ptime": account.packetTime = Int(value) ?? account.packetTime
    case "autelev_pt": account.telephoneEventPayloadType = value == "0" ? nil : UInt8(value)
    case "audio_codecs": account.audioCodecs = self.audioCodecs(value)
    case "audio_source": account.audioSource = self.device(name, value)
    case "audio_player": account.audioPlayer = self.device(name, value)
    case "video_codecs": account.videoCodecs = self.videoCodecs(value)
    case "video_source": account.videoSource = self.device(name, value)
    case "video_display": account.videoDisplay = self.device(name, value)
    case "extra": account.extra = value
    default: preconditionFailure("account parameter \(name) has no property")
    }
  }

  private mutating func setProxy(_ name: String, _ value: String, _ set: (String) -> Void) {
    var hadPassword = false
    guard let address = AddressOfRecord(value, hadPassword: &hadPassword), !hadPassword, (try? SIPURI(value)) != nil
    else {
      self.error(name, "it takes a SIP URI, in quotes when it has parameters: \"sip:host;transport=udp\"")
      return
    }
    self.checkTransport(of: address, key: name)
    set(value)
  }

  /// Encryption that isn't there is an error: nothing may go out in the clear by mistake.
  private mutating func encryption(_ value: String) -> String? {
    let id = value.lowercased()
    guard id != "none" else { return nil }
    guard let module = Self.encryptionModules[id] else {
      let known = Self.encryptionModules.keys.sorted() + ["none"]
      if id == "zrtp" || id == "gzrtp" {
        self.error("mediaenc", "Apus has no \(id): it takes one of \(known.joined(separator: ", "))")
      } else {
        self.error(
          "mediaenc",
          "\"\(value)\" is not allowed: it takes one of \(known.joined(separator: ", "))"
            + NearestName.question(value, in: known))
      }
      return nil
    }
    if !self.drivers.active.contains(module) {
      self.error("mediaenc", "the module \(module) is not switched on: add the line \"module \(module)\" to the config")
    }
    return id
  }

  private mutating func nat(_ value: String) -> String? {
    var id = value.lowercased()
    guard id != "none" else { return nil }
    guard Self.natModules.contains(id) || Self.foreignNATModules.contains(id) else {
      self.error(
        "medianat",
        "\"\(value)\" is not allowed: it takes one of \(Self.natModules.joined(separator: ", "))"
          + NearestName.question(value, in: Self.natModules))
      return nil
    }
    if let heir = Account.natHeirs[id] {
      guard self.drivers.active.contains(heir) else {
        self.warning("medianat", "\(id) is done by \(heir), which is not switched on; calls go without it")
        return nil
      }
      self.warning("medianat", "there is no \(id) without checks: calls go with \(heir), and ask the same stunserver")
      id = heir
    }
    if self.drivers.active.contains(id) { return id }
    if self.drivers.isCompiledIn(id) {
      self.error("medianat", "the module \(id) is not switched on: add the line \"module \(id)\" to the config")
    } else {
      self.warning("medianat", "\(id): this module of baresip is not part of Apus; calls go without it")
    }
    return nil
  }

  private mutating func servers(_ value: String) -> [STUNServerURI] {
    value.split(separator: ",").compactMap { item in
      do throws(STUNServerURI.Refusal) {
        return try STUNServerURI(item.drop(while: \.isBlank))
      } catch {
        self.error("stunserver", error.message)
        return nil
      }
    }
  }

  private mutating func videoCodecs(_ value: String) -> [String] {
    let names: [String] = items(of: value).compactMap { name in
      if !name.isEmpty, !name.contains("/") { return String(name) }
      self.error("video_codecs", "\"\(name)\" is not allowed: a video codec is a NAME, for example VP8")
      return nil
    }
    let known = self.codecs.video
    return self.present(names, "video_codecs", known: known) { known.contains($0.lowercased()) }
  }

  private mutating func audioCodecs(_ value: String) -> [CodecPreference] {
    let names: [CodecPreference] = items(of: value).compactMap { name in
      if let codec = CodecPreference(name) { return codec }
      self.error("audio_codecs", "\"\(name)\" is not allowed: a codec is NAME, NAME/RATE or NAME/RATE/CHANNELS")
      return nil
    }
    let known = self.codecs.audio
    return self.present(names, "audio_codecs", known: known.map { $0.encodingName.lowercased() }) { name in
      known.contains {
        name.matches(name: $0.encodingName, clockRate: $0.clockRate, channels: $0.channels)
      }
    }
  }

  /// Those that a module brings; calls go without the others, as long as one is left.
  private mutating func present<Name>(
    _ names: [Name], _ parameter: String, known: [String], isThere: (Name) -> Bool
  ) -> [Name] {
    // Where there is none at all, who calls is told.
    guard !known.isEmpty, !names.isEmpty else { return names }
    let present = names.filter(isThere)
    if present.isEmpty {
      let list = known.joined(separator: ", ")
      self.error(parameter, "no module that is switched on brings any of these; there are: \(list)")
    } else {
      for name in names where !isThere(name) {
        self.warning(parameter, "\(name): no module that is switched on brings it; calls go without it")
      }
    }
    return present
  }

  private mutating func device(_ name: String, _ value: String) -> AudioDevice? {
    guard let device = AudioDevice(value) else {
      self.error(name, "\"\(value)\" is not allowed: it takes MODULE,DEVICE")
      return nil
    }
    self.drivers.check(device, key: name, at: self.location, problems: &self.problems)
    return self.drivers.isThere(device) ? device : nil
  }

  /// - Parameter key: the parameter that says how the address is reached.
  private mutating func checkTransport(of address: AddressOfRecord, key: String) {
    let isSecured = address.scheme == "sips"
    guard let written = address.transport else {
      if isSecured { self.checkIsListed("tls", key: key) }
      return
    }
    // Of sips it is what TLS is on (RFC 3261 §26.2.2).
    let transport = isSecured ? ["tcp": "tls", "ws": "wss"][written] ?? written : written
    let known = ["udp", "tcp", "tls", "ws", "wss"]
    guard known.contains(transport) else {
      self.error(
        key, "\"\(transport)\" is no transport: it takes one of \(known.joined(separator: ", "))")
      return
    }
    let module = "sip_\(transport)"
    self.checkIsListed(transport, key: key)
    guard !self.drivers.active.contains(module) else { return }
    if self.drivers.isCompiledIn(module) {
      self.error(key, "the module \(module) is not switched on: add the line \"module \(module)\" to the config")
    } else if transport != "udp" {
      self.warning(key, "this Apus has no module \(module): the account can't be reached over \(transport)")
    }
  }

  private mutating func checkIsListed(_ transport: String, key: String) {
    guard let transports, !transports.contains(where: { $0.rawValue.lowercased() == transport }) else { return }
    self.error(key, "\(transport) is not among the config's sip_transports: add it there")
  }

  private mutating func error(_ key: String, _ message: String) {
    self.problems.append(self.location.error(key, message))
  }

  private mutating func warning(_ key: String, _ message: String) {
    self.problems.append(self.location.warning(key, message))
  }
}

/// What stands between the commas of a list, without blanks around it.
private func items(of list: String) -> [Substring] {
  list.split(separator: ",").map { item in
    var item = item.drop(while: \.isBlank)
    while item.last?.isBlank == true { item.removeLast() }
    return item
  }
}
