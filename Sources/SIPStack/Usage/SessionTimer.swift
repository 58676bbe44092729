internal import NetBase

/// When a session is refreshed, and when it is over for want of a refresh (RFC 4028 §10).
struct SessionTimer: Hashable {
  let interval: Int
  /// Whether it is for this side to refresh.
  let isRefresher: Bool
  /// Nil while a refresh is under way, and where the peer refreshes.
  var refreshAt: Instant?
  let expiresAt: Instant

  init(interval: Int, isRefresher: Bool, now: Instant) {
    (self.interval, self.isRefresher) = (interval, isRefresher)
    self.refreshAt = isRefresher ? now.advanced(by: .milliseconds(interval * 500)) : nil
    // A BYE is sent a little before the end, so that both sides agree about who is first.
    self.expiresAt = now.advanced(by: .seconds(interval - min(32, interval / 3)))
  }

  var nextDeadline: Instant { self.refreshAt.map { min($0, self.expiresAt) } ?? self.expiresAt }
}

/// The value of Session-Expires (RFC 4028 §4).
struct SessionExpires: Hashable, CustomStringConvertible {
  /// The refresher, as seen from the transaction of the message.
  enum Refresher: String { case uac, uas }

  var seconds: Int
  var refresher: Refresher?

  init(seconds: Int, refresher: Refresher?) { (self.seconds, self.refresher) = (seconds, refresher) }

  init?(_ text: String) {
    var scanner = TextScanner(text)
    scanner.skipWhitespace()
    guard let seconds = scanner.take(while: \.isDigit).decimal(upTo: Int(Int32.max)),
      let parameters = SIPParameters(&scanner, accepts: { $0.isHeaderParameter })
    else { return nil }
    scanner.skipWhitespace()
    guard scanner.isAtEnd else { return nil }
    self.init(seconds: seconds, refresher: parameters["refresher"].flatMap { Refresher(rawValue: $0.lowercased()) })
  }

  var description: String { "\(self.seconds)" + (self.refresher.map { ";refresher=\($0.rawValue)" } ?? "") }
}

extension SessionTimerPolicy {
  /// What our INVITE asks for.
  ///
  /// - Parameter minimum: the largest Min-SE that the path has named so far.
  func inviteHeaders(minimum: Int? = nil) -> [(String, String)] {
    switch self.use {
    case .no, .accepted: return minimum.map { [("Session-Expires", "\($0)"), ("Min-SE", "\($0)")] } ?? []
    case .requested, .required:
      let least = max(self.minimum, minimum ?? 0)
      let refresher: SessionExpires.Refresher? =
        switch self.refresher {
        case .unspecified: nil
        case .local: .uac
        case .remote: .uas
        }
      return [
        ("Session-Expires", "\(SessionExpires(seconds: max(self.interval, least), refresher: refresher))"),
        ("Min-SE", "\(least)"),
      ]
    }
  }

  /// What the 2xx to `request` says, and the timer that follows from it (RFC 4028 §9, table 2).
  func answer(to request: SIPMessage, _ peer: PeerCapabilities, now: Instant) -> ([(String, String)], SessionTimer?) {
    guard self.isSupported else { return ([], nil) }
    let asked = request.headers["Session-Expires"].flatMap { SessionExpires($0) }
    let least = request.headers["Min-SE"].flatMap { $0.trimmed.decimal(upTo: Int(Int32.max)) } ?? Self.shortest
    let seconds: Int
    switch (self.use, asked) {
    case (.no, _), (.accepted, nil): return ([], nil)
    case (.accepted, let asked?): seconds = max(asked.seconds, Self.shortest)
    case (_, let asked?): seconds = max(min(asked.seconds, max(self.interval, least)), Self.shortest)
    case (_, nil): seconds = max(self.interval, least)
    }
    let refresher: SessionExpires.Refresher
    if !peer.supportsTimers {
      refresher = .uas
    } else if let given = asked?.refresher {
      refresher = given
    } else {
      switch self.refresher {
      case .local: refresher = .uas
      case .remote, .unspecified: refresher = .uac
      }
    }
    var headers = [("Session-Expires", "\(SessionExpires(seconds: seconds, refresher: refresher))")]
    switch refresher {
    case .uac: headers.append(("Require", "timer"))
    case .uas: break
    }
    return (headers, SessionTimer(interval: seconds, isRefresher: refresher == .uas, now: now))
  }

  /// The timer that a 2xx to a request of ours brings; nil without one (RFC 4028 §7.2).
  func timer(from response: SIPMessage, now: Instant) -> SessionTimer? {
    guard self.isSupported, let given = response.headers["Session-Expires"].flatMap({ SessionExpires($0) }) else {
      return nil
    }
    return SessionTimer(
      interval: max(given.seconds, Self.shortest), isRefresher: given.refresher != .uas, now: now)
  }

  /// The least that RFC 4028 §5 allows; less is not believed.
  private static var shortest: Int { 90 }
}
