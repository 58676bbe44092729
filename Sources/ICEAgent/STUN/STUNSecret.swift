package import NetBase

/// A password or a key that several values refer to: wiped with the last of them, never printed.
package final class STUNSecret: Sendable, CustomStringConvertible, CustomReflectable {
  private let bytes: SecretBytes

  package init(_ bytes: consuming SecretBytes) { self.bytes = bytes }

  package var count: Int { self.bytes.count }

  /// Calls `body` with the secret; it must not copy what it does not wipe.
  package func withBytes<Result>(_ body: (RawSpan) -> Result) -> Result {
    unsafe self.bytes.withUnsafeBytes { body(unsafe RawSpan(_unsafeBytes: $0)) }
  }

  package var description: String { "(not shown)" }
  package var customMirror: Mirror { Mirror(self, children: []) }
}

extension STUNSecret: Hashable {
  /// Takes the same time wherever two of one length differ.
  package static func == (left: STUNSecret, right: STUNSecret) -> Bool {
    left.withBytes { left in right.withBytes { isEqualInConstantTime(left, $0) } }
  }

  /// A hash of the bytes would say something of them.
  package func hash(into hasher: inout Hasher) { hasher.combine(self.count) }
}
