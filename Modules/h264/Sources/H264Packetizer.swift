internal import ModuleKit
internal import NetBase

/// Cuts an access unit into single NAL units, and in packetization mode 1 into STAP-A and FU-A as well (RFC 6184 §5.6 to §5.8).
///
/// In mode 0 a NAL unit that is too long ends its frame: `next` is nil before a last payload was given.
final class H264Packetizer: VideoPacketizer {
  private let isSingle: Bool
  /// What is sent next; nil at the frame's end.
  private var unit: Range<Int>?
  /// Bytes of `unit` that are sent already, its header among them.
  private var sent = 0

  /// - Parameter isSingle: packetization mode 0.
  init(isSingle: Bool) { self.isSingle = isSingle }

  func begin(_ frame: RawSpan) {
    self.unit = frame.nalUnit(from: 0)
    self.sent = 0
  }

  func next(_ frame: RawSpan, into payload: inout MutableRawSpan) -> VideoPayload? {
    guard let unit = self.unit else { return nil }
    if self.sent > 0 || unit.count > payload.byteCount { return self.fragment(frame, unit, into: &payload) }
    let following = frame.nalUnit(from: unit.upperBound)
    if !self.isSingle, let following, 5 + unit.count + following.count <= payload.byteCount {
      return self.aggregate(frame, unit, into: &payload)
    }
    payload.copy(frame.extracting(unit), at: 0)
    self.unit = following
    return VideoPayload(count: unit.count, isLast: following == nil)
  }

  /// STAP-A (§5.7.1): as many NAL units as there is room for; its header has the greatest NRI of theirs.
  private func aggregate(_ frame: RawSpan, _ first: Range<Int>, into payload: inout MutableRawSpan) -> VideoPayload {
    var (count, importance) = (1, UInt8(0))
    var next: Range<Int>? = first
    while let unit = next, count + 2 + unit.count <= payload.byteCount {
      importance = max(importance, frame.uint8(at: unit.lowerBound) & 0x60)
      payload.set(uint16: UInt16(unit.count), at: count)
      payload.copy(frame.extracting(unit), at: count + 2)
      count += 2 + unit.count
      next = frame.nalUnit(from: unit.upperBound)
    }
    payload.set(uint8: importance | NALUnitType.stapA, at: 0)
    self.unit = next
    return VideoPayload(count: count, isLast: next == nil)
  }

  /// FU-A (§5.8).
  private func fragment(_ frame: RawSpan, _ unit: Range<Int>, into payload: inout MutableRawSpan) -> VideoPayload? {
    guard !self.isSingle, payload.byteCount > 2 else {
      self.unit = nil
      return nil
    }
    let header = frame.uint8(at: unit.lowerBound)
    let isStart = self.sent == 0
    if isStart { self.sent = 1 }
    let count = min(unit.count - self.sent, payload.byteCount - 2)
    let start = unit.lowerBound + self.sent
    let isEnd = start + count == unit.upperBound
    payload.set(uint8: header & 0x60 | NALUnitType.fuA, at: 0)
    payload.set(uint8: (isStart ? 0x80 : 0) | (isEnd ? 0x40 : 0) | header & 0x1F, at: 1)
    payload.copy(frame.extracting(start..<(start + count)), at: 2)
    self.sent += count
    if isEnd {
      self.unit = frame.nalUnit(from: unit.upperBound)
      self.sent = 0
    }
    return VideoPayload(count: 2 + count, isLast: self.unit == nil)
  }
}
