internal import NetBase

/// Appends RTCP packets to a compound packet in the caller's room (RFC 3550 §6.1); room that is too small is our own bug.
package struct RTCPWriter: Sendable {
  /// Bytes written so far.
  package private(set) var count = 0

  package init() {}

  /// A sender report with at most one report block (§6.4.1).
  package mutating func senderReport(_ info: RTCPSenderInfo, _ block: RTCPReportBlock?, into room: inout MutableRawSpan)
  {
    self.header(.senderReport, count: block == nil ? 0 : 1, body: 24 + (block == nil ? 0 : 24), into: &room)
    self.append(info.ssrc, into: &room)
    self.append(UInt32(truncatingIfNeeded: info.ntpTime >> 32), into: &room)
    self.append(UInt32(truncatingIfNeeded: info.ntpTime), into: &room)
    self.append(info.timestamp, into: &room)
    self.append(info.packets, into: &room)
    self.append(info.octets, into: &room)
    self.append(block, into: &room)
  }

  /// A receiver report with at most one report block (§6.4.2).
  package mutating func receiverReport(ssrc: UInt32, _ block: RTCPReportBlock?, into room: inout MutableRawSpan) {
    self.header(.receiverReport, count: block == nil ? 0 : 1, body: 4 + (block == nil ? 0 : 24), into: &room)
    self.append(ssrc, into: &room)
    self.append(block, into: &room)
  }

  /// A source description with the canonical name alone, of which the first 255 bytes count (§6.5.1).
  package mutating func canonicalName(_ name: [UInt8], ssrc: UInt32, into room: inout MutableRawSpan) {
    let length = min(name.count, 255)
    // At least one zero byte ends the list of items.
    let items = (2 + length + 1 + 3) / 4 * 4
    self.header(.sourceDescription, count: 1, body: 4 + items, into: &room)
    self.append(ssrc, into: &room)
    self.append(1, text: name, length: length, padded: items, into: &room)
  }

  /// A goodbye, with a reason of at most 255 bytes or none (§6.6).
  package mutating func goodbye(ssrc: UInt32, reason: [UInt8], into room: inout MutableRawSpan) {
    let length = min(reason.count, 255)
    let text = length == 0 ? 0 : (1 + length + 3) / 4 * 4
    self.header(.goodbye, count: 1, body: 4 + text, into: &room)
    self.append(ssrc, into: &room)
    if text > 0 { self.append(nil, text: reason, length: length, padded: text, into: &room) }
  }

  mutating func header(_ kind: RTCPPacket.Kind, count: Int, body: Int, into room: inout MutableRawSpan) {
    room.set(uint8: 0x80 | UInt8(count), at: self.count)
    room.set(uint8: kind.rawValue, at: self.count + 1)
    room.set(uint16: UInt16(body / 4), at: self.count + 2)
    self.count += 4
  }

  mutating func append(_ word: UInt32, into room: inout MutableRawSpan) {
    room.set(uint32: word, at: self.count)
    self.count += 4
  }

  private mutating func append(_ block: RTCPReportBlock?, into room: inout MutableRawSpan) {
    guard let block else { return }
    block.write(into: &room, at: self.count)
    self.count += RTCPReportBlock.length
  }

  /// A type (or none), a length byte, the text, and zeros up to `padded` bytes in all.
  private mutating func append(
    _ type: UInt8?, text: [UInt8], length: Int, padded: Int, into room: inout MutableRawSpan
  ) {
    let end = self.count + padded
    if let type {
      room.set(uint8: type, at: self.count)
      self.count += 1
    }
    room.set(uint8: UInt8(length), at: self.count)
    self.count += 1
    for index in 0..<length { room.set(uint8: text[index], at: self.count + index) }
    self.count += length
    while self.count < end {
      room.set(uint8: 0, at: self.count)
      self.count += 1
    }
  }
}
