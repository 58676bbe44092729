/// What relays made us drop, by reason, both ways, each datagram once; and how often one was lost.
package struct RelayCounters: Hashable, Sendable {
  /// For a peer that a server gives no permission for, or by a relay that is gone.
  package var refused = 0
  /// Of more peers, or for a peer whose permission is not there yet, than there is room for.
  package var full = 0
  /// From a peer that we asked no permission for, or that was refused.
  package var unpermitted = 0
  /// On a channel that is bound to nobody.
  package var unbound = 0
  /// Connections to servers that ended while they relayed.
  package var lost = 0

  package init() {}

  package static func += (sum: inout RelayCounters, other: RelayCounters) {
    sum.refused += other.refused
    sum.full += other.full
    sum.unpermitted += other.unpermitted
    sum.unbound += other.unbound
    sum.lost += other.lost
  }
}
