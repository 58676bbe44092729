/// Types of NAL units and of payloads (RFC 6184 §5.2, table 1; H.264 table 7-1).
enum NALUnitType {
  static let single: ClosedRange<UInt8> = 1...23
  static let idrSlice: UInt8 = 5
  static let sequenceParameterSet: UInt8 = 7
  static let accessUnitDelimiter: UInt8 = 9
  static let stapA: UInt8 = 24
  static let fuA: UInt8 = 28
}
