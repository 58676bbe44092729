package import NetBase

/// One question of the endpoint's for the place of a URI.
package struct LocationID: Hashable, Sendable {
  package let value: UInt64
}

/// What a location is for.
enum LocationUse {
  case redirect(ClientTransaction, SIPURI, Submission)
  case request(RequestID, SIPMessage, Submission, local: SocketAddress)
  case registration(RegistrationID, attempt: Int)
}

extension SIPEndpoint {
  /// The answer to a `locate` event: at least one target, or why there is none.
  package func located(_ id: LocationID, _ targets: [SIPTarget], reason: String = "no address", now: Instant) {
    guard let use = self.locations.removeValue(forKey: id) else { return }
    switch use {
    case .redirect(let transaction, let uri, let submission):
      self.follow(transaction, to: uri, submission, targets, now)
    case .request(let request, let message, let submission, let local):
      self.located(request, message, submission, targets, local: local, reason: reason, now)
    case .registration(let registration, let attempt):
      self.located(registration, attempt: attempt, targets, reason: reason, now)
    }
  }

  func locate(_ uri: SIPURI, _ use: LocationUse) {
    let id = LocationID(value: self.newIdentifier())
    self.locations[id] = use
    self.emit(.locate(id, uri))
  }
}
