import Handoff
import ModuleKit
import NetBase
import Runtime
import SIPStack
import TestSupport

@testable import UACore

/// A call that stands for ten seconds while somebody sends what should not be sent.
struct HostileCall {
  struct Sent {
    var media = 0
    var signalling = 0
    /// Of both, those past what keeps strangers out: SIP inside the dialog, media under the peer's keys (without keys,
    /// from the peer's address).
    var authenticated = 0
  }

  let alice: CallReport
  let bob: CallReport
  let aliceHeard: [Int16]
  let bobHeard: [Int16]
  let sent: Sent
  let toMedia: NetworkCounters
  let toSignalling: NetworkCounters
  let signallingCounted: Int
  let mediaSockets: Int
  let warnings: Int

  /// - Parameter inputs: how many datagrams are sent to Alice; 0 for a run to compare with.
  init(mode: RxMode, encryption: String?, seed: UInt64, inputs: Int) throws {
    let agents = try SimulatedAgents(mode: mode, encryption: encryption, seed: seed)
    let genuine = GenuineTraffic(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    genuine.stop()
    var attacker = try Attacker(agents: agents, genuine: genuine, seed: seed, isPlain: encryption == nil)
    // The figures at the start of the attack are those of a plain run: all that differs is the attack.
    let start = agents.simulation.now
    for millisecond in 0..<10_000 {
      let until = inputs * (millisecond + 1) / 10_000
      while attacker.count < until { attacker.attack() }
      agents.simulation.run(until: start.advanced(byMilliseconds: Int64(millisecond) + 1))
    }
    agents.run(milliseconds: 100)
    agents.alice.act { $0.hangUp(call) }
    _ = agents.runUntilIdle(milliseconds: 40_000)
    guard let alice = agents.alice.ended.first, let bob = agents.bob.ended.first else {
      throw ModuleError(.peer, "the call did not end")
    }
    // What was left in the sockets is counted when they close.
    agents.run(milliseconds: 100)
    let network = agents.simulation.network
    (self.alice, self.bob, self.sent) = (alice, bob, attacker.sent)
    self.aliceHeard = ProbeCapture.take(agents.aliceHears)
    self.bobHeard = ProbeCapture.take(agents.bobHears)
    self.toMedia = network.counters(to: agents.alice.address, signalling: false)
    self.toSignalling = network.counters(to: agents.alice.address, signalling: true)
    let counters = agents.alice.act { $0.signallingCounters }
    self.signallingCounted =
      counters.requestsReceived + counters.responsesReceived + counters.malformed + counters.keepAlives
    self.mediaSockets = network.mediaSocketCount
    self.warnings = agents.alice.warnings.count
  }
}

/// What really crossed while a call was set up.
final class GenuineTraffic: Sendable {
  struct Seen: Sendable {
    var signalling: [[UInt8]] = []
    var rtp: [[UInt8]] = []
    var rtcp: [[UInt8]] = []
    var dtls: [[UInt8]] = []
    var aliceMedia: SocketAddress?
    var bobMedia: SocketAddress?
    var isOver = false
  }

  private let state = Locked(Seen())

  init(_ network: SimulatedNetwork) { network.tap { [state] datagram in Self.see(datagram, state) } }

  var seen: Seen { self.state.withLock { $0 } }
  func stop() { self.state.withLock { $0.isOver = true } }

  private static func see(_ datagram: Datagram, _ state: Locked<Seen>) -> Bool {
    state.withLock { seen in
      guard !seen.isOver else { return true }
      if datagram.isSignalling {
        seen.signalling.append(datagram.bytes)
        return true
      }
      switch datagram.bytes.withRawSpan({ PacketClass($0) }) {
      case .dtls: seen.dtls.append(datagram.bytes)
      case .rtcp: seen.rtcp.append(datagram.bytes)
      case .rtp:
        seen.rtp.append(datagram.bytes)
        if datagram.source.host == "10.0.0.1" {
          (seen.aliceMedia, seen.bobMedia) = (datagram.source, datagram.destination)
        }
      case .stun, .turnChannel, .unknown: break
      }
      return true
    }
  }
}

/// Sends Alice what should not be sent: as a stranger, and as Bob gone bad.
struct Attacker {
  private let agents: SimulatedAgents
  private let genuine: GenuineTraffic.Seen
  private let isPlain: Bool
  private let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6666)
  private let aliceMedia: SocketAddress
  private let bobMedia: SocketAddress
  private var mutation: Mutation
  private var sip: HostileSIP
  private var media: HostileMedia
  private var waiting: [[UInt8]] = []
  private(set) var sent = HostileCall.Sent()

  var count: Int { self.sent.media + self.sent.signalling }

