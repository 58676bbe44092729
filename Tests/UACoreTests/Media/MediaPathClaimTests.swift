import ICEAgent
import ModuleKit
import NetBase
import Runtime
import Testing

@testable import UACore

/// What a path tells the sockets that it shares with other transports (`rtp_single_port`).
@Suite("what a path claims of shared sockets") struct MediaPathClaimTests {
  /// A socket; where it is shared, another has its peers' handshakes.
  private final class Port: DatagramPort {
    let localAddress = SocketAddress(ipv4: 0x0A00_0001, port: 4000)
    let isShared: Bool
    private(set) var claims: [DatagramClaim] = []

    init(isShared: Bool) { self.isShared = isShared }

    func attach(to context: LoopContext, _ handler: @escaping () -> Void) {}
    func detach(from context: LoopContext) {}
    func fill(_ batch: inout PacketBatch) {}
    func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult { .sent }

    @discardableResult
    func claim(_ claim: DatagramClaim) -> Bool {
      self.claims.append(claim)
      if case .handshake = claim { return false }
      return true
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

  @Test("over a further socket nothing is another's, and nothing is claimed on the shared one", arguments: [0, 1])
  func further(pair: Int) {
    let peer = MediaSockets(
      rtp: SocketAddress(ipv4: 0x0A00_0002, port: 5000), rtcp: SocketAddress(ipv4: 0x0A00_0002, port: 5001))
    let shared = Port(isShared: true)
    let path = MediaPath(
      PortPair(rtp: shared, rtcp: Port(isShared: true)),
      further: [PortPair(rtp: Port(isShared: false), rtcp: Port(isShared: false))])
    path.begin(Checks(peer, over: pair))
    let remote = KeyExchangeRemote(isActive: true, fingerprints: [], rtpAddress: peer.rtp, rtcpAddress: peer.rtcp)
    #expect(path.claimHandshake(with: remote) == (pair == 1))
    let here: Set<DatagramClaim> = [.source(peer.rtp), .source(peer.rtcp), .handshake(peer.rtp)]
    #expect(here.intersection(shared.claims) == (pair == 0 ? here : []))
  }
}
