/// The `a=fmtp` parameters of H.264 that matter to who passes it on (RFC 6184 §8.1).
struct H264Parameters {
  /// Six hexadecimal digits; nil when not stated.
  private(set) var profileLevelID: String?
  /// 0 or 1; nil when not stated, which means 0.
  private(set) var packetizationMode: Int?
  private var allowsLevelAsymmetry = false

  /// Nil for a mode that is interleaved or unknown, and for a profile that is none.
  init?(_ text: String?) {
    for item in (text ?? "").split(separator: ";") {
      let parts = item.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let value = trimmed(parts[1])
      switch trimmed(parts[0]).lowercased() {
      case "profile-level-id":
        guard value.utf8.count == 6, value.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        self.profileLevelID = String(value)
      case "packetization-mode":
        guard value == "0" || value == "1" else { return nil }
        self.packetizationMode = value == "1" ? 1 : 0
      case "level-asymmetry-allowed": self.allowsLevelAsymmetry = value == "1"
      default: continue
      }
    }
  }

  /// As in SDP; nil when nothing is stated.
  var text: String? {
    var items: [String] = []
    if let profileLevelID { items.append("profile-level-id=\(profileLevelID)") }
    if let packetizationMode { items.append("packetization-mode=\(packetizationMode)") }
    if self.allowsLevelAsymmetry { items.append("level-asymmetry-allowed=1") }
    return items.isEmpty ? nil : items.joined(separator: ";")
  }
}

private func trimmed(_ text: Substring) -> Substring {
  var text = text
  while text.first?.isWhitespace == true { text.removeFirst() }
  while text.last?.isWhitespace == true { text.removeLast() }
  return text
}
