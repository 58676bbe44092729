internal import Handoff
package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// A datagram on a simulated network.
package struct Datagram: Sendable {
  package let source: SocketAddress
  package let destination: SocketAddress
  package fileprivate(set) var bytes: [UInt8]
  /// Whether a SIP transport sent it.
  package let isSignalling: Bool
}

/// What became of the datagrams of a simulated network.
package struct NetworkCounters: Equatable, Sendable {
  package var sent = 0
  package var delivered = 0
  package var lost = 0
  package var duplicated = 0
  package var corrupted = 0
  /// Nothing was bound where they went.
  package var undeliverable = 0
  /// Delivered, and never read: the socket was closed.
  package var unread = 0

  package init() {}
}

/// A network without a kernel: sockets at any address, and datagrams that take their time on a virtual clock.
///
/// Media transports and SIP transports bind to it in place of `udp` and `sip_udp`. Everything that happens by chance
/// comes from the seed.
package final class SimulatedNetwork: Sendable {
  private struct Flight {
    let arrival: Instant
    let serial: UInt64
    let datagram: Datagram
  }

  private struct State {
    var media = LinkConditions()
    var signalling = LinkConditions()
    var generator: TestGenerator
    var sockets: [SocketAddress: SimulatedSocket] = [:]
    /// Sorted; the next to arrive is the last.
    var flights: [Flight] = []
    var serial: UInt64 = 0
    var lastPort: UInt16 = 49_151
    var counters = NetworkCounters()
    var byDestination: [Destination: NetworkCounters] = [:]
    var silenced: Set<SocketAddress> = []
    /// Hosts that have another address now.
    var gone: Set<SocketAddress> = []
    var tap: (@Sendable (Datagram) -> Bool)?
    /// By the host that sends.
    var failures: [Destination: Failure] = [:]

    mutating func board(_ flight: Flight) {
      var range = 0..<self.flights.count
      while !range.isEmpty {
        let middle = (range.lowerBound + range.upperBound) / 2
        let other = self.flights[middle]
        if (other.arrival, other.serial) > (flight.arrival, flight.serial) {
          range = middle + 1..<range.upperBound
        } else {
          range = range.lowerBound..<middle
        }
      }
      self.flights.insert(flight, at: range.lowerBound)
    }

    mutating func count(_ datagram: Datagram, _ change: (inout NetworkCounters) -> Void) {
      change(&self.counters)
      let destination = Destination(host: datagram.destination.with(port: 0), isSignalling: datagram.isSignalling)
      change(&self.byDestination[destination, default: NetworkCounters()])
    }
  }

  /// What a kernel answers to whoever sends.
  private struct Failure {
    var result = SendResult.sent
    var end: Instant
    var count = 0
  }

  private struct Destination: Hashable {
    let host: SocketAddress
    let isSignalling: Bool
  }

  private let clock: VirtualClock
  private let state: Locked<State>

  package init(clock: VirtualClock, seed: UInt64) {
    self.clock = clock
    self.state = Locked(State(generator: TestGenerator(seed: seed)))
  }

  // MARK: Conditions

  /// How media travels.
  package func setMedia(_ conditions: LinkConditions) { self.state.withLock { $0.media = conditions } }

  /// How SIP travels.
  package func setSignalling(_ conditions: LinkConditions) { self.state.withLock { $0.signalling = conditions } }

  /// For so long the kernel takes nothing that this host's sockets for media, or for SIP, are to send.
  package func failSending(from host: SocketAddress, signalling: Bool, with result: SendResult, milliseconds: Int64) {
    let end = self.clock.now.advanced(byMilliseconds: milliseconds)
    self.state.withLock { state in
      let key = Destination(host: host.with(port: 0), isSignalling: signalling)
      state.failures[key, default: Failure(end: end)].result = result
      state.failures[key]?.end = end
    }
  }

  /// How many datagrams of a host the kernel did not take.
  package func failedSends(from host: SocketAddress, signalling: Bool) -> Int {
    let key = Destination(host: host.with(port: 0), isSignalling: signalling)
    return self.state.withLock { $0.failures[key]?.count ?? 0 }
  }

  /// From now on nothing that this host sends arrives anywhere; or it does again.
  package func silence(host: String, _ isSilent: Bool = true) {
    guard let address = SocketAddress(host: host, port: 0) else { return }
    self.state.withLock { if isSilent { $0.silenced.insert(address) } else { $0.silenced.remove(address) } }
  }

  /// The host at `old` is at `new` from now on: what goes to the old address, or leaves from it, is lost. SIP's sockets
  /// move, as those do that are bound to every address; media's stay behind.
  package func move(host old: String, to new: String) {
    guard let old = SocketAddress(host: old, port: 0), let new = SocketAddress(host: new, port: 0) else { return }
    self.state.withLock { state in
      state.silenced.insert(old)
      state.gone.insert(old)
      for (address, socket) in state.sockets where socket.isSignalling && address.isSameHost(as: old) {
        state.sockets[address] = nil
        socket.rebind(new.with(port: address.port))
        state.sockets[socket.address] = socket
      }
    }
  }

  /// Sees every datagram as it is sent; what it answers false to is lost.
  package func tap(_ body: @escaping @Sendable (Datagram) -> Bool) { self.state.withLock { $0.tap = body } }

  package var counters: NetworkCounters { self.state.withLock { $0.counters } }

  /// What became of the datagrams to one host: of those between SIP transports, or of all others.
  package func counters(to host: SocketAddress, signalling: Bool) -> NetworkCounters {
    let destination = Destination(host: host.with(port: 0), isSignalling: signalling)
    return self.state.withLock { $0.byDestination[destination] ?? NetworkCounters() }
  }

  /// How many sockets are open that were not opened for SIP.
  package var mediaSocketCount: Int {
    self.state.withLock { state in state.sockets.values.count { !$0.isSignalling } }
  }

  /// Puts a datagram on its way that no socket here sent.
  package func inject(
    _ bytes: [UInt8], from source: SocketAddress, to destination: SocketAddress, isSignalling: Bool = false
  ) {
    self.launch(
      Datagram(source: source, destination: destination, bytes: bytes, isSignalling: isSignalling), tapped: false)
  }

  // MARK: Travel

  /// When the next datagram arrives.
  package var nextArrival: Instant? { self.state.withLock { $0.flights.last?.arrival } }

  /// Puts what has arrived by now into the sockets; returns whose handlers must be called, once for each datagram.
  func deliver() -> [SimulatedSocket.Signal] {
    let now = self.clock.now
    return self.state.withLock { state in
      var signals: [SimulatedSocket.Signal] = []
      while let flight = state.flights.last, flight.arrival <= now {
        state.flights.removeLast()
        let datagram = flight.datagram
        let isGone = state.gone.contains(datagram.destination.with(port: 0))
        if isGone {
          // Nobody is there to say that the port is closed.
          state.count(datagram) { $0.undeliverable += 1 }
        } else if let socket = state.sockets[datagram.destination] {
          state.count(datagram) { $0.delivered += 1 }
          if let signal = socket.arrive(.datagram(datagram)) { signals.append(signal) }
        } else {
          state.count(datagram) { $0.undeliverable += 1 }
          if let sender = state.sockets[datagram.source],
            let signal = sender.arrive(.refused(datagram.destination))
          {
            signals.append(signal)
          }
        }
      }
      return signals
    }
  }

  func send(_ bytes: [UInt8], from socket: SimulatedSocket, to destination: SocketAddress) -> SendResult {
    let now = self.clock.now
    let failure: SendResult? = self.state.withLock { state in
      guard !state.failures.isEmpty else { return nil }
      let key = Destination(host: socket.address.with(port: 0), isSignalling: socket.isSignalling)
      guard let failure = state.failures[key], now < failure.end else { return nil }
      state.failures[key]?.count += 1
      return failure.result
    }
    if let failure { return failure }
    self.launch(
      Datagram(source: socket.address, destination: destination, bytes: bytes, isSignalling: socket.isSignalling),
      tapped: true)
    return .sent
  }

  private func launch(_ datagram: Datagram, tapped: Bool) {
    let tap = self.state.withLock { $0.tap }
    let passes = !tapped || tap?(datagram) ?? true
    let now = self.clock.now
    self.state.withLock { state in
      state.count(datagram) { $0.sent += 1 }
      let conditions = datagram.isSignalling ? state.signalling : state.media
      guard passes, !state.silenced.contains(datagram.source.with(port: 0)), !state.generator.happens(conditions.loss)
      else {
        state.count(datagram) { $0.lost += 1 }
        return
      }
      let isTwice = state.generator.happens(conditions.duplication)
      if isTwice { state.count(datagram) { $0.duplicated += 1 } }
      for _ in 0..<(isTwice ? 2 : 1) {
        var delay = Int64.random(in: conditions.delay, using: &state.generator)
        if state.generator.happens(conditions.reordering) { delay += LinkConditions.reorderingDelay }
        var arriving = datagram
        if state.generator.happens(conditions.corruption), !datagram.bytes.isEmpty {
          state.count(datagram) { $0.corrupted += 1 }
          for _ in 0..<Int.random(in: 1...4, using: &state.generator) {
            let bit = Int.random(in: 0..<datagram.bytes.count * 8, using: &state.generator)
            arriving.bytes[bit / 8] ^= 1 << UInt8(bit % 8)
          }
        }
        state.serial += 1
        let flight = Flight(
          arrival: now.advanced(byNanoseconds: delay * 1000), serial: state.serial, datagram: arriving)
        state.board(flight)
      }
    }
  }

  // MARK: Sockets

  func bind(_ address: SocketAddress, isSignalling: Bool) throws(ModuleError) -> SimulatedSocket {
    let bound: SimulatedSocket? = self.state.withLock { state in
      var address = address
      if address.port == 0 {
        repeat { state.lastPort &+= 1 } while state.sockets[address.with(port: state.lastPort)] != nil
        address = address.with(port: state.lastPort)
      }
      guard state.sockets[address] == nil else { return nil }
      let socket = SimulatedSocket(address, isSignalling: isSignalling)
      state.sockets[address] = socket
      return socket
    }
    guard let bound else { throw ModuleError(.unavailable, "\(address): address already in use") }
    return bound
  }

  func close(_ socket: SimulatedSocket) {
    self.state.withLock { state in
      guard state.sockets[socket.address] === socket else { return }
      state.sockets[socket.address] = nil
      for datagram in socket.takeAll() { state.count(datagram) { $0.unread += 1 } }
    }
  }
}

extension SimulatedNetwork: DatagramTransport {
  package func open(
    _ address: SocketAddress, typeOfService: Int
  ) throws(ModuleError) -> sending any DatagramPort {
    SimulatedPort(self, try self.bind(address, isSignalling: false))
  }
}

extension SimulatedNetwork: SIPTransportProvider {
  package var kind: SIPTransportKind { .udp }

  package func open(
    _ settings: SIPTransportSettings, on main: EventLoop, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport {
    let listen = settings.listen ?? SocketAddress(ipv4: 0x0A00_0001, port: 0)
    return SimulatedSIPTransport(self, try self.bind(listen, isSignalling: true), main.withContext { $0 }, receiver)
  }
}
