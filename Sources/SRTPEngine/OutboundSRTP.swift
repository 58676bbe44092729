package import NetBase

/// One send context: one key, every SSRC of ours. Neither copyable nor `Sendable`: one owner on one executor.
package struct OutboundSRTP: ~Copyable {
  private var layout: TrailerLayout
  private var lifetime: UInt64
  /// Packets protected under the present key.
  package private(set) var rtpCount: UInt64 = 0
  package private(set) var rtcpCount: UInt64 = 0
  private var session: SRTPSession

  package init(
    _ material: borrowing SRTPKeyMaterial, transform: SRTPTransform = .standard
  ) throws(SRTPError) {
    self.session = try SRTPSession(material, direction: .outbound, replayWindow: 128, transform: transform)
    self.layout = TrailerLayout(material)
    self.lifetime = material.lifetime ?? .max
  }

  /// Encrypts and authenticates in place. Unless the result is `.ok`, the packet must not be sent.
  package mutating func protect(rtp packet: inout Packet) -> SRTPResult {
    guard self.rtpCount < self.lifetime else { return .keyExpired }
    let result = self.protect(&packet, trailer: self.layout.rtpLength, isRTCP: false)
    if case .ok = result { self.rtpCount += 1 }
    return result
  }

  /// Encrypts and authenticates in place. Unless the result is `.ok`, the packet must not be sent.
  package mutating func protect(rtcp packet: inout Packet) -> SRTPResult {
    guard self.rtcpCount < self.lifetime else { return .keyExpired }
    let result = self.protect(&packet, trailer: self.layout.rtcpLength, isRTCP: true)
    if case .ok = result { self.rtcpCount += 1 }
    return result
  }

  /// Changes the key; rollover counters and SRTCP indices go on (RFC 3711 §3.3.1). After an error it sends nothing.
  package mutating func update(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    self.lifetime = 0
    try self.session.update(material)
    self.layout = TrailerLayout(material)
    self.lifetime = material.lifetime ?? .max
    (self.rtpCount, self.rtcpCount) = (0, 0)
  }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  package mutating func adopt() { self.session.adopt() }

  /// Takes the context out of use, to be freed where its cost does no harm.
  package consuming func retire() -> RetiredSRTP {
    var retired = RetiredSRTP()
    retired.add(self.session)
    return retired
  }

  consuming func releaseSession() -> SRTPSession { self.session }

  private mutating func protect(_ packet: inout Packet, trailer: Int, isRTCP: Bool) -> SRTPResult {
    guard let header = SecureHeader(packet.bytes, isRTCP: isRTCP) else { return .malformed }
    guard packet.capacity - packet.count >= trailer else { return .noRoom }
    let result = self.session.protect(&packet, header: header, isRTCP: isRTCP)
    if case .ok = result { self.layout.insertIdentifier(into: &packet, isRTCP: isRTCP) }
    return result
  }
}
