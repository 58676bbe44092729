package import ModuleKit

/// What happens to an incoming call (`answermode`).
package enum AnswerMode: String, CaseIterable, Sendable {
  /// 180, and the user decides.
  case manual
  /// 183 with a description, and the user decides.
  case early
  case earlyAudio = "early-audio"
  case earlyVideo = "early-video"
  /// 200.
  case auto
}

/// What those whom we call learn of us (`privacy`, RFC 3323).
package enum CallerPrivacy: String, CaseIterable, Sendable {
  /// Who calls.
  case none
  /// Nothing: From is anonymous, and only our own proxy is told who calls (RFC 3325).
  case id
}

/// How digits are sent (`dtmfmode`).
package enum DTMFMode: String, CaseIterable, Sendable {
  /// RFC 4733.
  case rtpevent
  /// SIP INFO.
  case info
  /// RFC 4733 where the peer takes it, else INFO.
  case auto
}

/// Whether provisional responses are acknowledged (`100rel`, RFC 3262).
package enum ReliableProvisionals: String, CaseIterable, Sendable { case no, yes, required }

/// A codec as an account names it, `opus/48000/2`; what isn't named matches anything.
package struct CodecPreference: Hashable, Sendable, CustomStringConvertible {
  package let name: String
  package let clockRate: Int?
  package let channels: Int?

  package init(name: String, clockRate: Int? = nil, channels: Int? = nil) {
    self.name = name
    self.clockRate = clockRate
    self.channels = channels
  }

  /// Parses `NAME`, `NAME/RATE` or `NAME/RATE/CHANNELS`.
  package init?(_ text: some StringProtocol) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard (1...3).contains(parts.count), !parts[0].isEmpty else { return nil }
    let numbers = parts.dropFirst().map { Int($0) ?? 0 }
    guard numbers.allSatisfy({ $0 > 0 }) else { return nil }
    self.init(name: String(parts[0]), clockRate: numbers.first, channels: numbers.count > 1 ? numbers[1] : nil)
  }

  /// Whether a codec of this name (any case), clock rate and channels is meant.
  package func matches(name: String, clockRate: Int, channels: Int) -> Bool {
    self.name.lowercased() == name.lowercased() && self.clockRate ?? clockRate == clockRate
      && self.channels ?? channels == channels
  }

  package var description: String {
    ([self.name] + [self.clockRate, self.channels].compactMap { $0.map(String.init) }).joined(separator: "/")
  }
}

/// One line of the accounts file, typed; what the line lacks has baresip's default.
package struct Account: Sendable {
  /// Of the accounts file; 0 where it is from elsewhere.
  package var line = 0
  /// Nil: not set.
  package var displayName: String?
  package var address: AddressOfRecord
  /// Seconds; nil is the default, 3600 s and up to 255 more at random; 0 doesn't register.
  package var registrationInterval: Int?
  /// Seconds for which presence is published at a time (`pubint`); 0 is never.
  package var publicationInterval = 0
  /// 0 registers at once; others when they are asked to, or when those before them have failed (`prio`).
  package var priority = 0
  /// Seconds between two questions whether the registrar is there, while accounts of another `prio` are registered
  /// (`fbregint`); 0 asks as often as after any failure.
  package var fallbackInterval = 0
  /// Percent of the interval after which registration is refreshed (`rwait`); nil is the protocol machine's choice.
  package var registrationWait: Int?
  /// The Contact's preference, 0 to 1 (`regq`).
  package var registrationPreference: String?
  /// RFC 5626 (`sipnat=outbound`).
  package var usesOutbound = false
  /// Who may send requests to this account (`uas_user`, `uas_pass`); nil for everybody.
  package var serverUser: String?
  package var serverPassword: Password?
  package var reliableProvisionals = ReliableProvisionals.no
  package var acceptsRequests = true
  package var checksOrigin = true
  package var catchAll = false
  package var subscribesMessageWaiting = true
  /// The port that connections to the registrar leave from (`tcpsrcport`); nil is any free one.
  package var sourcePort: UInt16?
  /// The client certificate of TLS, a file.
  package var certificate: String?
  /// Nil is the user of `address`.
  package var authUser: String?
  package var authPassword: Password?
  /// Proxies, the preferred one first.
  package var outbound: [String] = []
  package var answerMode = AnswerMode.manual
  /// Milliseconds before an automatic answer.
  package var answerDelay = 0
  package var dtmfMode = DTMFMode.rtpevent
  package var privacy = CallerPrivacy.none
  package var callTransfer = true
  package var sipAutoanswer = false
  /// Whether a tone is heard before a call is answered because its caller asks for it (`sip_autoanswer_beep`).
  package var sipAutoanswerBeep = true
  package var sipAutoredirect = false
  /// A `MediaEncryption`'s id; nil is none.
  package var mediaEncryption: String?
  /// A module's name; nil is none.
  package var mediaNAT: String?
  /// Who is asked for candidates (`stunserver`), in order.
  package var stunServers: [STUNServerURI] = []
  /// For servers whose URI has none.
  package var stunUser: String?
  package var stunPassword: Password?
  package var rtcpMux = false
  /// Whether empty packets open the way for media that is only received (`natpinhole`).
  package var opensPinhole = false
  /// Milliseconds.
  package var packetTime = 20
  /// Nil is the config's `audio_telev_pt`.
  package var telephoneEventPayloadType: UInt8?
  /// In order of preference; empty is all, in the order of the modules.
  package var audioCodecs: [CodecPreference] = []
  /// Nil is the config's.
  package var audioSource: AudioDevice?
  /// Nil is the config's.
  package var audioPlayer: AudioDevice?
  /// Names in order of preference; empty is all, in the order of the modules.
  package var videoCodecs: [String] = []
  /// Nil is the config's.
  package var videoSource: VideoDevice?
  /// Nil is the config's.
  package var videoDisplay: VideoDevice?
  /// `;extra=`, as it stands.
  package var extra: String?

  /// An account with baresip's defaults; nil when `uri` is no SIP URI.
  package init?(uri: String) {
    var hadPassword = false
    guard let address = AddressOfRecord(uri, hadPassword: &hadPassword) else { return nil }
    self.init(address: address)
  }

  init(address: AddressOfRecord) { self.address = address }

  /// What does the work of a `medianat` of baresip's that Apus has not by itself.
  package static let natHeirs = ["stun": "ice", "turn": "ice"]
}
