/// The `;name=value` parameters of a URI, an address or a Via, in order.
package struct SIPParameters: Hashable, Sendable, CustomStringConvertible {
  private struct Item: Hashable, Sendable {
    var name: String
    var value: String?
  }

  private var items: [Item] = []

  package init() {}

  /// The value of `name`, as written; nil when it is absent or has no value.
  package subscript(name: String) -> String? {
    get { self.items.first { $0.name.isSame(ignoringCaseOf: name) }?.value }
    set {
      guard let newValue else { return self.items.removeAll { $0.name.isSame(ignoringCaseOf: name) } }
      self.set(name, newValue)
    }
  }

  /// Whether `name` is there, with a value or without.
  package func contains(_ name: String) -> Bool {
    self.items.contains { $0.name.isSame(ignoringCaseOf: name) }
  }

  /// Sets `name`; nil gives a parameter without a value.
  package mutating func set(_ name: String, _ value: String?) {
    if let index = self.items.firstIndex(where: { $0.name.isSame(ignoringCaseOf: name) }) {
      self.items[index].value = value
    } else {
      self.items.append(Item(name: name, value: value))
    }
  }

  package var isEmpty: Bool { self.items.isEmpty }

  /// The names, as written.
  package var names: [String] { self.items.map(\.name) }

  package var description: String {
    self.items.reduce(into: "") { text, item in
      text += ";" + item.name
      if let value = item.value { text += "=" + value }
    }
  }

  /// Reads `;name=value` as long as semicolons follow; nil when one of them is malformed.
  ///
  /// - Parameter accepts: the characters of a name or a value; a value may be a quoted string too.
  @inline(__always)
  init?(_ scanner: inout TextScanner, accepts: (UInt8) -> Bool) {
    while true {
      let start = scanner.position
      scanner.skipWhitespace()
      guard scanner.take(.semicolon) else {
        scanner.rewind(to: start)
        return
      }
      scanner.skipWhitespace()
      let name = scanner.take(while: accepts)
      if self.items.isEmpty { self.items.reserveCapacity(4) }
      if name.isEmpty {
        // ";;" and a trailing ";" are met in the wild and say nothing.
        guard scanner.isAtEnd || scanner.peek == .semicolon else { return nil }
        continue
      }
      let end = scanner.position
      scanner.skipWhitespace()
      guard scanner.take(.equals) else {
        scanner.rewind(to: end)
        self.items.append(Item(name: name, value: nil))
        continue
      }
      scanner.skipWhitespace()
      if scanner.peek == .quote {
        guard let value = scanner.quoted() else { return nil }
        self.items.append(Item(name: name, value: value))
      } else {
        self.items.append(Item(name: name, value: scanner.take(while: accepts)))
      }
    }
  }
}
