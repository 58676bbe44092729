import NetBase
import SRTPEngine

/// Both SRTP transforms at once: of every packet our own says what libsrtp2 says, and makes the same bytes of it.
enum Transforms {
  /// The first bytes choose profile, key identifier and window; then come commands, each with a piece: a packet to be
  /// protected and delivered, one that is delivered as it is, an earlier one with changes, or a new key.
  static func compare(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let choice = reader.byte()
    let profile = SRTPProfile.allCases[Int(choice & 0x3F) % SRTPProfile.allCases.count]
    let window = 64 + Int(reader.byte()) * 4 % 961
    var pair = TransformPair(profile, hasIdentifier: choice & 0x80 != 0, window: window)
    var sent: [(bytes: [UInt8], isRTCP: Bool)] = []
    var now = Instant(nanoseconds: 0)
    guard pair.install(0, .fresh, now: now) else { return }
    while !reader.isAtEnd {
      let command = reader.byte()
      var piece = reader.piece()
      guard piece.count <= 1400 else { continue }
      let isRTCP = command & 4 != 0
      now = now.advanced(byMilliseconds: Int64(command >> 3) * 20)
      switch command & 3 {
      case 0:
        guard let packet = pair.protect(piece, isRTCP: isRTCP) else { return }
        guard !packet.isEmpty else { continue }
        sent.append((packet, isRTCP))
        if command & 0x80 == 0, !pair.unprotect(packet, isRTCP: isRTCP, now: now) { return }
      case 1: if !pair.unprotect(piece, isRTCP: isRTCP, now: now) { return }
      case 2:
        guard !sent.isEmpty else { continue }
        let place = Int(piece.first ?? 0) % sent.count
        var packet = sent[place].bytes
        for change in stride(from: 1, to: max(1, piece.count - 2), by: 3) {
          packet[(Int(piece[change]) << 8 | Int(piece[change + 1])) % packet.count] ^= piece[change + 2]
        }
        if !pair.unprotect(packet, isRTCP: sent[place].isRTCP, now: now) { return }
      default:
        piece.append(0)
        guard pair.install(piece[0] & 7, isRTCP ? .fresh : .carryRollover, now: now) else { return }
      }
    }
    pair.compareCounters()
  }
}

/// The keys of both ends of one direction, twice.
private struct TransformPair: ~Copyable {
  private let profile: SRTPProfile
  private let hasIdentifier: Bool
  private var ourOutbound = OutboundKeys(transform: .openssl)
  private var theirOutbound = OutboundKeys(transform: .libsrtp2)
  private var ourInbound: InboundKeys
  private var theirInbound: InboundKeys

  init(_ profile: SRTPProfile, hasIdentifier: Bool, window: Int) {
    self.profile = profile
    self.hasIdentifier = hasIdentifier
    self.ourInbound = InboundKeys(replayWindow: window, transform: .openssl)
    self.theirInbound = InboundKeys(replayWindow: window, transform: .libsrtp2)
  }

  mutating func install(_ number: UInt8, _ continuity: SRTPContinuity, now: Instant) -> Bool {
    do {
      try self.ourInbound.install(self.key(number), continuity: continuity, now: now)
      try self.theirInbound.install(self.key(number), continuity: continuity, now: now)
      try self.ourOutbound.install(self.key(number), continuity: continuity, switchNow: true)
      try self.theirOutbound.install(self.key(number), continuity: continuity, switchNow: true)
    } catch {
      return false
    }
    // Freed where they are let go of.
    _ = self.ourInbound.takeRetired()
    _ = self.theirInbound.takeRetired()
    _ = self.ourOutbound.takeRetired()
    _ = self.theirOutbound.takeRetired()
    return true
  }

  /// The protected packet; empty when both refuse. Nil where libsrtp2 itself fails: its AEAD takes no header of more than
  /// some hundred bytes.
  mutating func protect(_ clear: [UInt8], isRTCP: Bool) -> [UInt8]? {
    var (ours, theirs) = (clear + [UInt8](repeating: 0, count: 200), clear + [UInt8](repeating: 0, count: 200))
    var (ourCount, theirCount) = (0, 0)
    let ourResult = ours.withPacket { packet in
      packet.count = clear.count
      defer { ourCount = packet.count }
      return isRTCP ? self.ourOutbound.protect(rtcp: &packet) : self.ourOutbound.protect(rtp: &packet)
    }
    let theirResult = theirs.withPacket { packet in
      packet.count = clear.count
      defer { theirCount = packet.count }
      return isRTCP ? self.theirOutbound.protect(rtcp: &packet) : self.theirOutbound.protect(rtp: &packet)
    }
    if case .failed = theirResult { return nil }
    require(ourResult == theirResult, "protected: ours \(ourResult), theirs \(theirResult)")
    guard case .ok = ourResult else { return [] }
    require(ours[..<ourCount] == theirs[..<theirCount], "protected otherwise")
    return Array(ours[..<ourCount])
  }

  /// False where libsrtp2 itself fails.
  mutating func unprotect(_ datagram: [UInt8], isRTCP: Bool, now: Instant) -> Bool {
    var (ours, theirs) = (datagram, datagram)
    var (ourCount, theirCount) = (0, 0)
    let ourResult = ours.withPacket { packet in
      defer { ourCount = packet.count }
      return self.ourInbound.unprotect(&packet, isRTCP: isRTCP, now: now)
    }
    let theirResult = theirs.withPacket { packet in
      defer { theirCount = packet.count }
      return self.theirInbound.unprotect(&packet, isRTCP: isRTCP, now: now)
    }
    if case .failed = theirResult { return false }
    require(ourResult == theirResult, "unprotected: ours \(ourResult), theirs \(theirResult)")
    guard case .ok = ourResult else { return true }
    require(ours[..<ourCount] == theirs[..<theirCount], "unprotected otherwise")
    return true
  }

  func compareCounters() {
    require(self.ourInbound.counters == self.theirInbound.counters, "inbound counters differ")
    require(self.ourOutbound.counters == self.theirOutbound.counters, "outbound counters differ")
  }

  private func key(_ number: UInt8) throws(SRTPError) -> SRTPKeyMaterial {
    var secret = SecretBytes(count: self.profile.keyAndSaltLength)
    unsafe secret.withUnsafeMutableBytes { room in
      for index in room.indices { unsafe room[index] = UInt8(truncatingIfNeeded: index &* 7) &+ number }
    }
    return try SRTPKeyMaterial(
      profile: self.profile, keyAndSalt: secret,
      masterKeyIdentifier: self.hasIdentifier ? try MasterKeyIdentifier(bytes: [1, 2, 3, number]) : nil)
  }
}
