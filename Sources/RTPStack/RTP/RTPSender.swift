package import NetBase

/// The sending half of one SSRC: numbers and stamps packets, and counts them for the sender reports (RFC 3550 §5.1, §6.4.1).
///
/// The transport that sends owns it; nothing here allocates.
package struct RTPSender: Sendable {
  package let ssrc: UInt32
  /// Packets and payload bytes sent, as RTCP counts them (no header, no padding).
  package private(set) var packets: UInt64 = 0
  package private(set) var octets: UInt64 = 0
  /// The sequence number of the next packet.
  package private(set) var sequenceNumber: UInt16
  /// The timestamp of the next media packet.
  package private(set) var timestamp: UInt32
  /// Whether the next media packet starts a talkspurt and so bears the marker (RFC 3551 §4.1).
  package private(set) var startsTalkspurt = true

  private var clock: MediaClock
  private var stamped: (timestamp: UInt32, at: Instant)?

  /// Draws SSRC, first timestamp and first sequence number from `random`. The sequence number begins below 2^15, so that
  /// a receiver which misses the first packets cannot miss a rollover too (RFC 3711 §3.3.1).
  package init(clockRate: Int, random: inout some RandomNumberGenerator) {
    self.init(ssrc: random.next(), clockRate: clockRate, random: &random)
  }

  /// The same for an SSRC that was signalled before.
  package init(ssrc: UInt32, clockRate: Int, random: inout some RandomNumberGenerator) {
    self.ssrc = ssrc
    self.sequenceNumber = UInt16.random(in: 1..<0x8000, using: &random)
    self.timestamp = random.next()
    self.clock = MediaClock(rate: clockRate, origin: Instant(nanoseconds: 0))
  }

  /// The header of the next media packet, of `samples` timestamp units and `payloadCount` bytes; the timestamp moves on.
  package mutating func next(samples: UInt32, payloadType: UInt8, payloadCount: Int, now: Instant) -> RTPHeader {
    let header = self.header(
      marker: self.startsTalkspurt, payloadType: payloadType, timestamp: self.timestamp, payloadCount: payloadCount)
    self.stamped = (self.timestamp, now)
    self.startsTalkspurt = false
    self.timestamp &+= samples
    return header
  }

  /// The header of a packet that bears another packet's timestamp: a telephone event (RFC 4733 §2.5.1). It takes a
  /// sequence number and leaves the media timestamp alone.
  package mutating func event(
    timestamp: UInt32, marker: Bool, payloadType: UInt8, payloadCount: Int
  ) -> RTPHeader {
    self.header(marker: marker, payloadType: payloadType, timestamp: timestamp, payloadCount: payloadCount)
  }

  /// The header of a packet of a video frame, which bears the frame's timestamp, on any packet of it.
  package mutating func frame(
    timestamp: UInt32, marker: Bool, payloadType: UInt8, payloadCount: Int, now: Instant
  ) -> RTPHeader {
    if self.timestamp != timestamp || self.stamped == nil {
      self.timestamp = timestamp
      self.stamped = (timestamp, now)
    }
    return self.header(marker: marker, payloadType: payloadType, timestamp: timestamp, payloadCount: payloadCount)
  }

  /// Lets `samples` pass without a packet (silence that is not sent, an event in its place); a talkspurt starts after it.
  package mutating func skip(samples: UInt32) {
    self.timestamp &+= samples
    self.startsTalkspurt = true
  }

  /// What the media timestamp would be at `now`, for a sender report; the next packet's own before any was sent.
  package func timestamp(at now: Instant) -> UInt32 {
    guard let stamped = self.stamped else { return self.timestamp }
    let clock = MediaClock(rate: Int(self.clock.rate), origin: stamped.at)
    return stamped.timestamp &+ UInt32(truncatingIfNeeded: clock.samples(at: now))
  }

  /// Changes the clock rate with the codec; timestamps go on from where they are.
  package mutating func change(clockRate: Int) {
    self.clock = MediaClock(rate: clockRate, origin: self.clock.origin)
  }

  private mutating func header(marker: Bool, payloadType: UInt8, timestamp: UInt32, payloadCount: Int) -> RTPHeader {
    let header = RTPHeader(
      marker: marker, payloadType: payloadType, sequenceNumber: self.sequenceNumber, timestamp: timestamp,
      ssrc: self.ssrc)
    self.sequenceNumber &+= 1
    self.packets += 1
    self.octets += UInt64(payloadCount)
    return header
  }
}
