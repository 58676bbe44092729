/// How many messages wait in a mailbox: the body of the `message-summary` package (RFC 3842 §5.2).
package struct MessageSummary: Hashable, Sendable {
  /// Messages of one class.
  package struct Count: Hashable, Sendable {
    package var new: Int
    package var old: Int
    package var urgentNew: Int
    package var urgentOld: Int

    package init(new: Int, old: Int, urgentNew: Int = 0, urgentOld: Int = 0) {
      (self.new, self.old, self.urgentNew, self.urgentOld) = (new, old, urgentNew, urgentOld)
    }
  }

  package var isWaiting: Bool
  /// The URI to call for the mailbox.
  package var account: String?
  package var voice: Count?

  package init(isWaiting: Bool, account: String?, voice: Count?) {
    (self.isWaiting, self.account, self.voice) = (isWaiting, account, voice)
  }

  /// Reads the body of a NOTIFY; nil when it is no message-summary, or does not say whether messages wait.
  package init?(_ body: SIPBody) {
    guard body.contentType.lowercased().hasPrefix("application/simple-message-summary") else { return nil }
    var isWaiting: Bool?
    (self.account, self.voice) = (nil, nil)
    for line in String(decoding: body.bytes.prefix(8_192), as: UTF8.self).split(whereSeparator: \.isNewline) {
      let parts = line.split(separator: ":", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let value = parts[1].trimmed
      switch parts[0].trimmed.lowercased() {
      case "messages-waiting": isWaiting = value.isSame(ignoringCaseOf: "yes")
      case "message-account": self.account = value
      case "voice-message": self.voice = Self.count(value)
      default: break
      }
    }
    guard let isWaiting else { return nil }
    self.isWaiting = isWaiting
  }

  /// `2/8 (0/2)`: new and old, urgent ones among them in brackets.
  private static func count(_ text: String) -> Count? {
    var scanner = TextScanner(text)
    guard let (new, old) = Self.pair(&scanner) else { return nil }
    scanner.skipWhitespace()
    guard scanner.take(UInt8(ascii: "(")), let (urgentNew, urgentOld) = Self.pair(&scanner) else {
      return Count(new: new, old: old)
    }
    return Count(new: new, old: old, urgentNew: urgentNew, urgentOld: urgentOld)
  }

  private static func pair(_ scanner: inout TextScanner) -> (Int, Int)? {
    scanner.skipWhitespace()
    guard let new = scanner.take(while: \.isDigit).decimal(upTo: Int(Int32.max)) else { return nil }
    scanner.skipWhitespace()
    guard scanner.take(.slash) else { return nil }
    scanner.skipWhitespace()
    guard let old = scanner.take(while: \.isDigit).decimal(upTo: Int(Int32.max)) else { return nil }
    return (new, old)
  }
}
