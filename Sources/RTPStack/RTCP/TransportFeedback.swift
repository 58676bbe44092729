package import NetBase

/// When a peer's packets came, told to its congestion control (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3): packets
/// carry a number of their own in a header extension, and every 200 ms those that came since are reported.
///
/// Each packet costs the same bounded work, whatever its number is. The transport that receives owns it.
package struct TransportFeedback: Sendable {
  /// What names the numbers in `a=extmap`.
  package static let uri = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
  /// What names the reports in `a=rtcp-fb`.
  package static let feedback = "transport-cc"
  /// Bytes that the longest report needs.
  package static let roomNeeded = 20 + 2 * (window + 6) / 7 + 2 * window + 3

  /// Numbers that one report can be about.
  private static let window = 64
  private static let interval = Duration.milliseconds(200)
  /// Nanoseconds in a unit of the reference time, and in one of the times between packets.
  private static let (referenceUnit, deltaUnit): (Int64, Int64) = (64_000_000, 250_000)

  /// When the next report is due; nil while there is nothing to tell.
  package private(set) var nextDeadline: Instant?
  /// Reports composed.
  package private(set) var reports: UInt64 = 0

  private let origin: Instant
  /// The first number that was not reported, and how many from it on the next report is about.
  private var base: UInt16 = 0
  private var count = 0
  /// Nanoseconds since the origin, by the low bits of the number; nil for what did not come.
  private var arrivals = InlineArray<64, Int64?>(repeating: nil)
  private var hasHeard = false

  /// Times are told as since `origin`.
  package init(origin: Instant) { self.origin = origin }

  /// Takes the number of a packet that was authenticated. What comes after its number was reported as missing, or twice, is not told.
  package mutating func note(_ number: UInt16, now: Instant) {
    if !self.hasHeard { (self.hasHeard, self.base) = (true, number) }
    var distance = Int(Int16(bitPattern: number &- self.base))
    guard distance >= 0 else { return }
    if distance >= Self.window {
      // A jump: what is not reported yet is not told.
      self.forget(upTo: number)
      distance = 0
    }
    self.count = max(self.count, distance + 1)
    let place = Int(number) % Self.window
    if self.arrivals[place] == nil { self.arrivals[place] = now.nanoseconds(since: self.origin) }
    if self.nextDeadline == nil { self.nextDeadline = now.advanced(by: Self.interval) }
  }

  /// Another source sends, or the source began anew: its numbers do, too.
  package mutating func reset() {
    self.hasHeard = false
    self.forget(upTo: self.base)
  }

  /// Composes the report that is due into `room`, and returns its length; 0 when none is.
  package mutating func timeout(now: Instant, ssrc: UInt32, source: UInt32, into room: inout MutableRawSpan) -> Int {
    guard let deadline = self.nextDeadline, deadline <= now else { return 0 }
    var end = 20
    for first in stride(from: 0, to: self.count, by: 7) { end = self.chunk(first, at: end, into: &room) }
    let reference = self.earliest / Self.referenceUnit
    var told = reference * Self.referenceUnit / Self.deltaUnit
    for index in 0..<self.count {
      guard let arrival = self.arrival(index) else { continue }
      let delta = arrival / Self.deltaUnit - told
      told += delta
      // Two bytes for each, with a sign: what is between two reports is far less.
      room.set(uint16: UInt16(bitPattern: Int16(clamping: delta)), at: end)
      end += 2
    }
    while end % 4 > 0 {
      room.set(uint8: 0, at: end)
      end += 1
    }
    room.set(uint8: 0x80 | 15, at: 0)
    room.set(uint8: RTCPPacket.Kind.transportFeedback.rawValue, at: 1)
    room.set(uint16: UInt16(end / 4 - 1), at: 2)
    room.set(uint32: ssrc, at: 4)
    room.set(uint32: source, at: 8)
    room.set(uint16: self.base, at: 12)
    room.set(uint16: UInt16(self.count), at: 14)
    room.set(
      uint32: UInt32(truncatingIfNeeded: reference) << 8 | UInt32(truncatingIfNeeded: self.reports & 0xFF), at: 16)
    self.reports += 1
    self.forget(upTo: self.base &+ UInt16(self.count))
    return end
  }

  /// A chunk with the states of seven packets in two bits each: not received, or received with a time of two bytes.
  private func chunk(_ first: Int, at place: Int, into room: inout MutableRawSpan) -> Int {
    var chunk: UInt16 = 0b11 << 14
    for index in first..<min(first + 7, self.count) where self.arrival(index) != nil {
      chunk |= 0b10 << UInt16(12 - 2 * (index - first))
    }
    room.set(uint16: chunk, at: place)
    return place + 2
  }

  private func arrival(_ index: Int) -> Int64? { self.arrivals[Int(self.base &+ UInt16(index)) % Self.window] }

  private var earliest: Int64 {
    (0..<self.count).reduce(Int64.max) { min($0, self.arrival($1) ?? .max) }
  }

  private mutating func forget(upTo number: UInt16) {
    for place in 0..<Self.window { self.arrivals[place] = nil }
    (self.base, self.count, self.nextDeadline) = (number, 0, nil)
  }
}

extension RTPHeader {
  /// The packet's number in the element of this identifier; nil without one, and where it is of another length.
  package func transportNumber(_ id: UInt8, in packet: RawSpan) -> UInt16? {
    guard let bytes = self.element(id, in: packet), bytes.count == 2 else { return nil }
    return packet.uint16(at: bytes.lowerBound)
  }
}
