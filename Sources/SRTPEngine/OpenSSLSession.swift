internal import NetBase

/// Our own transform: one key, and what is known of each SSRC under it.
///
/// A packet allocates nothing; an SSRC beside the first does, once it has proven authentic.
struct OpenSSLSession: ~Copyable {
  private var keys: OpenSSLKeys
  /// That of the last packet, when there was one; most have the same SSRC.
  private var current: Stream
  private var hasCurrent = false
  private let replayWindow: Int
  /// In no order.
  private var others: [Stream] = []

  private struct Stream {
    let ssrc: UInt32
    var rtp: ReplayWindow
    var rtcp = ControlWindow()
  }

  init(_ material: borrowing SRTPKeyMaterial, replayWindow: Int) throws(SRTPError) {
    self.keys = try OpenSSLKeys(material)
    self.replayWindow = replayWindow
    self.current = Stream(ssrc: 0, rtp: ReplayWindow(size: replayWindow))
  }

  consuming func releaseKeys() -> OpenSSLKeys { self.keys }

  mutating func adopt() { self.keys.adopt() }

  // MARK: Packets

  mutating func unprotect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if isRTCP { return self.unprotectControl(&packet, header) }
    let isKnown = self.select(header.ssrc)
    let place =
      isKnown
      ? self.current.rtp.place(of: header.sequenceNumber) : .new(index: UInt64(header.sequenceNumber))
    let index: UInt64
    switch place {
    case .new(let found), .jump(let found): index = found
    case .replayed: return .replayed
    case .exhausted: return .keyExpired
    }
    let result = self.keys.open(&packet, header, index: index, isRTCP: false)
    guard case .ok = result else { return result }
    if !isKnown { self.begin(header.ssrc) }
    self.note(place)
    return .ok
  }

  private mutating func unprotectControl(_ packet: inout Packet, _ header: SecureHeader) -> SRTPResult {
    // The word with the index comes before the tag of AES-CM and after that of AEAD; its E bit was looked at.
    let place = packet.count - 4 - (self.keys.profile.isAEAD ? 0 : self.keys.tagLength(isRTCP: true))
    guard place >= header.length else { return .malformed }
    let index = packet.bytes.uint32(at: place) & 0x7FFF_FFFF
    let isKnown = self.select(header.ssrc)
    if isKnown, !self.current.rtcp.isNew(index) { return .replayed }
    let result = self.keys.open(&packet, header, index: UInt64(index), isRTCP: true)
    guard case .ok = result else { return result }
    if !isKnown { self.begin(header.ssrc) }
    self.current.rtcp.note(index)
    return .ok
  }

  /// The index is noted before it is used, so that a failure can't lead to the same key stream a second time.
  mutating func protect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if !self.select(header.ssrc) { self.begin(header.ssrc) }
    let index: UInt64
    if isRTCP {
      guard let next = self.current.rtcp.advance() else { return .keyExpired }
      index = UInt64(next)
    } else {
      let place = self.current.rtp.place(of: header.sequenceNumber)
      switch place {
      case .new(let found), .jump(let found): index = found
      case .replayed: return .replayed
      case .exhausted: return .keyExpired
      }
      self.note(place)
    }
    return self.keys.seal(&packet, header, index: index, isRTCP: isRTCP)
  }

  private mutating func note(_ place: ReplayWindow.Place) {
    switch place {
    case .new(let index): self.current.rtp.note(index)
    case .jump(let index): self.current.rtp.restart(at: index)
    case .replayed, .exhausted: break
    }
  }

  // MARK: Keys and streams

  /// Changes the key of every SSRC; rollover counters and SRTCP indices go on. On an error nothing has changed.
  mutating func update(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    self.keys = try OpenSSLKeys(material)
    self.current.rtp.renew()
    for position in self.others.indices { self.others[position].rtp.renew() }
  }

  mutating func set(rolloverCounter: UInt32, of ssrc: UInt32) -> Bool {
    guard self.select(ssrc) else { return false }
    self.current.rtp.pendingRolloverCounter = rolloverCounter
    return true
  }

  mutating func add(ssrc: UInt32) -> Bool {
    if !self.select(ssrc) { self.begin(ssrc) }
    return true
  }

  mutating func remove(ssrc: UInt32) {
    guard self.select(ssrc) else { return }
    guard let other = self.others.popLast() else {
      self.hasCurrent = false
      return
    }
    self.current = other
  }

  /// Makes that of `ssrc` the current one; false, and nothing has changed, where there is none.
  private mutating func select(_ ssrc: UInt32) -> Bool {
    if self.hasCurrent, self.current.ssrc == ssrc { return true }
    guard let position = self.others.firstIndex(where: { $0.ssrc == ssrc }) else { return false }
    swap(&self.current, &self.others[position])
    return true
  }

  /// Makes a new one for `ssrc` the current one.
  private mutating func begin(_ ssrc: UInt32) {
    if self.hasCurrent { self.others.append(self.current) }
    self.current = Stream(ssrc: ssrc, rtp: ReplayWindow(size: self.replayWindow))
    self.hasCurrent = true
  }
}
