#if CAres
  internal import CCares
  internal import Dispatch
  internal import Glibc
  package import ModuleKit
  package import NetBase
  internal import SIPStack

  enum CAresLibrary {
    /// `ares_library_init` counts its calls and is not safe beside itself.
    private static let status = ares_library_init(ARES_LIB_INIT_ALL)

    static func start() throws(ModuleError) {
      guard Self.status == ARES_SUCCESS else {
        throw ModuleError(.unavailable, "module dns: c-ares does not start: \(Self.words(Self.status))")
      }
    }

    static var version: String { "c-ares \(unsafe String(cString: ares_version(nil)))" }

    static func words(_ status: Int32) -> String { unsafe String(cString: ares_strerror(status)).lowercased() }
  }

  package struct CAresProvider: NameResolverProvider {
    package init() {}

    package func makeResolver(
      servers: [SocketAddress], fallbacks: [SocketAddress]
    ) throws(ModuleError) -> any NameResolver {
      try CAresLibrary.start()
      let chosen = servers.isEmpty && !Self.hasSystemServer() ? fallbacks : servers
      return CAresResolver(servers: chosen.map(\.description).joined(separator: ","))
    }

    /// Whether `/etc/resolv.conf` names a server.
    private static func hasSystemServer() -> Bool {
      guard let file = unsafe fopen("/etc/resolv.conf", "r") else { return false }
      defer { unsafe fclose(file) }
      var line = [CChar](repeating: 0, count: 1024)
      while unsafe fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if text.split(whereSeparator: \.isWhitespace).first == "nameserver" { return true }
      }
      return false
    }
  }

  /// Each question has a channel of its own, for its life on one thread of a queue.
  struct CAresResolver: NameResolver {
    /// As `ares_set_servers_ports_csv` takes them; empty for the system's.
    let servers: String
    private let queue = DispatchQueue(label: "apus.dns", attributes: .concurrent)

    init(servers: String) { self.servers = servers }

    func resolve(_ question: DNSQuestion, completion: @escaping @Sendable (DNSAnswer) -> Void) {
      let servers = self.servers
      self.queue.async { completion(CAresQuery.run(question, servers: servers)) }
    }
  }
#endif
