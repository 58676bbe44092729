internal import CSRTP

/// libsrtp2's process-wide state: initialised once, by whichever thread comes first.
package enum SRTPLibrary {
  /// A global is initialised once and thread-safely, which `srtp_init` is not by itself.
  private static let initialisation: UInt32 = {
    let status = srtp_init()
    guard status == srtp_err_status_ok else { return status.rawValue }
    // Without these, SSRC collisions and key limits are reported on standard error; results and counters tell them.
    _ = unsafe srtp_install_event_handler { _ in }
    _ = srtp_install_log_handler(nil, nil)
    return status.rawValue
  }()

  /// Initialises it now; the first time takes some 25 ms, so an agent does it before its first call.
  package static func start() throws(SRTPError) {
    guard self.initialisation == 0 else { throw .libraryUnavailable(status: self.initialisation) }
  }
}

/// What libsrtp2 says of itself.
package var srtpLibraryVersion: String { unsafe String(cString: srtp_get_version_string()) }
