internal import SDPCodec

/// Takes secrets out of SIP messages on their way to a trace: keys in SDP, what a digest proves a password with, and
/// credentials of every other kind.
package enum SIPRedaction {
  package static let mark = SDPRedaction.mark

  private static let credentials = [
    "authorization", "proxy-authorization", "authentication-info", "proxy-authentication-info",
  ]
  /// What someone who reads it could try passwords against.
  private static let proofs = ["response", "cnonce", "rspauth", "nextnonce"]

  /// `text` without its secrets; it need not be a sound message.
  package static func redacted(_ text: String) -> String {
    var result = ""
    var isCredentials = false
    var rest = text[...]
    while !rest.isEmpty {
      let end = rest.firstIndex { $0.isNewline } ?? rest.endIndex
      let line = rest[..<end]
      let after = end < rest.endIndex ? rest.index(after: end) : end
      // A line that begins with a blank goes on with the field above (RFC 3261 §7.3.1).
      if !(line.first == " " || line.first == "\t") {
        let name = line.prefix { $0 != ":" }.lowercased().filter { $0 != " " && $0 != "\t" }
        isCredentials = self.credentials.contains(name)
      }
      result += isCredentials ? self.redacted(credentials: line) : String(line)
      result += rest[end..<after]
      rest = rest[after...]
    }
    return self.withoutPasswords(SDPRedaction.redacted(result))
  }

  private static func redacted(credentials line: Substring) -> String {
    let value = line.firstIndex(of: ":").map { line[line.index(after: $0)...] } ?? line
    let isParameters =
      value.contains("=")
      && (line.lowercased().contains("digest ") || line.first?.isBlank == true
        || line.lowercased().contains("authentication-info"))
    guard isParameters else {
      let scheme = value.drop(while: \.isBlank).prefix { !$0.isBlank }
      return "\(line[..<value.startIndex]) \(scheme) \(self.mark)"
    }
    var parts: [String] = []
    var current = ""
    var isQuoted = false
    for character in line {
      if character == "\"" { isQuoted.toggle() }
      if character == ",", !isQuoted {
        parts.append(current)
        current = ""
      } else {
        current.append(character)
      }
    }
    parts.append(current)
    return parts.map { self.redacted(parameter: $0) }.joined(separator: ",")
  }

  private static func redacted(parameter: String) -> String {
    guard let equals = parameter.firstIndex(of: "=") else { return parameter }
    let name = parameter[..<equals].split { $0.isBlank || $0 == ":" }.last?.lowercased() ?? ""
    return self.proofs.contains(name) ? "\(parameter[...equals])\"\(self.mark)\"" : parameter
  }

  /// `sip:user:password@host` without the password.
  private static func withoutPasswords(_ text: String) -> String {
    var result = ""
    var rest = text[...]
    while let scheme = ["sip:", "sips:"].compactMap({ rest.firstRange(of: $0) }).min(by: {
      $0.lowerBound < $1.lowerBound
    }) {
      result += rest[..<scheme.upperBound]
      rest = rest[scheme.upperBound...]
      let user = rest.prefix { $0 != "@" && $0 != ">" && $0 != ";" && $0 != " " && !$0.isNewline && $0 != "\"" }
      guard user.endIndex < rest.endIndex, rest[user.endIndex] == "@", let colon = user.firstIndex(of: ":") else {
        continue
      }
      result += "\(user[..<colon]):\(self.mark)"
      rest = rest[user.endIndex...]
    }
    return result + rest
  }
}
