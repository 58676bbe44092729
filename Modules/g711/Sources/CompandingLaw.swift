/// The two laws of ITU-T G.711.
enum CompandingLaw: CaseIterable, Sendable {
  case mu
  case a

  private static let muTable = (UInt8.min...UInt8.max).map { linear(muLaw: $0) }
  private static let aTable = (UInt8.min...UInt8.max).map { linear(aLaw: $0) }
  private static let muCodes = codes(inverted: 0xFF, isMirrored: false) { code in
    // The least step has lost a half, and what is louder than the loudest is as loud.
    code == 0 ? 1 : (2 << (code >> 4)) + (code == 0x7F ? 33 : 0)
  }
  private static let aCodes = codes(inverted: 0xD5, isMirrored: true) { code in 2 << max(code >> 4 - 1, 0) }

  /// The codes of all samples, from the lowest to the highest: chord by chord and step by step (G.711 tables 1 and 2), as
  /// many of each as `width` says.
  ///
  /// - Parameters:
  ///   - inverted: the bits that are, for samples that are not negative; the sign is among them for others.
  ///   - isMirrored: whether -1 is as loud as 0; else 0 has no counterpart, and -1 is as loud as 1.
  private static func codes(inverted: UInt8, isMirrored: Bool, _ width: (Int) -> Int) -> [UInt8] {
    var positive: [UInt8] = []
    for code in 0..<128 { positive += repeatElement(UInt8(code) ^ inverted, count: width(code)) }
    var negative = positive.map { $0 ^ 0x80 }
    if !isMirrored { negative = negative.dropFirst() + negative.suffix(1) }
    return negative.reversed() + positive
  }

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

  /// The code of nothing heard.
  var silence: UInt8 { self.codes[self.codes.count / 2] }

  /// The lower bits of a 16-bit sample, which make none.
  var ignoredBits: Int16 {
    switch self {
    case .mu: 2
    case .a: 3
    }
  }
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
