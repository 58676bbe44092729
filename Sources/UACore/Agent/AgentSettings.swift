package import ModuleKit
package import NetBase
package import Runtime

/// What a user agent is made with: from a config folder, or from a command's options.
package struct AgentSettings: Sendable {
  /// Compiled-in modules.
  package var available: [any Module.Type]
  package var configuration: Configuration
  /// Where SIP listens; port 0 is any free one.
  package var listen: SocketAddress
  /// Seeds every random number of the agent, so that a call can be replayed; nil draws from the system.
  package var seed: UInt64?
  /// Names the agent to registrars, a UUID in lower case (RFC 5626 §4.1); nil for a random one.
  package var instanceID: String?
  /// Percent of outgoing media datagrams dropped before the socket.
  package var loss: Double
  /// Where the delays of media are counted, by all agents that are given it; nil where nobody measures them.
  package var delays: MediaDelays?
  /// Whether received audio is decoded and played.
  package var decodesAudio: Bool
  /// Told, on main, of every SIP message that comes or leaves, keys left out; nil for no trace.
  package var traceSIP: (@Sendable (String) -> Void)?
  /// Facets that the embedding program brings, each with a name in place of a module's.
  package var programFacets: [(module: String, facet: Facet)]
  /// Takes the place of the datagram transport that the modules bring.
  package var datagrams: (any DatagramTransport)?
  /// Takes the place of the SIP transports that the modules bring.
  package var sipTransports: [any SIPTransportProvider]?
  /// The addresses that media with connectivity checks may have here, wherever SIP listens. Nil for those of the host's
  /// interfaces, where SIP listens at all of them; where it listens at one, media has that one only.
  package var hostAddresses: (@Sendable () -> Set<InterfaceAddress>)?
  /// Whom the contacts file names.
  package var contacts: [Contact]
  /// Reads the config folder again, for `conf_reload`; nil where there is none.
  package var reload: (@Sendable () throws(CommandFailure) -> Configuration)?
  /// How much of what happens is shown at first.
  package var logLevel: LogLevel
  /// Whether the figures of the current call are told every second, to begin with (`statmode`).
  package var showsStatus: Bool
  /// Whether calls may come in; otherwise they get 480. Asked on main, at each INVITE.
  package var acceptsCalls: @Sendable () -> Bool
  /// Takes the place of the name resolver that the modules bring.
  package var nameResolver: (any NameResolver)?

  package init(available: [any Module.Type], configuration: Configuration, listen: SocketAddress) {
    self.available = available
    self.configuration = configuration
    self.listen = listen
    self.seed = nil
    self.instanceID = nil
    self.loss = 0
    self.delays = nil
    self.decodesAudio = true
    self.traceSIP = nil
    self.programFacets = []
    self.datagrams = nil
    self.sipTransports = nil
    self.hostAddresses = nil
    self.contacts = []
    self.reload = nil
    self.nameResolver = nil
    self.logLevel = .info
    self.showsStatus = false
    self.acceptsCalls = { true }
  }
}
