import ModuleKit
import NetBase
import Runtime
import Testing

@testable import UACore

/// A part of a shared socket that keeps what it is told.
private final class ToldPort: DatagramPort {
  let localAddress = SocketAddress(ipv4: 0x0A00_0001, port: 20_000)
  let isShared = true
  private var claims: [DatagramClaim] = []

  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {}
  func detach(from context: LoopContext) {}
  func fill(_ batch: inout PacketBatch) { batch.clear() }
  func send(_ bytes: RawSpan, to address: SocketAddress) -> SendResult { .sent }

  @discardableResult
  func claim(_ claim: DatagramClaim) -> Bool {
    self.claims.append(claim)
    return true
  }

  /// What it was told since it was asked last.
  func take() -> [DatagramClaim] {
    defer { self.claims = [] }
    return self.claims
  }
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
}
