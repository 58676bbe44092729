package import ModuleKit
package import NetBase
package import Runtime
package import SIPStack

/// A SIP peer, mostly at 10.0.0.3, that does what a test says, with descriptions that the test writes.
package final class ScriptedPeer: SIPTransportReceiver {
  package let main: EventLoop
  package let address: SocketAddress
  package let media: SocketAddress
  package private(set) var events: [SIPEvent] = []
  package private(set) var incoming: [(id: SessionID, invite: IncomingInvite)] = []
  private let endpoint: SIPEndpoint
  private let context: LoopContext
  private var transport: (any SIPTransport)?
  private var timer: TimerID?

  /// Called for every request outside a call, as the peer's loop.
  package var onRequest: (SIPEndpoint, IncomingRequestID, IncomingRequest) -> Void = { _, _, _ in }

  package init(
    in simulation: Simulation, host: UInt32 = 0x0A00_0003, configuration: SIPConfiguration = SIPConfiguration()
  ) throws {
    self.address = SocketAddress(ipv4: host, port: 5060)
    self.media = SocketAddress(ipv4: host, port: 30_000)
    self.main = simulation.makeLoop()
    self.endpoint = SIPEndpoint(configuration: configuration, generator: SeededGenerator(seed: 9))
    self.context = self.main.asOwner { $0 }
    try self.main.asOwner { context in
      self.transport = try simulation.network.open(
        SIPTransportSettings(listen: self.address), on: self.main, receiver: self)
      self.timer = context.makeTimer { [unowned self] in self.act { $0.timeout(now: self.context.now) } }
    }
  }

  deinit {
    self.main.asOwner { context in
      self.transport?.close()
      if let timer { context.remove(timer) }
    }
  }

  /// Runs `body` as the peer's loop and sends what follows.
  package func act(_ body: (SIPEndpoint) -> Void) {
    self.main.asOwner { _ in
      body(self.endpoint)
      while let action = self.endpoint.nextAction() {
        switch action {
        case .send(let bytes, let path): _ = self.transport?.send(bytes, to: SIPDestination(path.peer))
        case .close: break
        case .event(let event):
          self.events.append(event)
          if case .incomingCall(let id, let invite) = event { self.incoming.append((id, invite)) }
          if case .incomingRequest(let id, let request) = event { self.onRequest(self.endpoint, id, request) }
        }
      }
      if let timer, let deadline = self.endpoint.nextDeadline { self.context.arm(timer, at: deadline) }
    }
  }

  package func received(_ bytes: RawSpan, from origin: SIPOrigin, on transport: any SIPTransport) {
    let copy = bytes.copied()
    self.act { endpoint in
      copy.withRawSpan {
        endpoint.receive($0, from: origin.source, on: self.address, transport: .udp, now: self.context.now)
      }
    }
  }

  package func newFlow() -> SIPFlow { SIPFlow(number: 0) }
  package func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {}
  package func opened(_ connection: SIPConnection, on transport: any SIPTransport) {}
  package func closed(_ flow: SIPFlow, peer: SocketAddress, reason: String, on transport: any SIPTransport) {}
  package func ponged(_ flow: SIPFlow, on transport: any SIPTransport) {}

  package var now: Instant { self.context.now }

  /// A description with PCMU and these further lines of the media section.
  package func description(_ lines: [String] = [], protocolName: String = "RTP/AVP", version: Int = 1) -> SIPBody {
    let text =
      ([
        "v=0", "o=- 7 \(version) IN IP4 \(self.media.host)", "s=-", "c=IN IP4 \(self.media.host)", "t=0 0",
        "m=audio 30000 \(protocolName) 0 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000",
      ] + lines).joined(separator: "\r\n") + "\r\n"
    return SIPBody(bytes: Array(text.utf8))
  }

  /// Where the newest offer or answer of the other side wants media.
  package func mediaAddress(in body: SIPBody) -> SocketAddress? {
    for line in String(decoding: body.bytes, as: UTF8.self).split(separator: "\r\n") where line.hasPrefix("m=audio ") {
      let port = line.split(separator: " ")[1]
      return UInt16(port).map { SocketAddress(ipv4: 0x0A00_0001, port: $0) }
    }
    return nil
  }
}
