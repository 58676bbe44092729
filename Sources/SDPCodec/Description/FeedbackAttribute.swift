/// `a=rtcp-fb` (RFC 4585 §4.2): RTCP feedback that its author can take and give for a format.
package struct FeedbackAttribute: Hashable, Sendable {
  /// Nil for all formats of the line.
  package var payloadType: UInt8?
  /// With its parameters, such as `transport-cc` or `nack pli`.
  package var kind: String

  /// For one format, or for all.
  package init(payloadType: UInt8?, kind: String) { (self.payloadType, self.kind) = (payloadType, kind) }

  init?(_ text: String) {
    let words = text.fields(atMost: 2)
    guard words.count == 2 else { return nil }
    if words[0] == "*" {
      self.init(payloadType: nil, kind: words[1])
    } else {
      guard let number = words[0].decimal(UInt8.self), number < 128 else { return nil }
      self.init(payloadType: number, kind: words[1])
    }
  }

  /// The attribute's value.
  package var text: String { "\(self.payloadType.map { "\($0)" } ?? "*") \(self.kind)" }
}

extension [FeedbackAttribute] {
  /// Whether a description has this kind for a format.
  func has(_ kind: String, for payloadType: UInt8) -> Bool {
    self.contains { $0.kind == kind && ($0.payloadType == nil || $0.payloadType == payloadType) }
  }
}
