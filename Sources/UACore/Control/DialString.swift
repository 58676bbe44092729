internal import NetBase

/// What people type to be called: numbers, names, addresses, made into a SIP URI.
package enum DialString {
  /// A telephone number without what people write between its digits; nil when it is no number.
  ///
  /// `(0)` after an international prefix is what is dialled within the country, and goes too.
  package static func cleaned(_ text: some StringProtocol) -> String? {
    var characters = Array(text)
    let separators: Set<Character> = [" ", "\t", "\n", "\r", ".", "-", "/", "(", ")"]
    guard characters.allSatisfy({ separators.contains($0) || "+*#0123456789".contains($0) }) else { return nil }
    if characters.starts(with: "+") || characters.starts(with: "00") {
      for index in characters.indices.dropLast(3) where characters[index...].starts(with: "(0)") {
        let next = characters[index + 3]
        if next == " " || ("0"..."9").contains(next) {
          characters[index + 1] = " "
          break
        }
      }
    }
    return String(characters.filter { !separators.contains($0) })
  }

  /// The URI that `text` stands for at an account: what lacks a scheme and a host gets the account's domain.
  package static func completed(_ text: some StringProtocol, for account: AddressOfRecord?) -> String {
    let text = text.drop(while: \.isBlank)
    let lower = text.lowercased()
    if ["sip:", "sips:", "tel:"].contains(where: { lower.hasPrefix($0) }) { return String(text) }
    let scheme = account?.scheme ?? "sip"
    guard !text.contains("@"), !Self.isAddress(text), let account else { return "\(scheme):\(text)" }
    let port = account.port.map { $0 == 5060 ? "" : ":\($0)" } ?? ""
    let transport = account.transport.map { $0 == "udp" ? "" : ";transport=\($0)" } ?? ""
    return "\(scheme):\(text)@\(account.host)\(port)\(transport)"
  }

  /// Whether `word` is a URI by its looks, and neither a number nor a name: it has SIP's scheme, or a user at a host.
  static func isURI(_ word: String) -> Bool {
    if Self.hasScheme(word) { return true }
    guard let at = word.lastIndex(of: "@") else { return false }
    return at != word.startIndex && word.index(after: at) != word.endIndex
  }

  /// Whether `text` begins with SIP's scheme, small or large (RFC 3986 §3.1).
  static func hasScheme(_ text: String) -> Bool {
    let lower = text.lowercased()
    return lower.hasPrefix("sip:") || lower.hasPrefix("sips:")
  }

  /// What is said of a text that was to be called and can't; without it where it may have a password in it.
  static func refusal(of text: String) -> String {
    let start = Self.hasScheme(text) ? text.firstIndex(of: ":").map { text.index(after: $0) } : nil
    let rest = text[(start ?? text.startIndex)...]
    let mayHavePassword = rest.lastIndex(of: "@").map { rest[..<$0].contains(":") } ?? false
    return "\(mayHavePassword ? "that" : text) is not a SIP URI: write sip:user@host"
  }

  /// `192.0.2.1`, `192.0.2.1:5070`, `[2001:db8::1]`, `[2001:db8::1]:5070`.
  private static func isAddress(_ text: some StringProtocol) -> Bool {
    let host = text.prefix { $0 != ";" }
    return SocketAddress(String(host), defaultPort: 5060) != nil
  }
}
