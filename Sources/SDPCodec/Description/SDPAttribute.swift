/// One `a=` line (RFC 8866 §5.13). Printing it hides keys; `value` does not.
package struct SDPAttribute: Hashable, Sendable, CustomStringConvertible, CustomReflectable {
  /// The attribute's name, case-sensitive, without the colon.
  package var name: String
  /// The text after the colon; nil for a property attribute such as `a=rtcp-mux`.
  package var value: String?

  package init(_ name: String, _ value: String? = nil) {
    self.name = name
    self.value = value
  }

  /// The line without its line end; carries keys in the clear.
  var line: String {
    if let value = self.value { "a=\(self.name):\(value)" } else { "a=\(self.name)" }
  }

  package var description: String { SDPRedaction.redacted(self.line) }

  /// Keeps keys out of `dump` too.
  package var customMirror: Mirror { Mirror(self, children: ["line": self.description]) }
}

/// A section of a description that has attributes: the session, a media section, or a view of either.
///
/// The typed accessors skip what does not follow its grammar, as RFC 8866 §5.13 asks.
package protocol AttributeSection {
  /// The attributes in their order of appearance.
  var attributes: [SDPAttribute] { get set }
}

extension AttributeSection {
  /// Whether an attribute of that name is present, with or without a value.
  package func has(_ name: String) -> Bool {
    self.attributes.contains { $0.name == name }
  }

  /// The first value of that name.
  package func value(_ name: String) -> String? {
    self.attributes.first { $0.name == name && $0.value != nil }?.value
  }

  /// All values of that name, in order.
  package func values(_ name: String) -> [String] {
    self.attributes.compactMap { $0.name == name ? $0.value : nil }
  }

  /// Appends an attribute.
  package mutating func add(_ name: String, _ value: String? = nil) {
    self.attributes.append(SDPAttribute(name, value))
  }

  /// Removes all attributes of that name.
  package mutating func remove(_ name: String) {
    self.attributes.removeAll { $0.name == name }
  }
}
