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

  /// `sip:user:password@host` without the password; byte by byte, for what joins letters hides nothing.
  private static func withoutPasswords(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var place = 0
    var end = 0
    var at: Int?
    while place < bytes.count {
      guard let user = self.afterScheme(bytes[place...]) else {
        result.append(bytes[place])
        place += 1
        continue
      }
      result += bytes[place..<user]
      place = user
      // Looked for once, however many schemes there are before it.
      if end < user {
        end = bytes[user...].firstIndex { self.endOfUser.contains($0) } ?? bytes.count
        at = bytes[user..<end].lastIndex(of: UInt8(ascii: "@"))
      }
      guard let last = at, last >= user, let colon = bytes[user..<last].firstIndex(of: UInt8(ascii: ":")) else {
        continue
      }
      result += bytes[user...colon]
      result += self.mark.utf8
      place = last
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static let endOfUser = Set("> \r\n\"".utf8)

  /// Where a URI goes on that begins here.
  private static func afterScheme(_ bytes: ArraySlice<UInt8>) -> Int? {
    for scheme in ["sip:", "sips:"] {
      let start = bytes.prefix(scheme.utf8.count)
      if start.elementsEqual(scheme.utf8, by: { $0 == $1 || $0 | 0x20 == $1 && $1 != UInt8(ascii: ":") }) {
        return start.endIndex
      }
    }
    return nil
  }
}
