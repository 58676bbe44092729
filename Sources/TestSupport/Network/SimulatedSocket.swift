internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// A bound address of a simulated network, with what has arrived there.
final class SimulatedSocket: Sendable {
  enum Arrival: Sendable {
    case datagram(Datagram)
    /// Nothing is bound at this address, where one of ours went.
    case refused(SocketAddress)
  }

  /// Whose handler must be called: a port of the loop that has this context.
  struct Signal: Sendable {
    let context: ObjectIdentifier
    let port: WatchID
  }

  private struct State {
    var address: SocketAddress
    var arrivals: [Arrival] = []
    var signal: Signal?
  }

  let isSignalling: Bool
  private let state: Locked<State>

  init(_ address: SocketAddress, isSignalling: Bool) {
    self.state = Locked(State(address: address))
    self.isSignalling = isSignalling
  }

  var address: SocketAddress { self.state.withLock { $0.address } }

  func rebind(_ address: SocketAddress) { self.state.withLock { $0.address = address } }

  func arrive(_ arrival: Arrival) -> Signal? {
    self.state.withLock { state in
      state.arrivals.append(arrival)
      return state.signal
    }
  }

  func take() -> Arrival? {
    self.state.withLock { state in state.arrivals.isEmpty ? nil : state.arrivals.removeFirst() }
  }

  /// What was never read.
  func takeAll() -> [Datagram] {
    self.state.withLock { state in
      defer { state.arrivals = [] }
      return state.arrivals.compactMap { if case .datagram(let datagram) = $0 { datagram } else { nil } }
    }
  }

  func attach(_ signal: Signal?) { self.state.withLock { $0.signal = signal } }
}

/// A media socket of a simulated network; a fill brings one datagram, or none where the kernel tells of an error.
final class SimulatedPort: DatagramPort {
  private let network: SimulatedNetwork
  private let socket: SimulatedSocket
  private var watch: WatchID?

  init(_ network: SimulatedNetwork, _ socket: SimulatedSocket) {
    self.network = network
    self.socket = socket
  }

  deinit { self.network.close(self.socket) }

  var localAddress: SocketAddress { self.socket.address }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    let port = context.register(handler)
    self.watch = port
    self.socket.attach(SimulatedSocket.Signal(context: ObjectIdentifier(context), port: port))
  }

  func detach(from context: LoopContext) {
    if let watch { context.unregister(watch) }
    self.watch = nil
    self.socket.attach(nil)
  }

  func fill(_ batch: PacketBatch) {
    batch.clear()
    guard case .datagram(let datagram) = self.socket.take() else { return }
    datagram.bytes.withRawSpan { batch.fill(with: $0, from: datagram.source) }
  }

  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult {
    self.network.send(bytes.copied(), from: self.socket, to: address)
  }
}

/// A SIP socket of a simulated network; lives on a main loop.
final class SimulatedSIPTransport: SIPTransport {
  let kind = SIPTransportKind.udp
  private let network: SimulatedNetwork
  private let socket: SimulatedSocket
  private let loop: LoopContext
  private weak var receiver: (any SIPTransportReceiver)?
  private var watch: WatchID?

  init(
    _ network: SimulatedNetwork, _ socket: SimulatedSocket, _ loop: LoopContext, _ receiver: any SIPTransportReceiver
  ) {
    self.network = network
    self.socket = socket
    self.loop = loop
    self.receiver = receiver
    let port = loop.register { [unowned self] in self.receive() }
    self.watch = port
    socket.attach(SimulatedSocket.Signal(context: ObjectIdentifier(loop), port: port))
  }

  var localAddress: SocketAddress { self.socket.address }

  func send(_ bytes: [UInt8], to destination: SIPDestination) -> SIPSendResult {
    let address = destination.address
    return SIPSendResult(self.network.send(bytes, from: self.socket, to: address), to: address)
  }

  func close() {
    guard let watch = self.watch.take() else { return }
    self.loop.unregister(watch)
    self.socket.attach(nil)
    self.network.close(self.socket)
  }

  private func receive() {
    switch self.socket.take() {
    case .datagram(let datagram):
      let origin = SIPOrigin(datagram.source, local: self.socket.address)
      datagram.bytes.withRawSpan { self.receiver?.received($0, from: origin, on: self) }
    case .refused(let address): self.receiver?.failed(to: address, reason: "connection refused", on: self)
    case nil: break
    }
  }
}
