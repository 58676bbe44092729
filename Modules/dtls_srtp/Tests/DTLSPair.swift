import ModuleKit
import NetBase
import SRTPEngine

@testable import dtls_srtp

/// What a key exchange did, in order.
enum Seen: Equatable {
  case send(SocketAddress, Component)
  case secured(Component)
  case failed(String)
  case closed(Component)
}

/// One end: its exchange, what it did, and the keys that it got.
final class Peer {
  let exchange: DTLSKeyExchange
  let certificate: Certificate
  /// Where this end's datagrams come from.
  var addresses: [Component: SocketAddress]
  var seen: [Seen] = []
  var keys: [Component: Keys] = [:]
  var by: [Component: SecuredBy] = [:]

  struct Keys {
    let inbound: [UInt8]
    let outbound: [UInt8]
    let profile: SRTPProfile
  }

  init(
    _ host: UInt32, profiles: [SRTPProfile] = SRTPProfile.preferredForDTLS, usesCookies: Bool = true,
    certificate: Certificate? = nil, mark: AssociationMark = .none
  ) throws {
    self.certificate = try certificate ?? Certificate(profiles: profiles)
    self.exchange = DTLSKeyExchange(certificate: self.certificate, usesCookies: usesCookies, mark: mark)
    self.addresses = [.rtp: SocketAddress(ipv4: host, port: 4000), .rtcp: SocketAddress(ipv4: host, port: 4001)]
  }

  var failures: [String] { self.seen.compactMap { if case .failed(let reason) = $0 { reason } else { nil } } }
  func count(_ wanted: Seen) -> Int { self.seen.count { $0 == wanted } }
}

/// Two exchanges on a virtual clock, with a link between them that a test can disturb.
final class DTLSPair {
  struct Flying {
    let bytes: [UInt8]
    let from: SocketAddress
    let to: SocketAddress
    let component: Component
    /// Counts the datagrams of the pair, from 0.
    let index: Int
    let fromFirst: Bool
    let arrival: Instant
  }

  let first: Peer
  let second: Peer
  var now = Instant(nanoseconds: 1_000_000_000)
  var flying: [Flying] = []
  var log: [Flying] = []
  /// What becomes of a datagram: the delays, in ms, of its copies; none when it is lost.
  var fate: (Flying) -> [Int64] = { _ in [5] }

  init(_ first: Peer, _ second: Peer) {
    self.first = first
    self.second = second
  }

  func remote(_ peer: Peer, isActive: Bool, hasRTCP: Bool, fingerprints: [Fingerprint]? = nil) -> KeyExchangeRemote {
    KeyExchangeRemote(
      isActive: isActive,
      fingerprints: (fingerprints ?? [peer.certificate.fingerprint]).map {
        .init(function: $0.function.rawValue, digest: $0.digest)
      },
      rtpAddress: peer.addresses[.rtp]!, rtcpAddress: hasRTCP ? peer.addresses[.rtcp]! : nil)
  }

  /// The first end is the client.
  func startBoth(hasRTCP: Bool = false) {
    self.start(self.second, remote: self.remote(self.first, isActive: false, hasRTCP: hasRTCP))
    self.start(self.first, remote: self.remote(self.second, isActive: true, hasRTCP: hasRTCP))
  }

  func start(_ peer: Peer, remote: KeyExchangeRemote) {
    peer.exchange.start(remote, now: self.now)
    self.take(peer)
  }

  func close(_ peer: Peer) {
    peer.exchange.close(now: self.now)
    self.take(peer)
  }

  func receive(_ bytes: [UInt8], at peer: Peer, from source: SocketAddress, on component: Component = .rtp) {
    bytes.withRawSpan { peer.exchange.receive($0, from: source, on: component, now: self.now) }
    self.take(peer)
  }

  func take(_ peer: Peer) {
    while let action = peer.exchange.nextAction() {
      switch consume action {
      case .send(let datagram, let to, let component):
        peer.seen.append(.send(to, component))
        let sent = Flying(
          bytes: datagram, from: peer.addresses[component]!, to: to, component: component, index: self.log.count,
          fromFirst: peer === self.first, arrival: self.now)
        self.log.append(sent)
        for delay in self.fate(sent) {
          self.flying.append(
            Flying(
              bytes: datagram, from: sent.from, to: to, component: component, index: sent.index,
              fromFirst: sent.fromFirst, arrival: self.now.advanced(byMilliseconds: delay)))
        }
      case .secured(let component, let inbound, let outbound, let by):
        peer.seen.append(.secured(component))
        peer.keys[component] = Peer.Keys(
          inbound: inbound.keyAndSalt.bytes.copied(), outbound: outbound.keyAndSalt.bytes.copied(),
          profile: inbound.profile)
        peer.by[component] = by
      case .failed(let reason): peer.seen.append(.failed(reason))
      case .closed(let component): peer.seen.append(.closed(component))
      }
    }
  }

  /// Runs until `limit` milliseconds have passed, or nothing is due any more.
  func run(milliseconds limit: Int64 = 60_000) {
    let end = self.now.advanced(byMilliseconds: limit)
    while true {
      let arrival = self.flying.map(\.arrival).min()
      let deadlines = [self.first, self.second].compactMap(\.exchange.nextDeadline)
      guard let next = ([arrival].compactMap { $0 } + deadlines).min(), next <= end else { break }
      self.now = max(self.now, next)
      if let index = self.flying.firstIndex(where: { $0.arrival <= self.now && $0.arrival == arrival }) {
        let datagram = self.flying.remove(at: index)
        let target = datagram.fromFirst ? self.second : self.first
        guard target.addresses[datagram.component] == datagram.to else { continue }
        self.receive(datagram.bytes, at: target, from: datagram.from, on: datagram.component)
      } else {
        for peer in [self.first, self.second] {
          peer.exchange.timeout(now: self.now)
          self.take(peer)
        }
      }
    }
    self.now = max(self.now, end)
  }
}
