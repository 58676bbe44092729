/// The request that offers a running call's new keys (`rekey_method`).
package enum RekeyMethod: String, CaseIterable, Sendable {
  case invite
  /// RFC 3311. A peer that does not allow it gets the re-INVITE.
  case update
}
