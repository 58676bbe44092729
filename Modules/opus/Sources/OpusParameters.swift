/// The `a=fmtp` parameters of Opus (RFC 7587 §6.1); each side states what it likes to receive.
package struct OpusParameters: Hashable, Sendable {
  /// Bit/s, 6000 to 510000; nil when not stated.
  package var maxAverageBitrate: Int?
  /// Hz, 8000 to 48000; nil when not stated.
  package var maxPlaybackRate: Int?
  /// Nil when not stated, which means no.
  package var stereo: Bool?
  /// Whether the side that states it is likely to send stereo.
  package var spropStereo: Bool?
  package var cbr: Bool?
  package var useInbandFEC: Bool?
  package var useDTX: Bool?

  package init(
    maxAverageBitrate: Int? = nil, maxPlaybackRate: Int? = nil, stereo: Bool? = nil, spropStereo: Bool? = nil,
    cbr: Bool? = nil, useInbandFEC: Bool? = nil, useDTX: Bool? = nil
  ) {
    self.maxAverageBitrate = maxAverageBitrate
    self.maxPlaybackRate = maxPlaybackRate
    self.stereo = stereo
    self.spropStereo = spropStereo
    self.cbr = cbr
    self.useInbandFEC = useInbandFEC
    self.useDTX = useDTX
  }
}

extension OpusParameters {
  /// Reads what a peer stated; what is unknown or malformed counts as not stated.
  package init(_ text: String?) {
    self.init()
    for item in (text ?? "").split(separator: ";") {
      let parts = item.split(separator: "=", maxSplits: 1)
      guard parts.count == 2 else { continue }
      let value = parts[1].trimmed
      switch parts[0].trimmed.lowercased() {
      case "maxaveragebitrate": self.maxAverageBitrate = Int(value).map { min(max($0, 6000), 510_000) }
      case "maxplaybackrate": self.maxPlaybackRate = Int(value).map { min(max($0, 8000), 48_000) }
      case "stereo": self.stereo = flag(value)
      case "sprop-stereo": self.spropStereo = flag(value)
      case "cbr": self.cbr = flag(value)
      case "useinbandfec": self.useInbandFEC = flag(value)
      case "usedtx": self.useDTX = flag(value)
      default: continue
      }
    }
  }

  /// As in SDP; only what is stated.
  package var text: String {
    var items: [String] = []
    func add(_ name: String, _ value: Bool?) {
      if let value { items.append("\(name)=\(value ? 1 : 0)") }
    }
    add("stereo", self.stereo)
    add("sprop-stereo", self.spropStereo)
    if let rate = self.maxAverageBitrate { items.append("maxaveragebitrate=\(rate)") }
    if let rate = self.maxPlaybackRate { items.append("maxplaybackrate=\(rate)") }
    add("cbr", self.cbr)
    add("useinbandfec", self.useInbandFEC)
    add("usedtx", self.useDTX)
    return items.joined(separator: ";")
  }
}

private func flag(_ value: some StringProtocol) -> Bool? {
  switch value {
  case "1": true
  case "0": false
  default: nil
  }
}

extension Substring {
  fileprivate var trimmed: Substring {
    var text = self
    while text.first?.isWhitespace == true { text.removeFirst() }
    while text.last?.isWhitespace == true { text.removeLast() }
    return text
  }
}
