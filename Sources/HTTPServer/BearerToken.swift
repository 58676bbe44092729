/// The secret that clients show (RFC 6750); it has no description, and is compared in constant time.
package struct BearerToken: Sendable, CustomStringConvertible, CustomReflectable {
  private let bytes: [UInt8]

  /// Nil where the text is empty.
  package init?(_ text: String) {
    guard !text.isEmpty else { return nil }
    self.bytes = Array(text.utf8)
  }

  package var description: String { "(token)" }
  package var customMirror: Mirror { Mirror(self, children: []) }

  /// Whether an Authorization header shows it.
  package func isShown(in header: String?) -> Bool {
    guard let header, header.lowercased().hasPrefix("bearer ") else { return false }
    let shown = Array(header.utf8.dropFirst("bearer ".utf8.count))
    var difference = UInt8(shown.count == self.bytes.count ? 0 : 1)
    for index in self.bytes.indices { difference |= self.bytes[index] ^ (index < shown.count ? shown[index] : 0) }
    return difference == 0
  }
}
