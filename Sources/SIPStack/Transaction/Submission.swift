/// What belongs to one request over all the transactions that it takes: its account, the places left to try, and how
/// often it was challenged and redirected.
struct Submission {
  var account: SIPAccountID?
  /// Where the request goes when it fails on its path, in order (RFC 3263 §4.3).
  var alternatives: [SIPPath] = []
  /// The datagram's path, when the request was too large for it and went over TCP (RFC 3261 §18.1.1).
  var datagramFallback: SIPPath?
  /// Whether the request goes by UDP whatever its size, as TCP has failed.
  var staysOnUDP = false
  /// Whether it has gone over a new connection once, as the dialog's was lost.
  var hasReconnected = false
  var challenges = DigestClient.Attempts()
  /// The request URIs that redirects have led to, the first its own (RFC 3261 §8.1.3.4).
  var visited: [SIPURI] = []
  /// Contacts of redirects that are still to be tried, the best first.
  var redirects: [SIPURI] = []
}
