import Handoff
import ModuleKit
import NetBase
import SIPStack
import TestSupport

@testable import UACore

/// A call that stands for ten seconds while somebody sends what should not be sent.
struct HostileCall {
  struct Sent {
    var media = 0
    var signalling = 0
    /// Of both, those past what keeps strangers out: SIP inside the dialog, media under the peer's keys (without keys,
    /// from the peer's address), connectivity checks under the call's password.
    var authenticated = 0
    /// Connectivity checks under the call's password, from the peer's address.
    var signedChecks = 0
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
  /// What Bob's agent sent Alice as checks, and in answer to hers: a check under the password makes her check, too.
  let checksOfBob: Int

  /// - Parameter inputs: how many datagrams are sent to Alice; 0 for a run to compare with.
  init(_ cell: HostileInputTests.Cell, seed: UInt64, inputs: Int) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: seed)
    if cell.usesICE { (agents.aliceSettings.mediaNAT, agents.bobSettings.mediaNAT) = ("ice", "ice") }
    let genuine = GenuineTraffic(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    genuine.stop()
    var attacker = try Attacker(agents: agents, genuine: genuine, seed: seed, cell)
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
    self.checksOfBob = genuine.seen.checksOfBob
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
    /// Counted on when the rest is over.
    var checksOfBob = 0
    var isOver = false
  }

  private let state = Locked(Seen())

  init(_ network: SimulatedNetwork) { network.tap { [state] datagram in Self.see(datagram, state) } }

  var seen: Seen { self.state.withLock { $0 } }
  func stop() { self.state.withLock { $0.isOver = true } }

  private static func see(_ datagram: Datagram, _ state: Locked<Seen>) -> Bool {
    state.withLock { seen in
      let packetClass = datagram.bytes.withRawSpan { PacketClass($0) }
      if !datagram.isSignalling, datagram.source.host == "10.0.0.2", case .stun = packetClass { seen.checksOfBob += 1 }
      guard !seen.isOver else { return true }
      if datagram.isSignalling {
        seen.signalling.append(datagram.bytes)
        return true
      }
      switch packetClass {
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
  /// What Alice's description says for ICE; nil where she has none.
  private let checked: HostileMedia.Credentials?
  private let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6666)
  private let aliceMedia: SocketAddress
  private let bobMedia: SocketAddress
  private var mutation: Mutation
  private var sip: HostileSIP
  private var media: HostileMedia
  private var waiting: [[UInt8]] = []
  private(set) var sent = HostileCall.Sent()

  var count: Int { self.sent.media + self.sent.signalling }

  init(agents: SimulatedAgents, genuine: GenuineTraffic, seed: UInt64, _ cell: HostileInputTests.Cell) throws {
    let seen = genuine.seen
    let invite = seen.signalling.first { $0.starts(with: Array("INVITE".utf8)) }
    let answer = seen.signalling.first { $0.starts(with: Array("SIP/2.0 200".utf8)) }
    guard let invite, let answer, let aliceMedia = seen.aliceMedia, let bobMedia = seen.bobMedia,
      let sip = HostileSIP(
        messages: seen.signalling, invite: invite, answer: answer, local: agents.alice.address, peer: agents.bob.address
      )
    else { throw ModuleError(.peer, "the call crossed unseen") }
    (self.agents, self.genuine, self.isPlain) = (agents, seen, cell.encryption == nil)
    self.checked = HostileMedia.Credentials(in: invite)
    guard (self.checked != nil) == cell.usesICE else { throw ModuleError(.peer, "the offer's ICE is not the cell's") }
    (self.aliceMedia, self.bobMedia, self.sip) = (aliceMedia, bobMedia, sip)
    self.mutation = Mutation(seed: seed &+ 77)
    self.media = HostileMedia()
  }

  /// Sends one datagram, or a request with its ACK.
  mutating func attack() {
    let kind = self.mutation.number(0...99)
    // SIP, RTP and RTCP as often as it takes for half of all to be past what keeps strangers out.
    let isInside =
      kind < 72 ? Double(self.sent.authenticated) <= 0.53 * Double(self.count) : self.mutation.chance(0.5)
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
    case 86..<96:
      if isInside, let checked {
        self.inject(self.media.stun(under: checked, &self.mutation), isInside: true)
        self.sent.signedChecks += 1
        self.sent.authenticated += 1
      } else {
        self.inject(self.media.stun(&self.mutation), isInside: isInside)
      }
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
      let transport = self.agents.bob.act { $0.calls.values.first?.media?.section.transport }
      guard transport?.send(bytes, isRTCP: isRTCP) == true else { return }
    }
    self.sent.media += 1
    self.sent.authenticated += 1
  }
}
