import ICEAgent
import ModuleKit
import NetBase
import Runtime
import Testing

@testable import UACore

/// A socket, or a part of a shared one, that keeps what it is told.
private final class ToldPort: DatagramPort {
  let localAddress = SocketAddress(ipv4: 0x0A00_0001, port: 20_000)
  let isShared: Bool
  /// Whether another transport has its peers' handshakes.
  var refusesHandshakes = false
  private var claims: [DatagramClaim] = []

  init(isShared: Bool = true) { self.isShared = isShared }

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {}
  func detach(from context: LoopContext) {}
  func fill(_ batch: PacketBatch) { batch.clear() }
  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult { .sent }

  @discardableResult
  func claim(_ claim: DatagramClaim) -> Bool {
    self.claims.append(claim)
    if case .handshake = claim { return !self.refusesHandshakes }
    return true
  }

  /// What it was told since it was asked last.
  func take() -> [DatagramClaim] {
    defer { self.claims = [] }
    return self.claims
  }
}

/// Checks that have found their way over one pair of sockets.
private final class Checks: ConnectivityAgent {
  private let peer: MediaSockets
  private let pair: Int

  init(_ peer: MediaSockets, over pair: Int) { (self.peer, self.pair) = (peer, pair) }

  func route(_ component: Component) -> MediaRoute? { MediaRoute(peer: self.peer[component], pair: self.pair) }
  func isValidated(_ source: SocketAddress) -> Bool { true }
  func covers(_ component: Component) -> Bool { true }
  let fragments: [String] = []
  let nextDeadline: Instant? = nil
  let isReleasing = false
  let counters = ConnectivityCounters()

  func receive(
    _ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket, in relayed: RelayedDatagram?,
    now: Instant
  ) {}
  func receive(_ message: RawSpan, over link: RelayLink, now: Instant) {}
  func unwrap(_ datagram: RawSpan, from source: SocketAddress, on socket: MediaSocket) -> RelayReading {
    .notRelayed
  }
  func unwrap(_ message: RawSpan, over link: RelayLink) -> RelayReading { .notRelayed }
  func connected(_ link: RelayLink, now: Instant) {}
  func disconnected(_ link: RelayLink, _ reason: String, now: Instant) {}
  func setRemote(_ remote: ICERemote, now: Instant) {}
  func expect(_ local: ICECredentials) {}
  func restart(_ local: ICECredentials, _ remote: ICERemote, now: Instant) {}
  func timeout(now: Instant) {}
  func nextAction() -> ConnectivityAction? { nil }
  func close(now: Instant) {}
}

/// What a path tells sockets that other transports have too.
@Suite struct MediaPathTests {
  private let port = ToldPort()
  private let rtp = SocketAddress(ipv4: 0xC000_0201, port: 4000)
  private let rtcp = SocketAddress(ipv4: 0xC000_0201, port: 4001)
  private let far = SocketAddress(ipv4: 0xC633_6401, port: 5000)
  private let now = Instant(nanoseconds: 0)

  private func agreement(_ rtp: SocketAddress?, _ rtcp: SocketAddress?, isMuxed: Bool = false) -> MediaAgreement {
    MediaAgreement(remoteRTP: rtp, remoteRTCP: rtcp, usesRTCPMux: isMuxed)
  }

  private func makePath() -> MediaPath { MediaPath(PortPair(rtp: self.port, rtcp: ToldPort()), further: []) }

  @Test("where the peer is, is claimed once; what neither of its addresses is any more is given back")
  func moves() {
    let path = self.makePath()
    path.claimSources()
    #expect(self.port.take().isEmpty)
    path.signal(self.agreement(self.rtp, self.rtcp))
    #expect(self.port.take() == [.source(self.rtp), .source(self.rtcp)])
    path.signal(self.agreement(self.rtp, self.rtcp))
    path.learn(self.rtp, .rtp, now: self.now)
    path.claimSources()
    #expect(self.port.take().isEmpty)
    path.learn(self.far, .rtp, now: self.now)
    path.claimSources()
    #expect(self.port.take() == [.source(self.far), .source(self.rtcp), .formerSource(self.rtp)])
    path.learn(self.far, .rtcp, now: self.now)
    path.claimSources()
    #expect(self.port.take() == [.source(self.far), .source(self.far), .formerSource(self.rtcp)])
  }

  @Test("an address that one of the two still has is not given back")
  func shares() {
    let path = self.makePath()
    path.signal(self.agreement(self.rtp, self.rtcp, isMuxed: true))
    #expect(self.port.take() == [.source(self.rtp), .source(self.rtp)])
    path.learn(self.far, .rtp, now: self.now)
    path.claimSources()
    #expect(self.port.take() == [.source(self.far), .source(self.rtp)])
  }

  @Test("a peer on hold is where it was until it is somewhere else")
  func held() {
    let path = self.makePath()
    path.signal(self.agreement(self.rtp, self.rtcp))
    _ = self.port.take()
    let none = SocketAddress(ipv4: 0, port: 9)
    for held in [self.agreement(none, none), self.agreement(nil, nil)] {
      path.signal(held)
      #expect(self.port.take().isEmpty)
    }
    path.signal(self.agreement(self.far, self.far))
    #expect(
      self.port.take()
        == [.source(self.far), .source(self.far), .formerSource(self.rtp), .formerSource(self.rtcp)])
  }

  @Test("over a further socket nothing is another's, and nothing is claimed on the shared one", arguments: [0, 1])
  func further(pair: Int) {
    let peer = MediaSockets(rtp: self.rtp, rtcp: self.rtcp)
    let others = PortPair(rtp: ToldPort(isShared: false), rtcp: ToldPort(isShared: false))
    let path = MediaPath(PortPair(rtp: self.port, rtcp: ToldPort()), further: [others])
    self.port.refusesHandshakes = true
    path.begin(Checks(peer, over: pair))
    let remote = KeyExchangeRemote(isActive: true, fingerprints: [], rtpAddress: peer.rtp, rtcpAddress: peer.rtcp)
    #expect(path.claimHandshake(with: remote) == (pair == 1))
    let here: Set<DatagramClaim> = [.source(peer.rtp), .source(peer.rtcp), .handshake(peer.rtp)]
    #expect(here.intersection(self.port.take()) == (pair == 0 ? here : []))
  }
}