  init(agents: SimulatedAgents, genuine: GenuineTraffic, seed: UInt64, isPlain: Bool) throws {
    let seen = genuine.seen
    let invite = seen.signalling.first { $0.starts(with: Array("INVITE".utf8)) }
    let answer = seen.signalling.first { $0.starts(with: Array("SIP/2.0 200".utf8)) }
    guard let invite, let answer, let aliceMedia = seen.aliceMedia, let bobMedia = seen.bobMedia,
      let sip = HostileSIP(
        messages: seen.signalling, invite: invite, answer: answer, local: agents.alice.address, peer: agents.bob.address
      )
    else { throw ModuleError(.peer, "the call crossed unseen") }
    (self.agents, self.genuine, self.isPlain) = (agents, seen, isPlain)
    (self.aliceMedia, self.bobMedia, self.sip) = (aliceMedia, bobMedia, sip)
    self.mutation = Mutation(seed: seed &+ 77)
    self.media = HostileMedia()
  }

  /// Sends one datagram, or a request with its ACK.
  mutating func attack() {
    let kind = self.mutation.number(0...99)
    // SIP, RTP and RTCP more often than not, so that half of all is past what keeps strangers out.
    let isInside = self.mutation.chance(kind < 72 ? 0.72 : 0.5)
    switch kind {
    case 0..<18:
      let messages = isInside ? self.sip.fromPeer(&self.mutation) : [self.sip.fromStranger(&self.mutation)]
      let source = isInside ? self.agents.bob.address : self.stranger
      for message in messages {
        self.agents.simulation.network.inject(
          message, from: source, to: self.agents.alice.address, isSignalling: true)
        self.sent.signalling += 1
        if isInside { self.sent.authenticated += 1 }
      }
    case 18..<50: if isInside { self.sendAsBob(isRTCP: false) } else { self.strange(self.foreignRTP()) }
    case 50..<72: if isInside { self.sendAsBob(isRTCP: true) } else { self.strange(self.foreignRTCP()) }
    case 72..<86: self.inject(self.dtls(), isInside: isInside)
    case 86..<96: self.inject(self.media.stun(&self.mutation), isInside: isInside)
    default: self.strange(self.media.nothingInParticular(&self.mutation))
    }
  }

  private mutating func dtls() -> [UInt8] {
    self.mutation.chance(0.5) && !self.genuine.dtls.isEmpty
      ? self.media.damaged(self.genuine.dtls, &self.mutation) : self.media.dtls(&self.mutation)
  }

  private mutating func foreignRTP() -> [UInt8] {
    self.mutation.chance(0.5)
      ? self.media.damaged(self.genuine.rtp, &self.mutation) : self.media.rtp(&self.mutation)
  }

  private mutating func foreignRTCP() -> [UInt8] {
    self.mutation.chance(0.5)
      ? self.media.damaged(self.genuine.rtcp, &self.mutation) : self.media.rtcp(&self.mutation)
  }

  /// From an address that has no part in the call.
  private mutating func strange(_ bytes: [UInt8]) { self.inject(bytes, isInside: false) }

  /// - Parameter isInside: whether it comes from Bob's address, which alone opens nothing.
  private mutating func inject(_ bytes: [UInt8], isInside: Bool) {
    let isControl = self.mutation.chance(0.3)
    func port(_ address: SocketAddress) -> SocketAddress {
      isControl ? address.with(port: address.port + 1) : address
    }
    self.agents.simulation.network.inject(
      bytes, from: isInside ? port(self.bobMedia) : self.stranger, to: port(self.aliceMedia))
    self.sent.media += 1
  }

  /// What Bob himself sends: from his address, and under his keys where the call has any.
  private mutating func sendAsBob(isRTCP: Bool) {
    let bytes = isRTCP ? self.media.rtcp(&self.mutation) : self.media.rtp(&self.mutation)
    if self.isPlain {
      self.agents.simulation.network.inject(
        bytes, from: isRTCP ? self.bobMedia.with(port: self.bobMedia.port + 1) : self.bobMedia,
        to: isRTCP ? self.aliceMedia.with(port: self.aliceMedia.port + 1) : self.aliceMedia)
    } else {
      // What libsrtp refuses to protect stays here.
      guard self.agents.bob.send(bytes, isRTCP: isRTCP) else { return }
    }
    self.sent.media += 1
    self.sent.authenticated += 1
  }
}

extension SimulatedAgent {
  /// Sends bytes as RTP or RTCP of the agent's only call, protected as its own packets are.
  func send(_ bytes: [UInt8], isRTCP: Bool) -> Bool {
    let handle = self.act { core in core.calls.values.first?.media?.transport }
    guard let handle else { return false }
    var room = bytes + [UInt8](repeating: 0, count: 200)
    return handle.loop.asOwner { _ in
      handle.transport.withValue { transport in
        room.withPacket { packet in
          packet.count = bytes.count
          return isRTCP ? transport.send(report: &packet) : transport.send(packet: &packet)
        }
      }
    } ?? false
  }
}
