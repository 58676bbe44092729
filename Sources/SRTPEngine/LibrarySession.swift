internal import CSRTP
internal import NetBase

/// One libsrtp2 session: the only place that calls the library with a session.
@safe struct LibrarySession: ~Copyable {
  typealias Direction = SRTPSession.Direction

  private let handle: srtp_t
  private let direction: Direction
  private let replayWindow: Int
  private var stamp = OwnerStamp("an SRTP context")

  init(_ material: borrowing SRTPKeyMaterial, direction: Direction, replayWindow: Int) throws(SRTPError) {
    try SRTPLibrary.start()
    var created: srtp_t?
    let status = unsafe material.withPolicy(for: Self.anySSRC(direction), replayWindow: replayWindow) { policy in
      unsafe srtp_create(&created, policy)
    }
    guard status == srtp_err_status_ok, let handle = unsafe created else {
      throw .contextRefused(material.profile, status: status.rawValue)
    }
    unsafe self.handle = handle
    self.direction = direction
    self.replayWindow = replayWindow
  }

  deinit { _ = unsafe srtp_dealloc(self.handle) }

  /// Gives the handle up to a bag that frees it later.
  consuming func release() -> srtp_t {
    let handle = unsafe self.handle
    discard self
    return unsafe handle
  }

  mutating func adopt() { self.stamp.adopt() }

  /// Authenticates and decrypts in place; a packet that fails is left undefined.
  mutating func unprotect(_ packet: inout Packet, isRTCP: Bool) -> SRTPResult {
    self.stamp.touch()
    var length = Int32(packet.count)
    let status = unsafe packet.storage.withUnsafeMutableBytes { bytes in
      unsafe isRTCP
        ? srtp_unprotect_rtcp(self.handle, bytes.baseAddress, &length)
        : srtp_unprotect(self.handle, bytes.baseAddress, &length)
    }
    if status == srtp_err_status_ok { packet.count = Int(length) }
    return SRTPResult(unprotected: status)
  }

  /// Encrypts in place; the caller has checked that there is room for the trailer.
  mutating func protect(_ packet: inout Packet, isRTCP: Bool) -> SRTPResult {
    self.stamp.touch()
    var length = Int32(packet.count)
    let status = unsafe packet.storage.withUnsafeMutableBytes { bytes in
      unsafe isRTCP
        ? srtp_protect_rtcp(self.handle, bytes.baseAddress, &length)
        : srtp_protect(self.handle, bytes.baseAddress, &length)
    }
    if status == srtp_err_status_ok { packet.count = Int(length) }
    return SRTPResult(protected: status)
  }

  /// Changes the key of every SSRC; rollover counters and SRTCP indices go on.
  ///
  /// On an error the session is of no use any more.
  mutating func update(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    self.stamp.touch()
    let status = unsafe material.withPolicy(for: Self.anySSRC(self.direction), replayWindow: self.replayWindow) {
      unsafe srtp_update(self.handle, $0)
    }
    guard status == srtp_err_status_ok else { throw .contextRefused(material.profile, status: status.rawValue) }
  }

  /// Makes the next packet of `ssrc` be read at `rolloverCounter`; false when the SSRC is unknown to the session.
  ///
  /// libsrtp2 has no estimate of its own before the first success, so the caller sets it anew for each packet. 0 takes
  /// an earlier setting back.
  mutating func set(rolloverCounter: UInt32, of ssrc: UInt32) -> Bool {
    self.stamp.touch()
    return unsafe srtp_set_stream_roc(self.handle, ssrc, rolloverCounter) == srtp_err_status_ok
  }

  /// Makes `ssrc` known before its first packet, for a rollover counter to be set.
  mutating func add(ssrc: UInt32, _ material: borrowing SRTPKeyMaterial) -> Bool {
    self.stamp.touch()
    let stream = srtp_ssrc_t(type: ssrc_specific, value: ssrc)
    return unsafe material.withPolicy(for: stream, replayWindow: self.replayWindow) {
      unsafe srtp_add_stream(self.handle, $0)
    } == srtp_err_status_ok
  }

  /// Forgets `ssrc`.
  mutating func remove(ssrc: UInt32) {
    self.stamp.touch()
    // libsrtp 2.5 takes network order here, unlike everywhere else.
    _ = unsafe srtp_remove_stream(self.handle, ssrc.bigEndian)
  }

  private static func anySSRC(_ direction: Direction) -> srtp_ssrc_t {
    switch direction {
    case .inbound: srtp_ssrc_t(type: ssrc_any_inbound, value: 0)
    case .outbound: srtp_ssrc_t(type: ssrc_any_outbound, value: 0)
    }
  }
}

extension SRTPResult {
  fileprivate init(unprotected status: srtp_err_status_t) {
    switch status {
    case srtp_err_status_ok: self = .ok
    // AEAD reports a packet that was tampered with as a failure of the cipher.
    case srtp_err_status_auth_fail, srtp_err_status_cipher_fail: self = .authenticationFailed
    case srtp_err_status_replay_fail, srtp_err_status_replay_old, srtp_err_status_pkt_idx_old: self = .replayed
    case srtp_err_status_bad_param, srtp_err_status_parse_err: self = .malformed
    case srtp_err_status_cant_check: self = .notEncrypted
    case srtp_err_status_key_expired: self = .keyExpired
    default: self = .failed
    }
  }

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
