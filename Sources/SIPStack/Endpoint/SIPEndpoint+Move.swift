package import NetBase

/// A session that goes on from another address: what a change of network asks for.
extension SIPEndpoint {
  /// The way of a session's next request; nil while there is no dialog.
  package func path(of id: SessionID) -> SIPPath? { self.sessions[id]?.dialog?.path }

  /// Sends what comes next of a session from `local`, and names it in Contact, where the address before was named.
  ///
  /// Nothing is sent: a re-INVITE or an UPDATE must follow to tell the peer (RFC 3261 §12.2.1.1).
  ///
  /// - Parameter flow: the connection that leads from the new address to the same next hop; nil where none is known.
  package func move(_ id: SessionID, to local: SocketAddress, flow: SIPFlow? = nil) {
    guard let session = self.sessions[id] else { return }
    for record in session.earlyDialogs + (session.dialog.map { [$0] } ?? []) {
      let former = record.start.local
      record.contact = record.contact.moved(from: former, to: local)
      session.contact = session.contact.moved(from: former, to: local)
      (record.start.local, record.start.flow) = (local, flow)
    }
  }
}

extension NameAddress {
  /// The same name at our new address; another one, as a registrar gives it out (GRUU), stays.
  fileprivate func moved(from former: SocketAddress, to local: SocketAddress) -> NameAddress {
    guard self.uri.host == former.uriHost else { return self }
    var moved = self
    moved.uri.host = local.uriHost
    moved.uri.port = local.port
    return moved
  }
}
