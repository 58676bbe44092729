/// One thing that a module brings.
public struct Facet: Sendable {
  package enum Body: Sendable {
    case codec(any AudioCodec)
    case source(StageOffer)
    case player(StageOffer)
    case filter(StageOffer)
    case encryption(any MediaEncryption)
    case nat(any MediaNAT)
    case datagrams(any DatagramTransport)
    case sipTransport(any SIPTransportProvider)
    case command(ModuleCommand)
    case application(any ApplicationProvider)
    case nameResolver(any NameResolverProvider)
    case events(EventPackages)
    /// Accounts are registered by `prio`, one after the other.
    case serialRegistration
    case videoCodec(any VideoCodec)
    case videoSource(VideoSourceOffer)
    case videoSink(VideoSinkOffer)
  }

  package let body: Body

  package init(_ body: Body) { self.body = body }

  /// A codec.
  public static func codec(_ codec: any AudioCodec) -> Facet { Facet(.codec(codec)) }
  /// A driver that produces PCM (`audio_source NAME,DEVICE`).
  public static func source(_ offer: StageOffer) -> Facet { Facet(.source(offer)) }
  /// A driver that consumes PCM (`audio_player NAME,DEVICE`).
  public static func player(_ offer: StageOffer) -> Facet { Facet(.player(offer)) }
  /// A filter in both directions of every call, in the order of the config's `module` lines.
  public static func filter(_ offer: StageOffer) -> Facet { Facet(.filter(offer)) }

  /// A video codec.
  public static func videoCodec(_ codec: any VideoCodec) -> Facet { Facet(.videoCodec(codec)) }
  /// A driver that brings encoded video (`video_source NAME,DEVICE`); each one is its stream's own.
  public static func videoSource(_ offer: @escaping VideoSourceOffer) -> Facet { Facet(.videoSource(offer)) }
  /// A driver that takes encoded video (`video_display NAME,DEVICE`); each one is its stream's own.
  public static func videoSink(_ offer: @escaping VideoSinkOffer) -> Facet { Facet(.videoSink(offer)) }

  /// A command for people and programs.
  public static func command(_ command: ModuleCommand) -> Facet { Facet(.command(command)) }

  /// The word for it in `apus modules`.
  public var kind: String {
    switch self.body {
    case .codec: "audio codec"
    case .source: "audio source"
    case .player: "audio player"
    case .filter: "audio filter"
    case .encryption: "media encryption"
    case .nat: "NAT traversal"
    case .datagrams: "media transport"
    case .sipTransport: "SIP transport"
    case .command: "command"
    case .application: "application"
    case .nameResolver: "name resolver"
    case .events: "event packages"
    case .serialRegistration: "order of registration"
    case .videoCodec: "video codec"
    case .videoSource: "video source"
    case .videoSink: "video display"
    }
  }

  /// What the module claims for this facet.
  public var safety: ThreadSafety {
    switch self.body {
    case .source(let offer), .player(let offer), .filter(let offer): offer.safety
    case .codec, .encryption, .nat, .datagrams, .videoCodec, .videoSource, .videoSink: .confined
    case .sipTransport, .command, .application, .events, .serialRegistration: .mainOnly
    case .nameResolver: .concurrent
    }
  }

  /// Whether the facet runs on a transport's executor, so that the receive mode matters to it.
  public var isOnMediaPath: Bool {
    switch self.body {
    case .sipTransport, .nameResolver, .command, .application, .events, .serialRegistration: false
    case .codec, .source, .player, .filter, .encryption, .nat, .datagrams, .videoCodec, .videoSource, .videoSink: true
    }
  }
}
