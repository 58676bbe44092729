import NetBase
import RTPStack

/// SplitMix64: the same numbers for the same seed, everywhere.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { self.state = seed }

  mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var value = self.state
    value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
    return value ^ (value >> 31)
  }
}

func bytes(_ hex: String) -> [UInt8] {
  let digits = hex.filter { !$0.isWhitespace }
  var result: [UInt8] = []
  var index = digits.startIndex
  while index < digits.endIndex {
    let next = digits.index(index, offsetBy: 2)
    result.append(UInt8(digits[index..<next], radix: 16) ?? 0)
    index = next
  }
  return result
}

extension Instant {
  static func milliseconds(_ value: Double) -> Instant { Instant(nanoseconds: Int64(value * 1e6)) }
}

func header(_ sequence: Int, timestamp: Int, marker: Bool = false, ssrc: UInt32 = 1, payloadType: UInt8 = 0)
  -> RTPHeader
{
  RTPHeader(
    marker: marker, payloadType: payloadType, sequenceNumber: UInt16(truncatingIfNeeded: sequence),
    timestamp: UInt32(truncatingIfNeeded: timestamp), ssrc: ssrc)
}

extension [UInt8] {
  /// Writes with `body` into as many bytes as it returns.
  static func written(_ room: Int = 1024, _ body: (inout MutableRawSpan) -> Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0xEE, count: room)
    var count = 0
    do {
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      count = body(&raw)
    }
    return [UInt8](bytes[..<count])
  }
}
