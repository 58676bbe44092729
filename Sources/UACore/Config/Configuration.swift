package import ModuleKit
package import NetBase
package import SIPStack
package import SRTPEngine

/// How audio that arrives unevenly is delayed (`audio_jitter_buffer_type`).
package enum JitterBufferType: String, CaseIterable, Sendable { case off, fixed, adaptive }

/// What the config file says, typed and complete: a key that it lacks has its default.
package struct Configuration: Sendable {
  /// Nil: every interface, any free port. A port 0 is any free one.
  package var sipListen: SocketAddress?
  /// Nil: every one that a module brings.
  package var sipTransports: [SIPTransportKind]?
  /// Towards addresses that name no transport.
  package var sipDefaultTransport: SIPTransportKind
  package var sipSecurity: SIPSecurity
  package var sipTOS: Int
  package var sipLimits: SIPLimits
  /// Addresses of DNS servers in place of the system's, and of those asked where it has none.
  package var dnsServers: [SocketAddress]
  package var dnsFallbacks: [SocketAddress]
  /// Seconds until a call that nobody answers here is refused; nil is never.
  package var callLocalTimeout: Int?
  /// Nil is without limit.
  package var callMaxCalls: Int?
  package var callHoldOtherCalls: Bool
  /// Seconds that calls may go on once the agent is told to end; nil is none.
  package var drainTimeout: Int?
  /// Where neither a REFER nor a redirect leads us.
  package var tollNumbers: TollNumbers
  /// How often in a row a REFER may send us on.
  package var callMaxTransfers: Int
  /// How often a call that was not answered is made again; nil is without end.
  package var redialAttempts: Int?
  /// Seconds.
  package var redialDelay: Int
  package var menuCleanNumber: Bool
  /// Nil: calls don't ask to be answered.
  package var autoAnswerMethod: AutoAnswer.Method?
  /// Whether the figures of a call that stands are shown, to begin with.
  package var showsStatus: Bool
  /// Nil: not set.
  package var audioPath: String?
  package var audioPlayer: AudioDevice?
  package var audioSource: AudioDevice?
  package var audioAlert: AudioDevice?
  package var videoSource: VideoDevice?
  package var videoDisplay: VideoDevice?
  /// Sound files in place of tones; `none` is silence.
  package var toneFiles: [CallTone: String]
  package var isRingbackDisabled: Bool
  package var telephoneEventPayloadType: UInt8
  package var rtpTOS: Int
  package var rtpPorts: ClosedRange<UInt16>
  package var jitterBufferType: JitterBufferType
  /// Milliseconds.
  package var jitterBufferDelay: ClosedRange<Int>
  /// Packets.
  package var jitterBufferSize: Int
  /// Seconds without RTP; nil is never.
  package var rtpTimeout: Int?
  package var usesBundle: Bool
  /// Whether packets tell how loud their audio is (RFC 6464), where the peer agrees.
  package var tellsAudioLevel: Bool
  package var rxMode: RxMode
  package var rxPolicy: AdmissionPolicy
  /// Nil is one for each core.
  package var rxWorkers: Int?
  /// Whether the transports of a loop share their sockets; means nothing where each has a loop of its own.
  package var usesSinglePort: Bool
  package var srtpTransform: SRTPTransform
  /// Packets under one key until a call gets new ones; nil is RFC 3711's limit.
  package var srtpRekeyPackets: Int?
  /// The same of SRTCP alone.
  package var srtpRekeyReports: Int?
  package var rekeyMethod: RekeyMethod
  var keyLimit: KeyLimit {
    KeyLimit(
      packets: self.srtpRekeyPackets.map(UInt64.init) ?? KeyLimit.standard.packets,
      reports: self.srtpRekeyReports.map(UInt64.init) ?? KeyLimit.standard.reports)
  }
  /// The transform as the file names it.
  package var srtpEngine: String { self.srtpTransform.rawValue }
  /// An interface's name or an address; nil: not set.
  package var netInterface: String?
  /// The interface that is named; nil where none is, or an address.
  package var interfaceName: String? {
    self.netInterface.flatMap { SocketAddress(host: $0, port: 0) == nil ? $0 : nil }
  }
  /// Nil is both.
  package var netAf: SocketAddress.Family?
  /// In the order of their lines; `CoreKeys.impliedModules` first when they have no line.
  package var activeModules: [String]
  /// The values of all modules' keys that the file sets, validated.
  package var moduleValues: [String: String]
  /// The core keys' values, in the file's syntax.
  private(set) var values: CoreValues
  /// Where the file has each key.
  var places: [String: ConfigLocation] = [:]

  /// All defaults, no module but the implied ones.
  package init() { self.init(CoreValues(), modules: []) }

  init(_ values: CoreValues, modules: [String]) {
    self.values = values
    self.sipListen = Self.listenAddress(values[CoreKeys.sipListen])
    self.sipTransports = Self.transports(values[CoreKeys.sipTransports]).flatMap { $0.isEmpty ? nil : $0 }
    self.sipDefaultTransport = SIPTransportKind(name: values[CoreKeys.sipTransDef]) ?? .udp
    self.sipSecurity = SIPSecurity(
      certificate: values.text(CoreKeys.sipCertificate), authorityFile: values.text(CoreKeys.sipCAFile),
      authorityPath: values.text(CoreKeys.sipCAPath), verifiesServer: values[CoreKeys.sipVerifyServer] == "yes",
      verifiesClient: values[CoreKeys.sipVerifyClient] == "yes")
    self.dnsServers = []
    self.dnsFallbacks = []
    self.sipTOS = values.integer(CoreKeys.sipTOS)
    self.sipLimits = LimitKeys.limits(values)
    self.callLocalTimeout = values.positive(CoreKeys.callLocalTimeout)
    self.callMaxCalls = values.positive(CoreKeys.callMaxCalls)
    self.callHoldOtherCalls = values[CoreKeys.callHoldOtherCalls] == "yes"
    self.drainTimeout = values.positive(CoreKeys.drainTimeout)
    self.tollNumbers = TollNumbers(values[CoreKeys.tollPrefixes]) ?? .standard
    self.callMaxTransfers = values.integer(CoreKeys.callMaxTransfers)
    self.redialAttempts = values[CoreKeys.redialAttempts] == "inf" ? nil : values.integer(CoreKeys.redialAttempts)
    self.redialDelay = values.integer(CoreKeys.redialDelay)
    self.menuCleanNumber = values[CoreKeys.menuCleanNumber] == "yes"
    self.autoAnswerMethod = AutoAnswer.Method(rawValue: values[CoreKeys.autoAnswerMethod])
    self.showsStatus = values[CoreKeys.statmodeDefault] == "call"
    self.audioPath = values.text(CoreKeys.audioPath)
    self.audioPlayer = AudioDevice(values[CoreKeys.audioPlayer])
    self.audioSource = AudioDevice(values[CoreKeys.audioSource])
    self.audioAlert = AudioDevice(values[CoreKeys.audioAlert])
    self.videoSource = VideoDevice(values[CoreKeys.videoSource])
    self.videoDisplay = VideoDevice(values[CoreKeys.videoDisplay])
    let keys: [(CallTone, ConfigKey)] = [
      (.ring, CoreKeys.ringFile), (.callWaiting, CoreKeys.callWaitingFile), (.ringback, CoreKeys.ringbackFile),
      (.busy, CoreKeys.busyFile), (.notFound, CoreKeys.notFoundFile), (.error, CoreKeys.errorFile),
      (.autoAnswer, CoreKeys.autoAnswerFile),
    ]
    self.toneFiles = [:]
    for (tone, key) in keys { self.toneFiles[tone] = values.text(key) }
    self.isRingbackDisabled = values[CoreKeys.ringbackDisabled] == "yes"
    self.telephoneEventPayloadType = UInt8(clamping: values.integer(CoreKeys.telephoneEventPayloadType))
    self.rtpTOS = values.integer(CoreKeys.rtpTOS)
    let ports = values.range(CoreKeys.rtpPorts)
    self.rtpPorts = UInt16(clamping: ports.lowerBound)...UInt16(clamping: ports.upperBound)
    self.jitterBufferType = JitterBufferType(rawValue: values[CoreKeys.jitterBufferType]) ?? .fixed
    self.jitterBufferDelay = values.range(CoreKeys.jitterBufferDelay)
    self.jitterBufferSize = values.integer(CoreKeys.jitterBufferSize)
    self.rtpTimeout = values.positive(CoreKeys.rtpTimeout)
    self.usesBundle = values[CoreKeys.bundle] == "yes"
    self.tellsAudioLevel = values[CoreKeys.audioLevel] == "yes"
    self.rxMode = RxMode(rawValue: values[CoreKeys.rxMode]) ?? .main
    self.rxPolicy = AdmissionPolicy(rawValue: values[CoreKeys.rxPolicy]) ?? .lock
    self.rxWorkers = values.positive(CoreKeys.rxWorkers)
    self.usesSinglePort = values[CoreKeys.singlePort] == "yes"
    self.srtpTransform = SRTPTransform(rawValue: values[CoreKeys.srtpEngine]) ?? .standard
    self.srtpRekeyPackets = values.positive(CoreKeys.srtpRekeyPackets)
    self.srtpRekeyReports = values.positive(CoreKeys.srtpRekeyReports)
    self.rekeyMethod = RekeyMethod(rawValue: values[CoreKeys.rekeyMethod]) ?? .invite
    self.netInterface = values.text(CoreKeys.netInterface)
    self.netAf =
      switch values[CoreKeys.netAf] {
      case "ipv4": .ipv4
      case "ipv6": .ipv6
      default: nil
      }
    self.activeModules = modules
    self.moduleValues = [:]
  }

  /// Takes the place of what the file says (`-n`).
  package mutating func override(netInterface: String) {
    self.netInterface = netInterface
    self.values[CoreKeys.netInterface] = netInterface
    self.places[CoreKeys.netInterface.name] = ConfigLocation(file: "-n", line: 0)
  }

  /// The same (`-4`, `-6`).
  package mutating func override(netAf: SocketAddress.Family) {
    self.netAf = netAf
    self.values[CoreKeys.netAf] = netAf == .ipv6 ? "ipv6" : "ipv4"
  }

  /// The same (`-p`).
  mutating func override(audioPath: String) {
    self.audioPath = audioPath
    self.values[CoreKeys.audioPath] = audioPath
  }

  /// Where a sound file is: what begins with no slash lies in `audio_path`, where that is set.
  func soundPath(_ file: String) -> String {
    guard !file.hasPrefix("/"), let folder = self.audioPath else { return file }
    return folder.hasSuffix("/") ? folder + file : "\(folder)/\(file)"
  }

  /// Where SIP listens: at `wanted`, or, where that is every address or none is said, at the address that `net_interface` is,
  /// or at every address of the family that `net_af` says.
  package func listenAddress(_ wanted: SocketAddress?) -> SocketAddress {
    let listen = wanted ?? SocketAddress(ipv4: 0, port: 0)
    guard listen.isUnspecified else { return listen }
    if let name = self.netInterface, let address = SocketAddress(host: name, port: listen.port) { return address }
    switch self.netAf {
    case .ipv4?: return SocketAddress(ipv4: 0, port: listen.port)
    case .ipv6?: return SocketAddress(ipv6: 0, 0, port: listen.port)
    case nil: return listen
    }
  }

  /// Takes over those settings that may change while calls stand.
  mutating func adopt(_ new: Configuration) {
    self.callMaxCalls = new.callMaxCalls
    self.callMaxTransfers = new.callMaxTransfers
    self.callLocalTimeout = new.callLocalTimeout
    self.callHoldOtherCalls = new.callHoldOtherCalls
    self.menuCleanNumber = new.menuCleanNumber
    self.autoAnswerMethod = new.autoAnswerMethod
    self.drainTimeout = new.drainTimeout
    self.tollNumbers = new.tollNumbers
    let keys = [
      CoreKeys.callMaxCalls, CoreKeys.callMaxTransfers, CoreKeys.callLocalTimeout, CoreKeys.callHoldOtherCalls,
      CoreKeys.menuCleanNumber, CoreKeys.autoAnswerMethod, CoreKeys.drainTimeout, CoreKeys.tollPrefixes,
    ]
    for key in keys { self.values[key] = new.values[key] }
  }

  /// What is in force, as a config file's lines; what is secret is not shown.
  ///
  /// - Parameter modules: all that are compiled in.
  func text(modules: [any Module.Type]) -> String {
    let lists = [CoreKeys.module, CoreKeys.moduleTmp, CoreKeys.moduleApp, CoreKeys.dnsServer, CoreKeys.dnsFallback]
    let core = CoreKeys.all.filter { key in !lists.contains { $0.name == key.name } }
    var lines = core.map { ($0.name, self.values[$0]) }
    lines += self.dnsServers.map { (CoreKeys.dnsServer.name, "\($0)") }
    lines += self.dnsFallbacks.map { (CoreKeys.dnsFallback.name, "\($0)") }
    lines += self.activeModules.map { (CoreKeys.module.name, $0) }
    for module in modules {
      for key in module.configKeys where self.activeModules.contains(module.name) || self.moduleValues[key.name] != nil
      {
        let value = self.moduleValues[key.name] ?? key.defaultValue
        lines.append((key.name, key.isSecret && !value.isEmpty ? "(set)" : value))
      }
    }
    let width = (lines.map(\.0.count).max() ?? 0) + 2
    return lines.map { "\($0)\(String(repeating: " ", count: width - $0.count))\($1)" }.joined(separator: "\n")
  }

  /// What a module is made with.
  package func settings(for module: any Module.Type) -> ModuleSettings {
    ModuleSettings(keys: module.configKeys, values: self.moduleValues)
  }

  /// `sip_transports`' value; nil when a word is not a transport.
  static func transports(_ value: String) -> [SIPTransportKind]? {
    var kinds: [SIPTransportKind] = []
    for word in value.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
      guard let kind = SIPTransportKind(name: word) else { return nil }
      kinds.append(kind)
    }
    return kinds
  }

  /// `dns_server`'s value: an address literal, port 53 where it is left out.
  static func dnsServer(_ value: String) -> SocketAddress? { SocketAddress(value, defaultPort: 53) }

  /// `sip_listen`'s value: an address literal, the port may be left out.
  static func listenAddress(_ value: String) -> SocketAddress? { SocketAddress(value, defaultPort: 0) }
}

/// The core's values while a file is read, already in their plain form; what isn't there has its default.
struct CoreValues: Sendable {
  private var values: [String: String] = [:]

  subscript(_ key: ConfigKey) -> String {
    get { self.values[key.name] ?? key.defaultValue }
    set { self.values[key.name] = newValue }
  }

  func text(_ key: ConfigKey) -> String? { self[key].isEmpty ? nil : self[key] }
  func integer(_ key: ConfigKey) -> Int { Int(self[key]) ?? 0 }
  func positive(_ key: ConfigKey) -> Int? { self.integer(key) > 0 ? self.integer(key) : nil }
  func range(_ key: ConfigKey) -> ClosedRange<Int> { ConfigKey.range(self[key]) ?? 0...0 }
}
