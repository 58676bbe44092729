package import NetBase
package final class SIPEndpoint {
  package init(configuration: SIPConfiguration, generator: SeededGenerator) {}
  package func receive(_ bytes: RawSpan, from source: SocketAddress, on local: SocketAddress, transport: SIPTransportKind, now: Instant) {}
  package func transportFailed(to address: SocketAddress, error: String, now: Instant) {}
  package func timeout(now: Instant) {}
  package var nextDeadline: Instant? { nil }
  package func nextAction() -> SIPAction? { nil }
  package func invite(_ request: OutgoingInvite, now: Instant) -> SessionID { SessionID(value: 1) }
  package func ring(_ id: SessionID, status: Int, reason: String?, body: SIPBody?, now: Instant) {}
  package func accept(_ id: SessionID, body: SIPBody?, now: Instant) {}
  package func reject(_ id: SessionID, status: Int, reason: String?, headers: [(String, String)], now: Instant) {}
  package func hangUp(_ id: SessionID, now: Instant) {}
  package func reinvite(_ id: SessionID, body: SIPBody, now: Instant) {}
  package func acceptReinvite(_ id: SessionID, body: SIPBody, now: Instant) {}
  package func rejectReinvite(_ id: SessionID, status: Int, now: Instant) {}
}
