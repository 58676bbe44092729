internal import Glibc
package import ModuleKit
package import NetBase
package import Runtime

/// The listening socket and its clients; lives on main.
package final class ControlServer: Application {
  private static let maximumClients = 8

  /// Where it listens.
  package let address: SocketAddress
  private let listener: TCPSocket
  private let loop: LoopContext
  private unowned let host: any ApplicationHost
  private var watch: WatchID?
  private var hasStopped = false
  /// Milliseconds until descriptors may be free again.
  private static let pause: Int64 = 100
  private var clients: [ControlClient] = []

  package init(listen: SocketAddress, on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) {
    do throws(SocketError) {
      self.listener = try TCPSocket(listening: listen)
    } catch {
      if error.isAddressForeign {
        throw ModuleError.foreignAddress(listen, module: "ctrl_tcp", keys: "ctrl_tcp_listen")
      }
      let advice = error.isAddressInUse ? "; choose another ctrl_tcp_listen" : ""
      throw ModuleError(.unavailable, "module ctrl_tcp: cannot listen on \(error)\(advice)")
    }
    self.address = self.listener.localAddress
    self.loop = loop
    self.host = host
    self.listen()
  }

  package func take(_ notice: AgentNotice) {
    guard !self.clients.isEmpty else { return }
    let bytes = NetstringReader.wrapped(notice.json.compact)
    for client in self.clients { client.send(bytes) }
    self.clients.removeAll { $0.isClosed }
  }

  package func stop() {
    for client in self.clients { client.close() }
    self.clients = []
    if let watch { self.loop.unwatch(watch, self.listener.descriptor) }
    self.watch = nil
    self.hasStopped = true
    self.listener.close()
  }

  private func listen() {
    self.watch = self.loop.watch(self.listener.descriptor) { [unowned self] in self.accept() }
  }

  private func accept() {
    self.clients.removeAll { $0.isClosed }
    while let socket = self.listener.accept() {
      guard self.clients.count < Self.maximumClients else {
        socket.close()
        continue
      }
      self.clients.append(ControlClient(socket, on: self.loop, host: self.host))
    }
    guard self.listener.lacksDescriptors, let watch = self.watch.take() else { return }
    // Who waits would wake the loop again and again.
    self.loop.unwatch(watch, self.listener.descriptor)
    self.loop.schedule(at: self.loop.now.advanced(byMilliseconds: Self.pause)) { [weak self] in
      if let self, !self.hasStopped { self.listen() }
    }
  }
}
