internal import ModuleKit
internal import NetBase

/// Puts access units together, with a start code before each NAL unit.
final class H264Depacketizer: VideoDepacketizer {
  /// Type of the NAL unit whose fragments are coming; nil between NAL units.
  private var fragmented: UInt8?

  func place(of payload: RawSpan) -> VideoPayloadPlace? {
    guard let form = PayloadForm(payload) else { return nil }
    switch form {
    case .ignored: return .isIgnored
    case .single(let type): return Self.place(type, isStart: true)
    case .fragment(let type, let isStart, _): return Self.place(type, isStart: isStart)
    case .aggregate:
      var place: VideoPayloadPlace = []
      var offset = 1
      while let unit = payload.aggregatedUnit(at: offset) {
        place.formUnion(Self.place(payload.uint8(at: unit.lowerBound) & 0x1F, isStart: offset == 1))
        offset = unit.upperBound
      }
      return place
    }
  }

  func append(_ payload: RawSpan, to frame: inout VideoFrameRoom) -> Bool {
    guard let form = PayloadForm(payload) else { return false }
    if frame.count == 0 { self.fragmented = nil }
    switch form {
    case .ignored: return true
    case .single: return self.fragmented == nil && frame.append(unit: payload)
    case .aggregate:
      var offset = 1
      while let unit = payload.aggregatedUnit(at: offset) {
        guard self.fragmented == nil, frame.append(unit: payload.extracting(unit)) else { return false }
        offset = unit.upperBound
      }
      return true
    case .fragment(let type, let isStart, let isEnd):
      guard self.fragmented == (isStart ? nil : type) else { return false }
      self.fragmented = isEnd ? nil : type
      if isStart {
        let header = payload.uint8(at: 0) & 0x60 | type
        guard frame.appendStartCode(), frame.append(header) else { return false }
      }
      return frame.append(payload.extracting(2..<payload.byteCount))
    }
  }

  /// A delimiter or a sequence parameter set is never within an access unit (H.264 §7.4.1.2.3).
  ///
  /// - Parameter isStart: the payload begins with the NAL unit's start.
  private static func place(_ type: UInt8, isStart: Bool) -> VideoPayloadPlace {
    switch type {
    case NALUnitType.accessUnitDelimiter: isStart ? .beginsFrame : []
    case NALUnitType.sequenceParameterSet: isStart ? [.beginsFrame, .isOfKeyFrame] : .isOfKeyFrame
    case NALUnitType.idrSlice: .isOfKeyFrame
    default: []
    }
  }
}

/// A payload's structure (RFC 6184 §5.2); one that is interleaved has none here.
private enum PayloadForm {
  /// Of a type without a meaning (§5.2, table 1).
  case ignored
  case single(UInt8)
  case aggregate
  case fragment(UInt8, isStart: Bool, isEnd: Bool)

  /// Nil when the payload is malformed.
  init?(_ payload: RawSpan) {
    // The highest bit says that there are errors in what follows (§5.3).
    guard payload.byteCount > 0, payload.uint8(at: 0) & 0x80 == 0 else { return nil }
    let type = payload.uint8(at: 0) & 0x1F
    switch type {
    case 0, 30, 31: self = .ignored
    case NALUnitType.single: self = .single(type)
    case NALUnitType.stapA:
      guard payload.isAggregate else { return nil }
      self = .aggregate
    case NALUnitType.fuA:
      guard payload.byteCount >= 2 else { return nil }
      let header = payload.uint8(at: 1)
      // A NAL unit that is whole is not to be sent so (§5.8).
      guard header & 0xC0 != 0xC0, NALUnitType.single.contains(header & 0x1F) else { return nil }
      self = .fragment(header & 0x1F, isStart: header & 0x80 != 0, isEnd: header & 0x40 != 0)
    default: return nil
    }
  }
}

extension RawSpan {
  /// Where the first NAL unit of a STAP-A at `offset` or after it lies (RFC 6184 §5.7.1); nil at the end.
  fileprivate func aggregatedUnit(at offset: Int) -> Range<Int>? {
    guard offset + 2 < self.byteCount else { return nil }
    let end = offset + 2 + Int(self.uint16(at: offset))
    return end <= self.byteCount ? (offset + 2)..<end : nil
  }

  /// Whether it is filled with NAL units, each of a type that may stand there.
  fileprivate var isAggregate: Bool {
    var offset = 1
    while let unit = self.aggregatedUnit(at: offset) {
      guard !unit.isEmpty, self.uint8(at: unit.lowerBound) & 0x80 == 0,
        NALUnitType.single.contains(self.uint8(at: unit.lowerBound) & 0x1F)
      else { return false }
      offset = unit.upperBound
    }
    return offset > 1 && offset == self.byteCount
  }
}

extension VideoFrameRoom {
  /// Appends a whole NAL unit.
  fileprivate mutating func append(unit: RawSpan) -> Bool { self.appendStartCode() && self.append(unit) }

  fileprivate mutating func appendStartCode() -> Bool {
    self.append(0) && self.append(0) && self.append(0) && self.append(1)
  }
}
