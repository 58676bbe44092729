/// Header fields in order. Names are matched without case, and compact forms count as the long ones (RFC 3261 §7.3).
package struct SIPHeaders: Hashable, Sendable {
  /// One line: its name (long form) and its value, unfolded.
  package struct Field: Hashable, Sendable {
    package let name: String
    package var value: String
  }

  package private(set) var fields: [Field] = []

  package init() {}

  package init(_ pairs: [(String, String)]) {
    for (name, value) in pairs { self.append(name, value) }
  }

  /// The first value of `name`.
  package subscript(name: String) -> String? {
    let name = Self.longForm(name)
    return self.fields.first { $0.name.isSame(ignoringCaseOf: name) }?.value
  }

  /// The values of every line of `name`.
  package func all(_ name: String) -> [String] {
    let name = Self.longForm(name)
    return self.fields.filter { $0.name.isSame(ignoringCaseOf: name) }.map(\.value)
  }

  /// The elements of a list header such as Via, Route or Allow, over all its lines.
  package func list(_ name: String) -> [String] { self.all(name).flatMap(TextScanner.list) }

  package func count(of name: String) -> Int {
    let name = Self.longForm(name)
    return self.fields.reduce(0) { $0 + ($1.name.isSame(ignoringCaseOf: name) ? 1 : 0) }
  }

  package mutating func append(_ name: String, _ value: String) {
    self.fields.append(Field(name: Self.longForm(name), value: value))
  }

  package mutating func prepend(_ name: String, _ value: String) {
    self.fields.insert(Field(name: Self.longForm(name), value: value), at: 0)
  }

  /// Replaces the lines of `name` by one, where the first stood.
  package mutating func set(_ name: String, _ value: String) {
    let name = Self.longForm(name)
    guard let index = self.fields.firstIndex(where: { $0.name.isSame(ignoringCaseOf: name) }) else {
      return self.append(name, value)
    }
    self.fields[index].value = value
    var isFirst = true
    self.fields.removeAll { field in
      guard field.name.isSame(ignoringCaseOf: name) else { return false }
      defer { isFirst = false }
      return !isFirst
    }
  }

  package mutating func remove(_ name: String) {
    let name = Self.longForm(name)
    self.fields.removeAll { $0.name.isSame(ignoringCaseOf: name) }
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
