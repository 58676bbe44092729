/// What `InboundKeys` refused, and what became of its keys.
package struct InboundCounters: Equatable, Sendable {
  package var accepted = 0
  /// Of these, authenticated under a key that is not the newest.
  package var acceptedUnderOlderKey = 0
  /// No key that is alive opens it: forged, or sent under a key that is retired or not here yet.
  package var authenticationFailures = 0
  package var replays = 0
  package var malformed = 0
  /// No key was installed.
  package var withoutKey = 0
  /// SRTCP with the E bit clear.
  package var notEncrypted = 0
  /// Its master key identifier names no key that is alive.
  package var unknownKeyIdentifiers = 0
  /// At an index at which only a newer key counts.
  package var superseded = 0
  /// Failures of the library itself.
  package var failures = 0
  /// Keys that went out of use, their master keys wiped.
  package var retiredGenerations = 0
  /// Of these, put out before their time because a fifth was installed.
  package var displacedGenerations = 0

  package init() {}

  mutating func add(_ result: SRTPResult) {
    switch result {
    case .ok: self.accepted += 1
    case .noKey: self.withoutKey += 1
    case .authenticationFailed: self.authenticationFailures += 1
    case .replayed: self.replays += 1
    case .supersededKey: self.superseded += 1
    case .unknownKeyIdentifier: self.unknownKeyIdentifiers += 1
    case .notEncrypted: self.notEncrypted += 1
    case .malformed: self.malformed += 1
    case .noRoom, .keyExpired, .failed: self.failures += 1
    }
  }
}
