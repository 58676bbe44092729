/// How much may be sent under one key before there should be another one.
package struct KeyLimit: Hashable, Sendable {
  /// SRTP and SRTCP together.
  package let packets: UInt64
  /// SRTCP alone.
  package let reports: UInt64

  /// Seven eighths of what RFC 3711 §9.2 allows.
  package static let standard = KeyLimit(packets: 7 << 45, reports: 7 << 28)

  package init(packets: UInt64 = Self.standard.packets, reports: UInt64 = Self.standard.reports) {
    (self.packets, self.reports) = (packets, reports)
  }
}
