internal import NetBase

/// A password from a file: compares and can be used, never prints itself.
package struct Password: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  /// For the digest that it goes into; never for a log, an event or a message.
  package let unredacted: String

  package init(_ text: String) { self.unredacted = text }

  /// A copy that is wiped.
  var secret: SecretBytes { Array(self.unredacted.utf8).withRawSpan { SecretBytes($0) } }

  package var description: String { "(not shown)" }
  package var debugDescription: String { self.description }
  package var customMirror: Mirror { Mirror(self, children: []) }
}
