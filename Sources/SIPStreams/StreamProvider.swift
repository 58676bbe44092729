package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// Opens the transports of one module over connections.
package struct StreamProvider: SIPTransportProvider {
  package let kind: SIPTransportKind
  package var limits: StreamLimits
  private let module: String
  /// Where it listens instead of where the core wants it; nil leaves it to the core.
  private let listen: Listen?

  /// Where a module with a key of its own listens.
  package enum Listen: Sendable {
    case nowhere
    case at(SocketAddress)
  }

  package init(_ kind: SIPTransportKind, module: String, limits: StreamLimits, listen: Listen? = nil) {
    (self.kind, self.module, self.limits, self.listen) = (kind, module, limits, listen)
  }

  package func open(
    _ settings: SIPTransportSettings, on main: EventLoop, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport {
    try StreamTransport(
      self.kind, module: self.module, settings: self.resolved(settings), limits: self.limits, on: main,
      receiver: receiver)
  }

  package func rehearse(_ settings: SIPTransportSettings) throws(ModuleError) {
    let security = try self.resolved(settings).security
    if self.kind.isSecure { try StreamTLS(module: self.module, security: security).rehearse() }
  }

  /// With the address at which it listens.
  private func resolved(_ settings: SIPTransportSettings) throws(ModuleError) -> SIPTransportSettings {
    var settings = settings
    switch self.listen {
    case .nowhere: settings.listen = nil
    case .at(let address):
      guard !self.kind.isSecure || settings.security.certificate != nil else {
        throw ModuleError(
          .configuration, "\(self.module)_listen \(address): it needs a certificate, in sip_certificate")
      }
      settings.listen = address
    case nil: break
    }
    return settings
  }
}

/// The settings that every module over connections has, under its own name.
package enum StreamKeys {
  package static func keys(of module: String) -> [ConfigKey] {
    let limits = StreamLimits()
    return [
      ConfigKey(
        "\(module)_connections", .integer(1...100_000), default: "\(limits.connections)",
        help: "Connections that peers may have open at the same time; more are closed at once."),
      ConfigKey(
        "\(module)_idle", .integer(1...604_800), default: "3600",
        help: "Seconds without a message or keepalive until a connection that a peer opened is closed."),
      ConfigKey(
        "\(module)_keepalive", .integer(0...604_800), default: "110",
        help: "Seconds without traffic until a connection of ours is kept alive; 0 is never."),
    ]
  }

  /// Where a module listens that the core has no key for.
  package static func listen(of module: String) -> ConfigKey {
    ConfigKey(
      "\(module)_listen", .string, default: "",
      help: "Address and port for peers that open a connection; without it only we open them.")
  }

  /// What a WebSocket asks for: Asterisk has it at `/ws`.
  package static func path(of module: String) -> ConfigKey {
    ConfigKey(
      "\(module)_path", .string, default: "/", help: "What a connection of ours asks the server for, such as /ws.")
  }

  /// - Throws: when it is no path.
  package static func path(of module: String, _ settings: ModuleSettings) throws(ModuleError) -> String {
    let path = settings.string("\(module)_path")
    guard path.hasPrefix("/"), path.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
      throw ModuleError(
        .configuration, "\(module)_path \(path): it takes a path that begins with /, for example /ws, without spaces")
    }
    return path
  }

  /// - Throws: when it is not an address with a port.
  package static func listen(
    of module: String, _ settings: ModuleSettings
  ) throws(ModuleError) -> StreamProvider.Listen {
    let text = settings.string("\(module)_listen")
    if text.isEmpty { return .nowhere }
    guard let address = SocketAddress(text) else {
      throw ModuleError(
        .configuration, "\(module)_listen \(text): it takes an address and a port, for example 0.0.0.0:8080")
    }
    return .at(address)
  }

  package static func limits(of module: String, _ settings: ModuleSettings) -> StreamLimits {
    var limits = StreamLimits()
    limits.connections = settings.integer("\(module)_connections")
    limits.idle = .seconds(settings.integer("\(module)_idle"))
    limits.keepalive = .seconds(settings.integer("\(module)_keepalive"))
    return limits
  }
}
