import AllModules
import ModuleKit
import NetBase
import Runtime
import SDPCodec
import SIPStack
import sip_udp

@testable import UACore

/// The signalling of a scripted peer; lives on its loop.
final class ScriptedPeerCore: SIPTransportReceiver {
  let media: ScriptedMedia
  private let context: LoopContext
  private let endpoint: SIPEndpoint
  private let keying: (any MediaEncryptionSession)?
  private let usesRTCPMux: Bool
  private var transport: (any SIPTransport)?
  private var timer: TimerID?
  private var session: SessionID?
  private var offer: [UInt8] = []
  private var answer: SIPBody?
  private(set) var isEstablished = false
  private(set) var isOver = false

  private let host: SocketAddress

  init(
    _ context: LoopContext, on main: EventLoop, at host: SocketAddress, encryption: String?, usesRTCPMux: Bool
  ) throws {
    let registry = try ModuleRegistry(available: allModules, active: allModules.map { $0.name }, settings: [:])
    var system = SystemRandomNumberGenerator()
    self.context = context
    self.host = host
    self.keying = try encryption.map { try registry.encryption($0).makeSession() }
    self.usesRTCPMux = usesRTCPMux
    self.endpoint = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: system.next()))
    self.media = try ScriptedMedia(context, on: host)
    self.transport = try SIPUDPProvider().open(SIPTransportSettings(listen: host), on: main, receiver: self)
    self.timer = context.makeTimer { [unowned self] in self.act { $0.timeout(now: self.context.now) } }
  }

  deinit {
    self.transport?.close()
    if let timer { self.context.remove(timer) }
  }

  var port: UInt16 { self.transport?.localAddress.port ?? 0 }
  var isCalled: Bool { self.session != nil }

  /// Answers the offer: provisionally, or for good.
  func respond(isFinal: Bool) throws {
    guard let session else { throw WaitedInVain(what: "there is a call to answer") }
    let body = try self.answer ?? self.makeAnswer()
    self.answer = body
    let now = self.context.now
    self.act { endpoint in
      if isFinal {
        endpoint.accept(session, body: body, now: now)
      } else {
        endpoint.ring(session, status: 183, body: body, now: now)
      }
    }
  }

  private func makeAnswer() throws -> SIPBody {
    let remote = RemoteMedia(try SessionDescription(parsing: self.offer), index: 0)
    guard let address = remote.rtp?.address else { throw WaitedInVain(what: "the offer has an address") }
    let isMuxed = self.usesRTCPMux && remote.rtcpMux
    let security = RemoteSecurity(
      protocolToken: remote.protocolName,
      attributes: remote.attributes.map { DescriptionAttribute($0.name, $0.value) }, rtpAddress: address,
      rtcpAddress: isMuxed ? nil : remote.rtcp?.address)
    let attributes = try self.keying?.answer(to: security) ?? []
    var lines = [
      "v=0", "o=- 7 1 IN IP4 \(self.host.host)", "s=-", "c=IN IP4 \(self.host.host)", "t=0 0",
      "m=audio \(self.media.port) \(remote.protocolName) 0 8 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000",
      "a=rtpmap:101 telephone-event/8000",
    ]
    if isMuxed { lines.append("a=rtcp-mux") }
    lines += attributes.map { attribute in
      attribute.value.map { "a=\(attribute.name):\($0)" } ?? "a=\(attribute.name)"
    }
    try self.media.start(towards: address)
    try self.postKeying()
    return SIPBody(bytes: Array((lines.joined(separator: "\r\n") + "\r\n").utf8))
  }

  private func postKeying() throws {
    guard let keying else { return try self.media.obey(.plain) }
    while let command = keying.nextCommand() { try self.media.obey(command) }
  }

  // MARK: SIP

  private func act(_ body: (SIPEndpoint) -> Void) {
    body(self.endpoint)
    while let action = self.endpoint.nextAction() {
      switch action {
      case .send(let bytes, let path): _ = self.transport?.send(bytes, to: SIPDestination(path.peer))
      case .close: break
      case .event(let event): self.handle(event)
      }
    }
    if let timer, let deadline = self.endpoint.nextDeadline { self.context.arm(timer, at: deadline) }
  }

  private func handle(_ event: SIPEvent) {
    switch event {
    case .incomingCall(let session, let invite):
      self.offer = invite.body?.bytes ?? []
      self.session = session
    case .established:
      self.isEstablished = true
      self.keying?.answerConfirmed()
      try? self.postKeying()
    case .ended:
      self.isOver = true
      self.media.stop()
    default: break
    }
  }

  func received(_ bytes: RawSpan, from origin: SIPOrigin, on transport: any SIPTransport) {
    let copy = bytes.copied()
    self.act { endpoint in
      copy.withRawSpan {
        endpoint.receive($0, from: origin.source, on: transport.localAddress, transport: .udp, now: self.context.now)
      }
    }
  }

  func newFlow() -> SIPFlow { SIPFlow(number: 0) }
  func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport) {}
  func opened(_ connection: SIPConnection, on transport: any SIPTransport) {}
  func closed(_ flow: SIPFlow, peer: SocketAddress, reason: String, on transport: any SIPTransport) {}
  func ponged(_ flow: SIPFlow, on transport: any SIPTransport) {}
}
