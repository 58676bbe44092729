internal import NetBase

/// The streams under one key, in one direction, in whichever transform was chosen.
///
/// One of the two is there. Which one is seen by a test of a word for each packet, with no call through a pointer.
struct SRTPSession: ~Copyable {
  enum Direction { case inbound, outbound }

  private var own: OpenSSLSession?
  private var library: LibrarySession?

  init(
    _ material: borrowing SRTPKeyMaterial, direction: Direction, replayWindow: Int, transform: SRTPTransform
  ) throws(SRTPError) {
    guard (64...1024).contains(replayWindow) else { throw .badReplayWindow(replayWindow) }
    switch transform {
    case .openssl:
      self.own = try OpenSSLSession(material, replayWindow: replayWindow)
      self.library = nil
    case .libsrtp2:
      self.own = nil
      self.library = try LibrarySession(material, direction: direction, replayWindow: replayWindow)
    }
  }

  /// Lets the next call come from another thread; debug builds trap otherwise.
  mutating func adopt() {
    self.own?.adopt()
    self.library?.adopt()
  }

  /// Gives up what is to be freed later.
  consuming func release(into bag: inout RetiredSRTP) {
    if let own = self.own.take() { bag.add(own) }
    if let library = self.library.take() { bag.add(library) }
  }

  /// Authenticates and decrypts in place; a packet that fails is left undefined. The caller has checked the length and,
  /// for SRTCP, the E bit, and has taken the key identifier out of the trailer.
  mutating func unprotect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if let result = self.own?.unprotect(&packet, header: header, isRTCP: isRTCP) { return result }
    return self.library?.unprotect(&packet, isRTCP: isRTCP) ?? .failed
  }

  /// Encrypts in place; the caller has checked that there is room for the trailer.
  mutating func protect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if let result = self.own?.protect(&packet, header: header, isRTCP: isRTCP) { return result }
    return self.library?.protect(&packet, isRTCP: isRTCP) ?? .failed
  }

  /// Changes the key of every SSRC; rollover counters and SRTCP indices go on.
  ///
  /// On an error the session is of no use any more.
  mutating func update(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    try self.own?.update(material)
    try self.library?.update(material)
  }

  /// Makes the next packet of `ssrc` be read at `rolloverCounter`; false when the SSRC is unknown to the session.
  ///
  /// There is no estimate before the first success, so the caller sets it anew for each packet. 0 takes an earlier
  /// setting back.
  mutating func set(rolloverCounter: UInt32, of ssrc: UInt32) -> Bool {
    if let isKnown = self.own?.set(rolloverCounter: rolloverCounter, of: ssrc) { return isKnown }
    return self.library?.set(rolloverCounter: rolloverCounter, of: ssrc) ?? false
  }

  /// Makes `ssrc` known before its first packet, for a rollover counter to be set.
  mutating func add(ssrc: UInt32, _ material: borrowing SRTPKeyMaterial) -> Bool {
    if let isAdded = self.own?.add(ssrc: ssrc) { return isAdded }
    return self.library?.add(ssrc: ssrc, material) ?? false
  }

  /// Forgets `ssrc`.
  mutating func remove(ssrc: UInt32) {
    self.own?.remove(ssrc: ssrc)
    self.library?.remove(ssrc: ssrc)
  }
}
