internal import NetBase

/// Our own transform: one key, and what is known of each SSRC under it.
///
/// A packet allocates nothing; an SSRC beside the first does, once it has proven authentic.
struct OpenSSLSession: ~Copyable {
  private var keys: OpenSSLKeys
  private let replayWindow: Int
  private var streams: [Stream] = []
  /// Where the last packet's SSRC was: most have the same.
  private var latest = 0

  private struct Stream {
    let ssrc: UInt32
    var rtp: ReplayWindow
    var rtcp = ControlWindow()
  }

  init(_ material: borrowing SRTPKeyMaterial, replayWindow: Int) throws(SRTPError) {
    self.keys = try OpenSSLKeys(material)
    self.replayWindow = replayWindow
    self.streams.reserveCapacity(1)
  }

  consuming func releaseKeys() -> OpenSSLKeys { self.keys }

  mutating func adopt() { self.keys.adopt() }

  // MARK: Packets

  mutating func unprotect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    if isRTCP { return self.unprotectControl(&packet, header) }
    let known = self.position(of: header.ssrc)
    let place =
      known.map { self.streams[$0].rtp.place(of: header.sequenceNumber) }
      ?? .new(index: UInt64(header.sequenceNumber))
    let index: UInt64
    switch place {
    case .new(let found), .jump(let found): index = found
    case .replayed: return .replayed
    case .exhausted: return .keyExpired
    }
    let result = self.keys.open(&packet, header, index: index, isRTCP: false)
    guard case .ok = result else { return result }
    self.note(place, at: known ?? self.append(header.ssrc))
    return .ok
  }

  private mutating func unprotectControl(_ packet: inout Packet, _ header: SecureHeader) -> SRTPResult {
    // The word with the index comes before the tag of AES-CM and after that of AEAD; its E bit was looked at.
    let place = packet.count - 4 - (self.keys.profile.isAEAD ? 0 : self.keys.tagLength(isRTCP: true))
    guard place >= header.length else { return .malformed }
    let index = packet.bytes.uint32(at: place) & 0x7FFF_FFFF
    let known = self.position(of: header.ssrc)
    if let known, !self.streams[known].rtcp.isNew(index) { return .replayed }
    let result = self.keys.open(&packet, header, index: UInt64(index), isRTCP: true)
    guard case .ok = result else { return result }
    self.streams[known ?? self.append(header.ssrc)].rtcp.note(index)
    return .ok
  }

  /// The index is noted before it is used, so that a failure can't lead to the same key stream a second time.
  mutating func protect(_ packet: inout Packet, header: SecureHeader, isRTCP: Bool) -> SRTPResult {
    let position = self.position(of: header.ssrc) ?? self.append(header.ssrc)
    let index: UInt64
    if isRTCP {
      guard let next = self.streams[position].rtcp.advance() else { return .keyExpired }
      index = UInt64(next)
    } else {
      let place = self.streams[position].rtp.place(of: header.sequenceNumber)
      switch place {
      case .new(let found), .jump(let found): index = found
      case .replayed: return .replayed
      case .exhausted: return .keyExpired
      }
      self.note(place, at: position)
    }
    return self.keys.seal(&packet, header, index: index, isRTCP: isRTCP)
  }

  private mutating func note(_ place: ReplayWindow.Place, at position: Int) {
    switch place {
    case .new(let index): self.streams[position].rtp.note(index)
    case .jump(let index): self.streams[position].rtp.restart(at: index)
    case .replayed, .exhausted: break
    }
  }

  // MARK: Keys and streams

  /// Changes the key of every SSRC; rollover counters and SRTCP indices go on. On an error nothing has changed.
  mutating func update(_ material: borrowing SRTPKeyMaterial) throws(SRTPError) {
    self.keys = try OpenSSLKeys(material)
    for position in self.streams.indices { self.streams[position].rtp.renew() }
  }

  mutating func set(rolloverCounter: UInt32, of ssrc: UInt32) -> Bool {
    guard let position = self.position(of: ssrc) else { return false }
    self.streams[position].rtp.pendingRolloverCounter = rolloverCounter
    return true
  }

  mutating func add(ssrc: UInt32) -> Bool {
    if self.position(of: ssrc) == nil { _ = self.append(ssrc) }
    return true
  }

  mutating func remove(ssrc: UInt32) {
    guard let position = self.position(of: ssrc) else { return }
    self.streams.swapAt(position, self.streams.count - 1)
    self.streams.removeLast()
  }

  private mutating func position(of ssrc: UInt32) -> Int? {
    if self.latest < self.streams.count, self.streams[self.latest].ssrc == ssrc { return self.latest }
    for position in self.streams.indices where self.streams[position].ssrc == ssrc {
      self.latest = position
      return position
    }
    return nil
  }

  private mutating func append(_ ssrc: UInt32) -> Int {
    self.streams.append(Stream(ssrc: ssrc, rtp: ReplayWindow(size: self.replayWindow)))
    self.latest = self.streams.count - 1
    return self.latest
  }
}
