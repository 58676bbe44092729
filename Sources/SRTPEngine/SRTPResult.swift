/// What became of a packet. Only `.ok` lets it pass: there is no pass-through in either direction.
package enum SRTPResult: Equatable, Sendable {
  /// Decrypted or encrypted, in place.
  case ok
  /// No key is installed: the packet can be parked, never passed.
  case noKey
  /// No key that is alive opens it.
  case authenticationFailed
  /// Its index was seen before, or is older than the replay window. This is looked at before it is authenticated, so a
  /// forged packet can end here.
  case replayed
  /// It was sent under an older key although the peer had moved on to a newer one at that index.
  case supersededKey
  /// Its master key identifier names no key that is alive.
  case unknownKeyIdentifier
  /// SRTCP with the E bit clear: authenticated, but readable to all; our profiles all encrypt.
  case notEncrypted
  /// Too short, or not RTP version 2, or its header runs past its end.
  case malformed
  /// The packet's memory lacks room for the trailer.
  case noRoom
  /// The key's lifetime is used up (RFC 3711 §9.2): nothing may be sent under it any more.
  case keyExpired
  /// The library failed in a way that is none of the packet's.
  case failed
}

/// How a key relates to the one before it.
package enum SRTPContinuity: Sendable {
  /// The rollover counter and the SRTCP index go on (SDES re-key, RFC 3711 §3.3.1).
  case carryRollover
  /// Everything starts anew (a new DTLS association).
  case fresh
}
