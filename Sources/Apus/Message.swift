extension UserAgent {
  /// An instant message that came in (RFC 3428).
  public struct Message: Hashable, Sendable {
    /// The sender's SIP URI, as From has it: without an account at a proxy that checks it, anyone can write anything there.
    public let sender: String
    /// For example `text/plain;charset=UTF-8`.
    public let contentType: String
    /// The body as UTF-8, what is none replaced.
    public let text: String
  }
}
