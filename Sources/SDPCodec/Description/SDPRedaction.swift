/// Takes secrets out of SDP text, or of any text with SDP in it, such as a SIP message on its way to a trace.
///
/// Hidden are the keys behind `inline:` (RFC 4568), and the values of `k=`, `a=ice-pwd` and `a=key-mgmt` lines. It works
/// on text that does not parse, because that is traced too.
package enum SDPRedaction {
  /// What stands in a secret's place.
  package static let mark = "<redacted>"

  /// `text` without its secrets; takes time linear in its length.
  package static func redacted(_ text: String) -> String {
    let source = Array(text.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(source.count)
    var index = 0
    while index < source.count {
      let atLineStart = index == 0 || source[index - 1] == 0x0A || source[index - 1] == 0x0D
      if atLineStart, let prefix = secretLines.first(where: { source.hasPrefix($0, at: index) }) {
        result += source[index..<index + prefix.count]
        index = source.end(of: isLineEnd, from: index + prefix.count)
        result += mark.utf8
      } else if source.hasPrefix(inline, at: index) {
        result += source[index..<index + inline.count]
        // Blanks before the key follow no grammar, yet must not let it through.
        index = source.end(of: { !isBlank($0) }, from: index + inline.count)
        index = source.end(of: endsKey, from: index)
        result += mark.utf8
      } else {
        result.append(source[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static let inline = Array("inline:".utf8)
  private static let secretLines = ["k=", "a=ice-pwd:", "a=key-mgmt:"].map { Array($0.utf8) }

  private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
  private static func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }
  private static func endsKey(_ byte: UInt8) -> Bool {
    isBlank(byte) || isLineEnd(byte) || byte == UInt8(ascii: "|") || byte == UInt8(ascii: ";")
  }
}

extension [UInt8] {
  /// Whether `prefix`, in lower case, stands at `index`, in any case.
  fileprivate func hasPrefix(_ prefix: [UInt8], at index: Int) -> Bool {
    guard self.count - index >= prefix.count else { return false }
    for offset in 0..<prefix.count {
      let byte = self[index + offset]
      let lower = byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte
      if lower != prefix[offset] { return false }
    }
    return true
  }

  /// The first index from `start` on whose byte satisfies `condition`, else the end.
  fileprivate func end(of condition: (UInt8) -> Bool, from start: Int) -> Int {
    var index = start
    while index < self.count, !condition(self[index]) { index += 1 }
    return index
  }
}
