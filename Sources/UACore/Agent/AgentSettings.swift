package import ModuleKit
package import NetBase

/// What a user agent is made with: from a config folder, or from a command's options.
package struct AgentSettings: Sendable {
  /// Compiled-in modules.
  package var available: [any Module.Type]
  package var configuration: Configuration
  /// Where SIP listens; port 0 is any free one.
  package var listen: SocketAddress
  /// Seeds every random number of the agent, so that a call can be replayed; nil draws from the system.
  package var seed: UInt64?
  /// Percent of outgoing media datagrams dropped before the socket.
  package var loss: Double
  /// Told, on main, of every SIP message that comes or leaves, keys left out; nil for no trace.
  package var traceSIP: (@Sendable (String) -> Void)?
  /// Facets that the embedding program brings, each with a name in place of a module's.
  package var programFacets: [(module: String, facet: Facet)]
  /// Takes the place of the datagram transport that the modules bring.
  package var datagrams: (any DatagramTransport)?
  /// Takes the place of the SIP transports that the modules bring.
  package var sipTransports: [any SIPTransportProvider]?

  /// Takes the place of the name resolver that the modules bring.
  package var nameResolver: (any NameResolver)?

  package init(available: [any Module.Type], configuration: Configuration, listen: SocketAddress) {
    self.available = available
    self.configuration = configuration
    self.listen = listen
    self.seed = nil
    self.loss = 0
    self.traceSIP = nil
    self.programFacets = []
    self.datagrams = nil
    self.sipTransports = nil
    self.nameResolver = nil
  }
}

/// How an account makes and takes calls.
package struct CallSettings: Sendable {
  /// `sip:user@host`, the caller's identity.
  package var identity: String
  package var displayName: String?
  /// The media encryption's id; nil for none.
  package var mediaEncryption: String?
  /// In order; empty for all that are active.
  package var codecs: [CodecPreference]
  /// Milliseconds.
  package var packetTime: Int
  package var usesRTCPMux: Bool
  /// Nil: silence.
  package var source: AudioDevice?
  /// Nil: nothing is played.
  package var player: AudioDevice?
  /// Whether calls that come in are answered without anyone being asked.
  package var answersAtOnce: Bool
  /// Milliseconds before an automatic answer.
  package var answerDelay: Int

  package init(identity: String, source: AudioDevice?, player: AudioDevice?) {
    self.identity = identity
    self.displayName = nil
    self.mediaEncryption = nil
    self.codecs = []
    self.packetTime = 20
    self.usesRTCPMux = false
    self.source = source
    self.player = player
    self.answersAtOnce = false
    self.answerDelay = 0
  }
}

extension CallSettings {
  /// What an account's line says; the config's devices where it names none.
  package init(account: Account, configuration: Configuration) {
    self.init(
      identity: account.address.aor, source: account.audioSource ?? configuration.audioSource,
      player: account.audioPlayer ?? configuration.audioPlayer)
    self.displayName = account.displayName
    self.mediaEncryption = account.mediaEncryption
    self.codecs = account.audioCodecs
    self.packetTime = account.packetTime
    self.usesRTCPMux = account.rtcpMux
    self.answersAtOnce = account.answerMode == .auto
    self.answerDelay = account.answerDelay
  }
}
