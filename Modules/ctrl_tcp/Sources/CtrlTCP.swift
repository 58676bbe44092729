public import ModuleKit
package import NetBase
package import Runtime

/// Control by programs: baresip's JSON in netstrings, over TCP.
public struct CtrlTCP: Module {
  public static let name = "ctrl_tcp"
  public static let summary = "commands and events for programs, JSON over TCP as baresip has it"
  public static let configKeys = [
    ConfigKey(
      "ctrl_tcp_listen", .string, default: "127.0.0.1:4444",
      help: "Address and port for programs that control Apus; whoever reaches it controls everything.")
  ]

  private let listen: SocketAddress

  public init(settings: ModuleSettings) throws(ModuleError) {
    let text = settings.string("ctrl_tcp_listen")
    guard let address = SocketAddress(text, defaultPort: 4444) else {
      throw ModuleError(
        .configuration, "ctrl_tcp_listen \(text): it takes an address and a port, for example 127.0.0.1:4444")
    }
    self.listen = address
  }

  public var facets: [Facet] { [Facet(.application(CtrlTCPProvider(listen: self.listen)))] }
}

/// Starts the server of one agent.
package struct CtrlTCPProvider: ApplicationProvider {
  package let listen: SocketAddress

  package init(listen: SocketAddress) { self.listen = listen }

  package var warning: String? {
    if self.listen.isLoopback { return nil }
    return "ctrl_tcp_listen \(self.listen): whoever reaches it has control of calls and accounts; "
      + "127.0.0.1:4444 keeps it on this machine"
  }

  package func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    try ControlServer(listen: self.listen, on: loop, host: host)
  }
}
