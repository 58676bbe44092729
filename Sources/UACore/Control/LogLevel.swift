/// How much of what happens is shown, by baresip's words: what matters less than the level is left out.
package enum LogLevel: Int, CaseIterable, Comparable, Sendable {
  /// Every event, as the program sees it.
  case debug
  case info
  case warn
  case error

  package init?(name: String) {
    guard let level = Self.allCases.first(where: { $0.name == name.lowercased() }) else { return nil }
    self = level
  }

  package var name: String { "\(self)" }

  /// One that shows more; the lowest is followed by the highest.
  package var lower: LogLevel { LogLevel(rawValue: self.rawValue - 1) ?? .error }

  package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }
}

extension AgentEvent {
  /// The highest level at which the event is still shown to people.
  package var importance: LogLevel {
    switch self {
    // What someone must act upon, or asked for.
    case .incoming, .message, .output, .transferFailed, .status, .logLevel, .quit: .error
    case .registration(_, .failed): .error
    case .ended(let report): report.failure == nil ? .info : .error
    case .warning: .warn
    case .outgoing, .ringing, .progress, .established, .secured, .mediaEstablished, .digit, .held, .transfer,
      .sourceEnded, .registration, .messageWaiting, .contact, .lateCandidates:
      .info
    }
  }
}
