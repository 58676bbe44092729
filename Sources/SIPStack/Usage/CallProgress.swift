/// A provisional response to our INVITE.
package struct CallProgress: Sendable {
  package let status: Int
  package let reason: String
  /// Early media's description.
  package let body: SIPBody?
  /// The early dialog, one for each fork that answers (RFC 3261 §12.1); nil when the response had no tag.
  package let dialog: DialogID?
  /// Whether it came reliably, so that a body in it is the answer, or the offer, and not only a preview (RFC 3262 §5).
  package let isReliable: Bool
  package let headers: SIPHeaders
}

extension CallProgress {
  init(_ response: ReceivedResponse, _ dialog: DialogID?, isReliable: Bool) {
    self.init(
      status: response.status, reason: response.reason, body: response.message.body, dialog: dialog,
      isReliable: isReliable, headers: response.message.headers)
  }
}
