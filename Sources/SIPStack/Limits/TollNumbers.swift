/// The telephone numbers that a call of ours costs money for, and that a peer may therefore not send it to: neither by a
/// redirect nor by REFER. Numbers that the user dials are his own business.
package struct TollNumbers: Hashable, Sendable {
  /// What such a number begins with: digits, `*`, `#`, or a plus sign first.
  package let prefixes: [String]

  /// International numbers, and those of premium services where the number shows it.
  package static let standard = TollNumbers(prefixes: ["+", "00", "011", "0900", "1900"])

  package init(prefixes: [String]) { self.prefixes = prefixes }

  /// Reads prefixes with commas between them, or `none`; nil when one of them is no part of a number.
  package init?(_ text: String) {
    let words = text.split(separator: ",", omittingEmptySubsequences: false).map { $0.trimmed }
    let prefixes = words == ["none"] ? [] : words
    guard prefixes.allSatisfy({ Self.number($0) == $0 && !$0.isEmpty }) else { return nil }
    self.init(prefixes: prefixes)
  }

  /// Whether a call of `uri` may cost money. Which host it is at says nothing: gateways have any name.
  package func contains(_ uri: SIPURI) -> Bool {
    guard let number = uri.unescapedUser.flatMap(Self.number) else { return false }
    return self.prefixes.contains { number.hasPrefix($0) }
  }

  /// The number in the user part of a URI, without parameters and separators: those of RFC 3966 §5.1.1, and what
  /// else gateways read over; nil for a name.
  private static func number(_ user: String) -> String? {
    var number = ""
    for character in user.prefix(while: { $0 != ";" }) {
      switch character {
      case "0"..."9", "*", "#": number.append(character)
      case "+" where number.isEmpty: number.append(character)
      case "-", ".", "(", ")", "/", " ": continue
      default: return nil
      }
    }
    return number
  }
}
