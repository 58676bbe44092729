internal import NetBase
internal import SIPStack

/// One account at work: how it calls and is called, and what its registrar says. Lives on main.
package final class LocalAccount {
  /// Where the account's registration is.
  package enum Registration: Hashable, Sendable {
    /// It doesn't register.
    case none
    case registering
    case registered
    case failed(String)
    case unregistered
  }

  /// Counts from 0, never used twice; commands know an account by its place in the list instead.
  package let number: Int
  package var settings: CallSettings
  package internal(set) var registration = Registration.none
  /// What the protocol machines know it by.
  var signalling: SIPAccountID?
  var registrationID: RegistrationID?
  /// What the registrar granted; nil while the account is not registered.
  var route: RegistrationResult?
  /// Whether its registrar has answered when it was last asked, while another account is registered in its place.
  var isRegistrarThere: Bool?
  var mailbox: SubscriptionID?
  /// By which way the mailbox's NOTIFYs come.
  var mailboxRoute: RegistrationResult?
  /// What its mailbox holds (RFC 3842), in one line; nil while nothing was heard.
  package internal(set) var messageWaiting: String?
  /// Header fields that `uaaddheader` adds to its calls.
  package internal(set) var headers: [(name: String, value: String)] = []

  init(number: Int, settings: CallSettings) {
    self.number = number
    self.settings = settings
  }

  /// `sip:user@host`.
  package var aor: String { self.settings.identity }

  /// The user part, as it stands in the address.
  var user: String? { (try? SIPURI(self.settings.identity))?.user }
}
