internal import COpenSSL

/// Why OpenSSL refused: its error stack, drained.
package struct LibraryError: Error, Hashable, CustomStringConvertible {
  /// What was tried and OpenSSL's reasons, for the user.
  package let description: String
  /// The fatal alert that the peer sent, as OpenSSL words it.
  package let alert: String?

  /// Takes everything off this thread's error stack.
  static func drained(_ attempt: String) -> LibraryError {
    var reasons: [String] = []
    var alert: String?
    while true {
      let code = ERR_get_error()
      guard code != 0 else { break }
      let reason = ERR_GET_REASON(code)
      if ERR_GET_LIB(code) == ERR_LIB_SSL, reason >= alertOffset,
        let text = unsafe SSL_alert_desc_string_long(reason - alertOffset)
      {
        alert = unsafe String(cString: text)
      } else if let text = unsafe ERR_reason_error_string(code) {
        let reason = unsafe String(cString: text)
        if !reasons.contains(reason) { reasons.append(reason) }
      }
    }
    let detail = reasons.isEmpty ? "" : ": " + reasons.joined(separator: ", ")
    return LibraryError(description: attempt + detail, alert: alert)
  }

  /// Empties this thread's error stack: what an earlier call left there must not be read as the next one's.
  static func clear() { ERR_clear_error() }
}

/// OpenSSL's reasons from here on are alerts (SSL_AD_REASON_OFFSET).
private let alertOffset: Int32 = 1000
