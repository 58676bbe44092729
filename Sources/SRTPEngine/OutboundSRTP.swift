internal import CSRTP
package import NetBase

/// One send context: one key, every SSRC of ours. Neither copyable nor `Sendable`: one owner on one executor.
package struct OutboundSRTP: ~Copyable {
  private var session: SRTPSession
  private var layout: TrailerLayout
  private var lifetime: UInt64
  /// Packets protected under the present key.
  package private(set) var rtpCount: UInt64 = 0
  package private(set) var rtcpCount: UInt64 = 0

  package init(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    self.session = try SRTPSession(material, direction: .outbound, replayWindow: 128)
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
    guard SecureHeader(packet.bytes, isRTCP: isRTCP) != nil else { return .malformed }
    guard packet.capacity - packet.count >= trailer else { return .noRoom }
    let result = SRTPResult(protected: self.session.protect(&packet, isRTCP: isRTCP))
    if case .ok = result { self.layout.insertIdentifier(into: &packet, isRTCP: isRTCP) }
    return result
  }
}

extension SRTPResult {
  fileprivate init(protected status: srtp_err_status_t) {
    switch status {
    case srtp_err_status_ok: self = .ok
    // The index was used before: sending it again under the same key would give the plain text away.
    case srtp_err_status_replay_fail, srtp_err_status_replay_old, srtp_err_status_pkt_idx_old: self = .replayed
    case srtp_err_status_bad_param, srtp_err_status_parse_err: self = .malformed
    case srtp_err_status_key_expired: self = .keyExpired
    default: self = .failed
    }
  }
}
