package import SIPStack

/// What a caller says about being answered without anyone being asked: intercoms, click-to-dial.
package enum AutoAnswer {
  /// How calls of ours ask for it (`sip_autoanswer_method`).
  package enum Method: String, CaseIterable, Sendable {
    case rfc5373
    case callInfo = "call-info"
    case alertInfo = "alert-info"
  }

  /// Milliseconds until a call is answered by itself; nil where a person decides.
  static func delay(asked headers: SIPHeaders, settings: CallSettings) -> Int? {
    if settings.answerMode == .auto { return settings.answerDelay }
    guard settings.acceptsAutoAnswer, let seconds = Self.requestedDelay(headers) else { return nil }
    return seconds > 0 ? seconds * 1000 : settings.answerDelay
  }

  /// Seconds, as `Call-Info: …;answer-after=N`, `Alert-Info: …;info=alert-autoanswer;delay=N` or `Answer-Mode: Auto`
  /// (RFC 5373) ask for; nil when none does.
  package static func requestedDelay(_ headers: SIPHeaders) -> Int? {
    for value in headers.list("Call-Info") {
      if let text = Self.parameter("answer-after", of: value) { return Self.seconds(text) }
    }
    for value in headers.list("Alert-Info") {
      let info = Self.parameter("info", of: value)?.lowercased()
      guard info == "alert-autoanswer" || info == "auto-answer" || info == "alert-auto-answer" else { continue }
      return Self.parameter("delay", of: value).map { Self.seconds($0) } ?? 0
    }
    for name in ["Answer-Mode", "Priv-Answer-Mode"] {
      let word = headers[name]?.prefix { $0 != ";" && $0 != " " }.lowercased()
      if word == "auto" { return 0 }
    }
    return nil
  }

  /// The header field that asks for an automatic answer after so many seconds.
  ///
  /// - Parameter value: what stands between the angle brackets of Call-Info and Alert-Info.
  static func header(_ method: Method, seconds: Int, value: String) -> (String, String) {
    switch method {
    case .rfc5373: ("Answer-Mode", "Auto")
    case .callInfo: ("Call-Info", "<\(value)>;answer-after=\(seconds)")
    case .alertInfo: ("Alert-Info", "<\(value)>;info=alert-autoanswer;delay=\(seconds)")
    }
  }

  /// An hour at most: nobody waits longer.
  private static func seconds(_ text: String) -> Int { min(max(Int(text) ?? 0, 0), 3600) }

  private static func parameter(_ name: String, of value: String) -> String? {
    let start = value.lastIndex(of: ">").map { value.index(after: $0) } ?? value.startIndex
    for part in value[start...].split(separator: ";") {
      let pair = part.split(separator: "=", maxSplits: 1).map { $0.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
      if pair.count == 2, pair[0].lowercased() == name { return pair[1] }
    }
    return nil
  }
}
