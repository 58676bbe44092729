/// What one call does of the extensions that both sides must agree about.
package struct CallPolicy: Hashable, Sendable {
  /// Provisional responses that the peer confirms with PRACK (RFC 3262).
  package enum ReliableProvisional: Hashable, Sendable {
    /// Neither offered nor accepted: a peer that requires it gets 420.
    case no
    /// Offered, and used whenever the peer can.
    case yes
    /// A peer that cannot gets 421, or answers 420.
    case required
  }

  package var reliableProvisional: ReliableProvisional
  package var sessionTimers: SessionTimerPolicy
  /// The kinds of INFO that are taken, besides digits.
  package var infoPackages: [InfoPackage]

  package init(
    reliableProvisional: ReliableProvisional = .no, sessionTimers: SessionTimerPolicy = SessionTimerPolicy(),
    infoPackages: [InfoPackage] = []
  ) {
    (self.reliableProvisional, self.sessionTimers) = (reliableProvisional, sessionTimers)
    self.infoPackages = infoPackages
  }
}

/// What one call does of session timers (RFC 4028).
package struct SessionTimerPolicy: Hashable, Sendable {
  package enum Use: Hashable, Sendable {
    /// Not even Supported.
    case no
    /// Taken part in when the peer asks for it.
    case accepted
    /// Asked for; a peer that cannot has a call without.
    case requested
    /// Asked for with Require; a peer that cannot refuses the call with 420.
    case required
  }

  /// Who refreshes, where this side may choose.
  package enum Refresher: Hashable, Sendable { case unspecified, local, remote }

  package var use: Use
  /// Session-Expires in seconds: how long a session lives without refresh.
  package var interval: Int
  /// Min-SE in seconds: a shorter Session-Expires of the peer gets 422; 90 at least (RFC 4028 §5).
  package var minimum: Int
  package var refresher: Refresher

  package init(use: Use = .accepted, interval: Int = 1800, minimum: Int = 90, refresher: Refresher = .unspecified) {
    (self.use, self.refresher) = (use, refresher)
    self.minimum = max(90, minimum)
    self.interval = max(self.minimum, interval)
  }

  var isSupported: Bool {
    switch self.use {
    case .no: false
    case .accepted, .requested, .required: true
    }
  }
}

extension CallPolicy {
  /// The value of Recv-Info (RFC 6086 §7.2.2).
  var receivedInfo: String { self.infoPackages.map(\.name).joined(separator: ", ") }
}
