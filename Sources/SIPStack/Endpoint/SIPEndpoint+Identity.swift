/// What a session is called outside this endpoint.
extension SIPEndpoint {
  /// The Call-ID of a session that is not over; nil for one that is not known.
  package func callID(of id: SessionID) -> String? {
    guard let session = self.sessions[id] else { return nil }
    if let dialog = session.dialog { return dialog.id.callID }
    if case .calling(let transaction, _) = session.state { return transaction.request.headers["Call-ID"] }
    return nil
  }
}
