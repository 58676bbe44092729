internal import Glibc
internal import Handoff
package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// A loop with one open SIP transport on it, and what the transport told, for tests of the transport modules.
package final class SIPBench: Sendable {
  package struct Message: Hashable, Sendable {
    package let bytes: [UInt8]
    package let origin: SIPOrigin

    package init(bytes: [UInt8], origin: SIPOrigin) {
      self.bytes = bytes
      self.origin = origin
    }

    package var text: String { String(decoding: self.bytes, as: UTF8.self) }
  }

  package struct Closed: Hashable, Sendable {
    package let flow: SIPFlow
    package let peer: SocketAddress
    package let reason: String

    package init(flow: SIPFlow, peer: SocketAddress, reason: String) {
      (self.flow, self.peer, self.reason) = (flow, peer, reason)
    }
  }

  /// What was told, in order.
  package struct Heard: Sendable {
    package var messages: [Message] = []
    package var failures: [(address: SocketAddress, reason: String)] = []
    package var opened: [SIPConnection] = []
    package var closed: [Closed] = []
    package var pongs: [SIPFlow] = []
  }

  private struct Parts {
    let transport: any SIPTransport
    let receiver: Receiver
  }

  package let main: EventLoop
  package let address: SocketAddress
  private let heard: Locked<Heard>
  private let parts: LoopBound<Parts>

  /// - Throws: what the provider throws.
  package init(_ provider: any SIPTransportProvider, _ settings: SIPTransportSettings) throws(ModuleError) {
    let main = EventLoop.start(name: "main")
    let heard = Locked(Heard())
    let parts = LoopBound<Parts>(on: main)
    let result = main.sync { _ -> Result<SocketAddress, ModuleError> in
      let receiver = Receiver(heard)
      do throws(ModuleError) {
        let transport = try provider.open(settings, on: main, receiver: receiver)
        parts.put(Parts(transport: transport, receiver: receiver))
        return .success(transport.localAddress)
      } catch { return .failure(error) }
    }
    switch result {
    case .success(let address): self.address = address
    case .failure(let error):
      main.stop()
      throw error
    case nil: throw ModuleError(.unavailable, "the loop has stopped")
    }
    self.main = main
    self.heard = heard
    self.parts = parts
  }

  /// A transport that listens at a free port of `host`.
  package convenience init(
    _ provider: any SIPTransportProvider, host: String = "127.0.0.1", typeOfService: Int = 0xA0,
    security: SIPSecurity = SIPSecurity()
  ) throws(ModuleError) {
    let listen = SocketAddress(host: host, port: 0)
    try self.init(
      provider, SIPTransportSettings(listen: listen, typeOfService: typeOfService, security: security))
  }

  /// Runs `body` on the loop with the transport.
  package func act<Result: Sendable>(_ body: @escaping @Sendable (any SIPTransport) -> Result) -> Result? {
    self.main.sync { _ in self.parts.withValue { body($0.transport) } } ?? nil
  }

  @discardableResult
  package func send(_ bytes: [UInt8], to destination: SIPDestination) -> SIPSendResult {
    self.act { $0.send(bytes, to: destination) } ?? .refused("the loop has stopped")
  }

  @discardableResult
  package func send(_ bytes: [UInt8], to address: SocketAddress) -> SIPSendResult {
    self.send(bytes, to: SIPDestination(address))
  }

  package var events: Heard { self.heard.withLock { $0 } }

  package var messages: [Message] { self.events.messages }

  package func forget() { self.heard.withLock { $0 = Heard() } }

  /// Waits, ten seconds at most, until what was heard is as `isDone` wants it.
  @discardableResult
  package func wait(_ isDone: (Heard) -> Bool) -> Bool {
    for _ in 0..<10_000 {
      if isDone(self.events) { return true }
      usleep(1000)
    }
    return false
  }

  package func close() { self.act { $0.close() } }

  /// Closes the transport and ends the loop.
  package func stop() {
    self.main.sync { _ in
      self.parts.withValue { $0.transport.close() }
      _ = self.parts.take()
    }
    self.main.stop()
  }

  /// What a test writes down of it.
  private final class Receiver: SIPTransportReceiver {
    private let heard: Locked<Heard>
    private var lastFlow: UInt64 = 0

    init(_ heard: Locked<Heard>) { self.heard = heard }

    func newFlow() -> SIPFlow {
      self.lastFlow += 1
      return SIPFlow(number: self.lastFlow)
    }

    func received(_ bytes: RawSpan, from origin: SIPOrigin, on transport: any SIPTransport) {
      let message = Message(bytes: bytes.copied(), origin: origin)
      self.heard.withLock { $0.messages.append(message) }
    }

    func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {
      self.heard.withLock { $0.failures.append((address, reason)) }
    }

    func opened(_ connection: SIPConnection, on transport: any SIPTransport) {
      self.heard.withLock { $0.opened.append(connection) }
    }

    func closed(_ flow: SIPFlow, peer: SocketAddress, reason: String, on transport: any SIPTransport) {
      self.heard.withLock { $0.closed.append(Closed(flow: flow, peer: peer, reason: reason)) }
    }

    func ponged(_ flow: SIPFlow, on transport: any SIPTransport) { self.heard.withLock { $0.pongs.append(flow) } }
  }
}
