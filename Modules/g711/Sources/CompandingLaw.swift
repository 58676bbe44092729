/// The two laws of ITU-T G.711.
enum CompandingLaw: CaseIterable, Sendable {
  case mu
  case a

  private static let muTable = (UInt8.min...UInt8.max).map { linear(muLaw: $0) }
  private static let aTable = (UInt8.min...UInt8.max).map { linear(aLaw: $0) }
  private static let muCodes = (Int16(-8192)...8191).map { muLaw($0 << 2) }
  private static let aCodes = (Int16(-4096)...4095).map { aLaw($0 << 3) }

  /// What each byte decodes to, as 16-bit samples; one table for all, so that it stays in the processor's cache.
  var table: [Int16] {
    switch self {
    case .mu: Self.muTable
    case .a: Self.aTable
    }
  }

  /// What each sample encodes to, from the lowest to the highest, by the bits that make a difference.
  var codes: [UInt8] {
    switch self {
    case .mu: Self.muCodes
    case .a: Self.aCodes
    }
  }

  /// The lower bits of a 16-bit sample, which make none.
  var ignoredBits: Int16 {
    switch self {
    case .mu: 2
    case .a: 3
    }
  }
}

/// G.711 table 2: 14 bits of the sample become sign, chord and step, all inverted.
@inline(__always) func muLaw(_ sample: Int16) -> UInt8 {
  let value = Int32(sample) >> 2
  let magnitude = min(value < 0 ? -value : value, 8159) + 33
  // The chord is the place of the highest bit: 33...63 is chord 0, 4128...8192 chord 7.
  let chord = min(26 - Int32(magnitude.leadingZeroBitCount), 7)
  let step = (magnitude >> (chord + 1)) & 15
  let code = magnitude > 8191 ? 0x7F : UInt8(truncatingIfNeeded: chord << 4 | step)
  return code ^ (value < 0 ? 0x7F : 0xFF)
}

/// G.711 table 1: 13 bits of the sample become sign, chord and step, every other bit inverted.
@inline(__always) func aLaw(_ sample: Int16) -> UInt8 {
  let value = Int32(sample) >> 3
  let magnitude = value < 0 ? -value - 1 : value
  // 0...31 is chord 0, 32...63 chord 1 with the same step, 2048...4095 chord 7.
  let chord = max(27 - Int32(magnitude.leadingZeroBitCount), 0)
  let step = (magnitude >> max(chord, 1)) & 15
  return UInt8(truncatingIfNeeded: chord << 4 | step) ^ (value < 0 ? 0x55 : 0xD5)
}

/// The middle of the interval that `byte` stands for.
func linear(muLaw byte: UInt8) -> Int16 {
  let code = ~byte
  let magnitude = ((Int16(code & 15) << 3) + 0x84) << Int16((code >> 4) & 7) - 0x84
  return code & 0x80 != 0 ? -magnitude : magnitude
}

/// The middle of the interval that `byte` stands for.
func linear(aLaw byte: UInt8) -> Int16 {
  let code = byte ^ 0x55
  let chord = Int16((code >> 4) & 7)
  let base = Int16(code & 15) << 4 + 8
  let magnitude = chord == 0 ? base : (base + 0x100) << (chord - 1)
  return code & 0x80 != 0 ? magnitude : -magnitude
}
