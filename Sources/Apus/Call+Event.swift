extension Call {
  /// What happens to a call.
  public enum Event: Sendable, Equatable {
    /// The peer's telephone rings (180); more than once, where it says so again.
    case ringing
    /// The call was answered, by either side. A `PeerConnection`'s has both descriptions.
    case established
    /// Media is encrypted both ways, with this SRTP profile, for example `AEAD_AES_128_GCM`.
    case secured(String)
    /// A key of the peer's was pressed: 0-9, *, # or A-D, or ! for a flash of the hook.
    case digit(Character)
    /// Whether the peer holds us from now on.
    case heldByPeer(Bool)
    /// What ICE servers said after a description of a `PeerConnection` had left, each for the peer's `add(candidate:)`, a
    /// browser's `addIceCandidate`; the last ones of that description, none where they said nothing new.
    case lateCandidates([String], mediaID: String?)
    /// The peer did not call whom it was asked to by `transfer(to:)`; why, in a few words. The call goes on, on hold.
    case transferFailed(String)
    /// The last event, with the `Summary`'s reason.
    case ended(String)
  }
}
