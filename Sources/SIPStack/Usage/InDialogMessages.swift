/// An INFO of the peer; it was answered.
package struct IncomingInfo: Sendable {
  package let body: SIPBody?
  /// The digit, when it was DTMF in application/dtmf-relay or application/dtmf.
  package let digit: DTMFInfo?
  /// Of which kind it is, where it says so.
  package let package: InfoPackage?
  package let headers: SIPHeaders
}

/// A MESSAGE of a peer; it was answered with 200 (RFC 3428).
package struct IncomingMessage: Sendable {
  package let from: NameAddress
  package let to: NameAddress
  package let body: SIPBody?
  package let headers: SIPHeaders

  package init(from: NameAddress, to: NameAddress, body: SIPBody?, headers: SIPHeaders) {
    (self.from, self.to, self.body, self.headers) = (from, to, body, headers)
  }
}

/// One digit by INFO. There is no RFC for it: the de-facto forms of Cisco's `dtmf-relay` and of plain `dtmf`.
package struct DTMFInfo: Hashable, Sendable {
  /// 0 to 9, `*`, `#`, A to D, or `!` for a hook flash.
  package let digit: Character
  /// Milliseconds.
  package let duration: Int

  /// - Parameter duration: held between 1 and 10,000.
  package init?(digit: Character, duration: Int = 250) {
    guard let upper = digit.uppercased().first, Self.digits.contains(upper) else { return nil }
    self.digit = upper
    self.duration = min(max(duration, 1), 10_000)
  }

  private static let digits: [Character] = Array("0123456789*#ABCD!")
  /// The largest code is that of the flash (RFC 4733 §3.2).
  private static let flash = 16

  /// `Signal=5`, `Duration=250`.
  package var relayBody: SIPBody {
    SIPBody(
      contentType: "application/dtmf-relay", bytes: Array("Signal=\(self.digit)\r\nDuration=\(self.duration)\r\n".utf8))
  }

  /// The digit alone.
  package var plainBody: SIPBody { SIPBody(contentType: "application/dtmf", bytes: Array("\(self.digit)".utf8)) }

  /// Reads either form; nil when `body` is neither, or names no digit.
  package init?(_ body: SIPBody) {
    var scanner = TextScanner(body.contentType)
    let type = scanner.take(while: { $0 != .semicolon && $0 != .space && $0 != .tab })
    let text = String(decoding: body.bytes.prefix(256), as: UTF8.self)
    let lines = text.split(whereSeparator: \.isNewline)
    var fields: [(name: String, value: String)] = []
    for line in lines {
      let parts = line.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { continue }
      fields.append((parts[0].trimmed.lowercased(), parts[1].trimmed))
    }
    func value(_ name: String) -> String? { fields.first { $0.name == name }?.value }
    let duration = value("duration").flatMap { $0.decimal(upTo: 1_000_000) } ?? 250
    let signal: String?
    if type.isSame(ignoringCaseOf: "application/dtmf-relay") {
      signal = value("signal")
    } else if type.isSame(ignoringCaseOf: "application/dtmf") {
      signal = value("signal") ?? lines.first?.trimmed
    } else {
      return nil
    }
    guard let signal, let digit = Self.digit(signal) else { return nil }
    self.init(digit: digit, duration: duration)
  }

  /// `10` to `16` are codes of RFC 4733; a single character is itself.
  private static func digit(_ signal: String) -> Character? {
    if signal.count == 1 { return signal.first }
    guard let code = signal.decimal(upTo: Self.flash) else { return nil }
    return Self.digits[code]
  }
}

extension StringProtocol {
  var trimmed: String {
    var scanner = TextScanner(self)
    return scanner.rest()
  }
}
