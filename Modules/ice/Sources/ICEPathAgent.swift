internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import SIPStack

/// One path's checks: an `ICESession` whose bases are the path's sockets.
///
/// `confined`: made by its transport's executor and used nowhere else.
final class ICEPathAgent: ConnectivityAgent {
  private let session: ICESession

  init(_ sockets: MediaSockets, _ local: ICECredentials, role: ICERole, random: SeededGenerator, now: Instant) {
    self.session = ICESession(
      ICEConfiguration(crypto: .openSSL), bases: sockets.bases, role: role, local: local, random: random, now: now)
  }

  func receive(_ datagram: RawSpan, from source: SocketAddress, on component: Component, now: Instant) {
    self.session.receive(datagram, from: source, base: component.rawValue, now: now)
  }

  func setRemote(_ remote: ICERemote, now: Instant) { self.session.setRemote(remote, now: now) }

  func expect(_ local: ICECredentials) { self.session.expect(local) }

  func restart(_ local: ICECredentials, _ remote: ICERemote, now: Instant) {
    self.session.restart(local: local, now: now)
    self.session.setRemote(remote, now: now)
  }

  func timeout(now: Instant) { self.session.timeout(now: now) }

  var nextDeadline: Instant? { self.session.nextDeadline }

  func nextAction() -> ConnectivityAction? {
    while let action = self.session.takeAction() {
      switch action {
      case .send(let bytes, let base, let address):
        return .send(datagram: bytes, to: address, on: base == 0 ? .rtp : .rtcp)
      case .validated, .selected: return .destinationChanged
      case .connected:
        return .connected(
          ConnectivityReport(
            isControlling: self.session.role == .controlling, rtp: self.destination(.rtp),
            rtcp: self.destination(.rtcp)))
      case .failed(let reason): return .failed(reason)
      // The description has said them all.
      case .localCandidate, .gatheringEnded, .roleChanged: continue
      }
    }
    return nil
  }

  func isValidated(_ source: SocketAddress) -> Bool { self.session.isValidated(source) }

  func destination(_ component: Component) -> SocketAddress? {
    // Whose consent is gone is sent nothing (RFC 7675 §5.1).
    guard self.session.failure == nil else { return nil }
    return self.session.sendingPair(component.number)?.remote
  }

  func covers(_ component: Component) -> Bool { self.session.covers(component.number) }

  var counters: ConnectivityCounters {
    ConnectivityCounters(accepted: self.session.counters.accepted, refused: self.session.counters.dropped)
  }
}

extension MediaSockets {
  /// In the order of `Component`.
  var bases: [ICEBase] {
    [
      ICEBase(component: Component.rtp.number, address: self.rtp),
      ICEBase(component: Component.rtcp.number, address: self.rtcp),
    ]
  }
}

extension Component {
  /// RFC 8445 §13.
  fileprivate var number: Int { self.rawValue + 1 }
}
