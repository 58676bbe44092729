extension String {
  /// As a terminal may be given it: control characters, by which a peer could steer it, are replaced, but for the ends of
  /// lines and tabs.
  ///
  /// - Parameter keepsStyles: whether control sequences that give colour stay, where they may be ours.
  func withoutControls(keepsStyles: Bool = false) -> String {
    var kept = String.UnicodeScalarView()
    var rest = self.unicodeScalars[...]
    while let scalar = rest.popFirst() {
      let isControl =
        switch scalar {
        case "\t", "\n": false
        case "\r": rest.first != "\n"
        case "\u{1B}" where keepsStyles: !Self.isStyle(rest)
        case "\0"..<" ", "\u{7F}"..."\u{9F}": true
        default: false
        }
      kept.append(isControl ? "\u{FFFD}" : scalar)
    }
    return String(kept)
  }

  /// Whether what is behind an escape makes a control sequence for colour of it.
  private static func isStyle(_ rest: Substring.UnicodeScalarView) -> Bool {
    rest.first == "[" && rest.dropFirst().first { !("0"..."9" ~= $0 || $0 == ";") } == "m"
  }
}
