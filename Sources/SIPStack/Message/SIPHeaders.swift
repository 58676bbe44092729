/// Header fields in order. Names are matched without case, and compact forms count as the long ones (RFC 3261 §7.3).
package struct SIPHeaders: Hashable, Sendable {
  /// One line: its name (long form) and its value, unfolded.
  package struct Field: Hashable, Sendable {
    package let name: String
    package var value: String
    /// Tells most names apart without a look at their letters.
    fileprivate let mark: UInt32

    fileprivate init(name: String, value: String) {
      (self.name, self.value) = (name, value)
      self.mark = SIPHeaders.mark(name)
    }
  }

  /// Length, first and last letter, whatever their case.
  private static func mark(_ name: String) -> UInt32 {
    let (first, last) = (name.utf8.first ?? 0, name.utf8.last ?? 0)
    return UInt32(truncatingIfNeeded: name.utf8.count) << 16 | UInt32(first | 0x20) << 8 | UInt32(last | 0x20)
  }

  /// A name that is looked for.
  private struct Key {
    let name: String
    let mark: UInt32

    init(_ name: String) {
      self.name = SIPHeaders.longForm(name)
      self.mark = SIPHeaders.mark(self.name)
    }

    @inline(__always)
    func matches(_ field: Field) -> Bool { field.mark == self.mark && field.name.isSame(ignoringCaseOf: self.name) }
  }

  package private(set) var fields: [Field] = []

  package init() {}

  package init(_ pairs: [(String, String)]) {
    for (name, value) in pairs { self.append(name, value) }
  }

  /// The first value of `name`.
  package subscript(name: String) -> String? {
    let key = Key(name)
    return self.fields.first(where: key.matches)?.value
  }

  /// The values of every line of `name`.
  package func all(_ name: String) -> [String] {
    let key = Key(name)
    var values: [String] = []
    for field in self.fields where key.matches(field) { values.append(field.value) }
    return values
  }

  /// The elements of a list header such as Via, Route or Allow, over all its lines.
  package func list(_ name: String) -> [String] {
    let key = Key(name)
    var elements: [String] = []
    for field in self.fields where key.matches(field) { elements.append(contentsOf: TextScanner.list(field.value)) }
    return elements
  }

  /// The value of `name` and how many lines have it.
  func single(_ name: String) -> (value: String, count: Int)? {
    let key = Key(name)
    var found: (value: String, count: Int)?
    for field in self.fields where key.matches(field) { found = (found?.value ?? field.value, (found?.count ?? 0) + 1) }
    return found
  }

  package func count(of name: String) -> Int {
    let key = Key(name)
    return self.fields.count(where: key.matches)
  }

  package mutating func append(_ name: String, _ value: String) {
    if self.fields.isEmpty { self.fields.reserveCapacity(16) }
    self.fields.append(Field(name: Self.longForm(name), value: value))
  }

  package mutating func prepend(_ name: String, _ value: String) {
    self.fields.insert(Field(name: Self.longForm(name), value: value), at: 0)
  }

  /// Replaces the lines of `name` by one, where the first stood.
  package mutating func set(_ name: String, _ value: String) {
    let key = Key(name)
    guard let index = self.fields.firstIndex(where: key.matches) else {
      return self.append(name, value)
    }
    self.fields[index].value = value
    var isFirst = true
    self.fields.removeAll { field in
      guard key.matches(field) else { return false }
      defer { isFirst = false }
      return !isFirst
    }
  }

  package mutating func remove(_ name: String) {
    let key = Key(name)
    self.fields.removeAll(where: key.matches)
  }

  /// The long form of a compact name; other names stay as they are.
  static func longForm(_ name: String) -> String {
    guard name.utf8.count == 1, let letter = name.utf8.first else { return name }
    return switch letter.lowercased {
    case UInt8(ascii: "a"): "Accept-Contact"
    case UInt8(ascii: "b"): "Referred-By"
    case UInt8(ascii: "c"): "Content-Type"
    case UInt8(ascii: "d"): "Request-Disposition"
    case UInt8(ascii: "e"): "Content-Encoding"
    case UInt8(ascii: "f"): "From"
    case UInt8(ascii: "i"): "Call-ID"
    case UInt8(ascii: "j"): "Reject-Contact"
    case UInt8(ascii: "k"): "Supported"
    case UInt8(ascii: "l"): "Content-Length"
    case UInt8(ascii: "m"): "Contact"
    case UInt8(ascii: "o"): "Event"
    case UInt8(ascii: "r"): "Refer-To"
    case UInt8(ascii: "s"): "Subject"
    case UInt8(ascii: "t"): "To"
    case UInt8(ascii: "u"): "Allow-Events"
    case UInt8(ascii: "v"): "Via"
    case UInt8(ascii: "x"): "Session-Expires"
    case UInt8(ascii: "y"): "Identity"
    default: name
    }
  }
}
