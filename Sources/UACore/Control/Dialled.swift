internal import SDPCodec
internal import SIPStack

/// What a person has dialled, until it stands or is given up: whom to call again, and how. Lives on main.
final class Dialled {
  enum Stage: Equatable {
    /// Its host is looked for.
    case placing
    case calling(CallID)
    /// It is to be called again.
    case waiting
  }

  let target: SIPURI
  /// The account's number.
  let account: Int
  let headers: [(String, String)]
  let directions: CallDirections
  let userData: String?
  var stage = Stage.placing

  init(
    _ target: SIPURI, account: Int, headers: [(String, String)], directions: CallDirections, userData: String?
  ) {
    (self.target, self.account, self.headers) = (target, account, headers)
    (self.directions, self.userData) = (directions, userData)
  }
}
