/// A line of an accounts or contacts file: `"Name" <sip:user@host;uri-param>;param=value`.
struct AddressLine: Sendable {
  /// One `;name=value` after the address; the value is nil for a bare `;name`.
  struct Parameter: Hashable, Sendable {
    let name: String
    let value: String?
    /// Whether all of the value stands in quotes.
    let isQuoted: Bool
  }

  /// Why a line isn't one: a sentence that names no value, because it might be a password.
  struct Malformed: Error, Hashable {
    let message: String
  }

  /// Nil when there is none.
  let displayName: String?
  /// What stands between the angle brackets.
  let uri: String
  /// In the file's order; names in lower case.
  let parameters: [Parameter]

  init(_ line: Substring) throws(Malformed) {
    var text = line
    var name = ""
    if text.first == "\"" {
      guard let quoted = Self.takeQuoted(&text) else { throw Malformed(message: "the name's closing quote is missing") }
      name = quoted
      text = text.drop(while: \.isBlank)
    } else if let bracket = text.firstIndex(of: "<") {
      name = String(text[..<bracket])
      while name.last?.isBlank == true { name.removeLast() }
      text = text[bracket...]
    }
    if text.first == "<" {
      guard let end = text.firstIndex(of: ">") else { throw Malformed(message: "the closing \">\" is missing") }
      self.uri = String(text[text.index(after: text.startIndex)..<end])
      text = text[text.index(after: end)...]
    } else {
      let bare = text.prefix { $0 != ";" && !$0.isBlank }
      self.uri = String(bare)
      text = text.dropFirst(bare.count)
    }
    self.displayName = name.isEmpty ? nil : name
    var parameters: [Parameter] = []
    while let parameter = try Self.takeParameter(&text) {
      if !parameter.name.isEmpty { parameters.append(parameter) }
    }
    self.parameters = parameters
  }

  /// The next `;name=value`; nil at the end of the line or at a comment.
  private static func takeParameter(_ text: inout Substring) throws(Malformed) -> Parameter? {
    text = text.drop(while: \.isBlank)
    guard let first = text.first, first != "#" else { return nil }
    guard first == ";" else {
      throw Malformed(message: "text that is neither a \";parameter\" nor a comment: quote values with blanks")
    }
    text = text.dropFirst().drop(while: \.isBlank)
    let name = text.prefix { $0 != "=" && $0 != ";" && !$0.isBlank }
    text = text.dropFirst(name.count).drop(while: \.isBlank)
    guard text.first == "=" else { return Parameter(name: name.lowercased(), value: nil, isQuoted: false) }
    text = text.dropFirst().drop(while: \.isBlank)
    var value = ""
    var isQuoted = false
    while let character = text.first, character != ";", !character.isBlank {
      isQuoted = character == "\"" && value.isEmpty
      if character == "\"" {
        guard let quoted = takeQuoted(&text, keepsBackslashes: true) else {
          throw Malformed(message: "the closing quote of \"\(name)\" is missing")
        }
        value += quoted
      } else {
        value.append(character)
        text.removeFirst()
      }
    }
    return Parameter(name: name.lowercased(), value: value, isQuoted: isQuoted)
  }

  /// Takes a quoted string, without its quotes; nil when it doesn't end.
  ///
  /// - Parameter keepsBackslashes: a name's escapes are removed (RFC 3261 `quoted-string`). baresip leaves those of a
  ///   parameter as they are, and a password must be the same one here: there only a quote can be escaped.
  private static func takeQuoted(_ text: inout Substring, keepsBackslashes: Bool = false) -> String? {
    var value = ""
    var rest = text.dropFirst()
    while let character = rest.popFirst() {
      switch character {
      case "\"":
        text = rest
        return value
      case "\\":
        guard let escaped = rest.popFirst() else { return nil }
        if keepsBackslashes, escaped != "\"" { value.append(character) }
        value.append(escaped)
      default:
        value.append(character)
      }
    }
    return nil
  }
}
