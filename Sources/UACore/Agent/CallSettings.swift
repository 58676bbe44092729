package import ModuleKit
package import SDPCodec

/// SDP's word for who sends (RFC 8866 §6.7).
package typealias AudioDirection = SDPCodec.MediaDirection

/// How an account makes and takes calls.
package struct CallSettings: Sendable {
  /// `sip:user@host`, the caller's identity.
  package var identity: String
  package var displayName: String?
  /// The account's line, where there is one: what registration and routing need.
  package var account: Account?
  /// The media encryption's id; nil for none.
  package var mediaEncryption: String?
  /// The NAT traversal's id; nil for none.
  package var mediaNAT: String?
  /// Whether the peer may have a part in it, so that sockets at further addresses of this host may be of use.
  package var mayHaveChecks = true
  /// Whom the NAT traversal asks.
  package var natServers: [STUNServerURI] = []
  /// Whether descriptions that the program carries don't wait for these, and what they find is told later.
  package var tricklesCandidates = false
  /// In order; empty for all that are active.
  package var codecs: [CodecPreference]
  /// Milliseconds.
  package var packetTime: Int
  /// Nil is the config's `audio_telev_pt`.
  package var telephoneEventPayloadType: UInt8?
  package var dtmfMode: DTMFMode
  package var usesRTCPMux: Bool
  /// Whether empty packets open the way for audio that is only received (`natpinhole`).
  package var opensPinhole = false
  /// Whether all media is on one transport where the peer agrees (RFC 9143); the config may want it for every call.
  package var usesBundle = false
  /// Whether a default address that is none of the peer's candidates ends ICE (RFC 8839 §5.4.5): someone on SIP's way has
  /// put it there. Where a program carries descriptions (`connect`), it says nothing beside candidates.
  package var mindsDefaultAddress = true
  /// Nil: silence.
  package var source: AudioDevice?
  /// Nil: nothing is played.
  package var player: AudioDevice?
  /// Names in order; empty for all that are active.
  package var videoCodecs: [String] = []
  /// Nil: none is sent.
  package var videoSource: VideoDevice?
  /// Nil: none is received.
  package var videoDisplay: VideoDevice?
  /// The direction of video that calls begin with.
  package var videoDirection = AudioDirection.sendrecv
  package var answerMode: AnswerMode
  /// Milliseconds before an automatic answer.
  package var answerDelay: Int
  /// Whether a caller may ask for an automatic answer, and after how long.
  package var acceptsAutoAnswer: Bool
  /// Whether a tone is heard before that answer (`sip_autoanswer_beep`).
  package var beepsBeforeAnswer = true
  /// Whether a REFER of the peer's makes a call (`call_transfer`).
  package var acceptsTransfer: Bool
  /// Whether a 3xx is followed (`sip_autoredirect`).
  package var followsRedirects: Bool
  /// Whether calls for users that no account has come here.
  package var catchesAll: Bool
  /// Whether requests from outside a dialog are taken at all (`inreq_allowed`).
  package var acceptsRequests: Bool
  package var reliableProvisionals: ReliableProvisionals
  /// Whether those whom we call learn who calls.
  package var privacy = CallerPrivacy.none
  /// The direction of audio that calls begin with.
  package var audioDirection = AudioDirection.sendrecv
  /// What whoever dialled is told again in every event of the call (`userdata`).
  package var userData: String?

  package init(identity: String, source: AudioDevice?, player: AudioDevice?) {
    self.identity = identity
    self.displayName = nil
    self.account = nil
    self.mediaEncryption = nil
    self.mediaNAT = nil
    self.codecs = []
    self.packetTime = 20
    self.telephoneEventPayloadType = nil
    self.dtmfMode = .rtpevent
    self.usesRTCPMux = false
    self.source = source
    self.player = player
    self.answerMode = .manual
    self.answerDelay = 0
    self.acceptsAutoAnswer = false
    self.acceptsTransfer = false
    self.followsRedirects = false
    self.catchesAll = true
    self.acceptsRequests = true
    self.reliableProvisionals = .no
  }

  /// Whether calls that come in are answered without anyone being asked.
  package var answersAtOnce: Bool {
    get { self.answerMode == .auto }
    set { self.answerMode = newValue ? .auto : .manual }
  }
}

extension CallSettings {
  /// Without an account: the config's devices.
  package init(identity: String, _ configuration: Configuration) {
    self.init(identity: identity, source: configuration.audioSource, player: configuration.audioPlayer)
    (self.videoSource, self.videoDisplay) = (configuration.videoSource, configuration.videoDisplay)
  }

  /// What an account's line says; the config's devices where it names none.
  package init(account: Account, configuration: Configuration) {
    self.init(
      identity: account.address.aor, source: account.audioSource ?? configuration.audioSource,
      player: account.audioPlayer ?? configuration.audioPlayer)
    self.account = account
    self.displayName = account.displayName
    self.mediaEncryption = account.mediaEncryption
    self.mediaNAT = account.mediaNAT
    self.natServers = account.stunServers.map { server in
      guard server.user == nil else { return server }
      var server = server
      (server.user, server.password) = (account.stunUser, account.stunPassword)
      return server
    }
    self.codecs = account.audioCodecs
    self.videoCodecs = account.videoCodecs
    self.videoSource = account.videoSource ?? configuration.videoSource
    self.videoDisplay = account.videoDisplay ?? configuration.videoDisplay
    self.packetTime = account.packetTime
    self.telephoneEventPayloadType = account.telephoneEventPayloadType
    self.dtmfMode = account.dtmfMode
    self.usesRTCPMux = account.rtcpMux
    self.opensPinhole = account.opensPinhole
    self.answerMode = account.answerMode
    self.answerDelay = account.answerDelay
    self.acceptsAutoAnswer = account.sipAutoanswer
    self.beepsBeforeAnswer = account.sipAutoanswerBeep
    self.acceptsTransfer = account.callTransfer
    self.followsRedirects = account.sipAutoredirect
    self.catchesAll = account.catchAll
    self.acceptsRequests = account.acceptsRequests
    self.reliableProvisionals = account.reliableProvisionals
    self.privacy = account.privacy
  }
}
