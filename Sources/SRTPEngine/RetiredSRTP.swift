internal import CSRTP
internal import CTransform

/// SRTP contexts that no one uses any more; freed with this value, on whichever thread that is.
///
/// Freeing one of libsrtp2's takes about 0.5 ms, so a transport's executor hands them to main.
// Unchecked: the contexts are reachable through this value only.
@safe package struct RetiredSRTP: ~Copyable, @unchecked Sendable {
  private var sessions: [srtp_t]
  private var keys: [OpaquePointer]

  init() {
    unsafe self.sessions = []
    unsafe self.keys = []
  }

  deinit {
    for index in unsafe self.sessions.indices { _ = unsafe srtp_dealloc(self.sessions[index]) }
    for index in unsafe self.keys.indices { unsafe ctransform_destroy(self.keys[index]) }
  }

  /// Contexts waiting to be freed.
  package var count: Int { unsafe self.sessions.count + self.keys.count }

  /// A bag with `session` and what `others` holds, unless that is a lot: an owner that never empties it pays itself.
  init(adding session: consuming SRTPSession, to others: consuming RetiredSRTP?) {
    self.init()
    if var others = consume others, others.count < 8 {
      unsafe swap(&self.sessions, &others.sessions)
      unsafe swap(&self.keys, &others.keys)
    }
    self.add(session)
  }

  mutating func add(_ session: consuming SRTPSession) { session.release(into: &self) }

  mutating func add(_ session: consuming LibrarySession) { unsafe self.sessions.append(session.release()) }

  mutating func add(_ session: consuming OpenSSLSession) {
    let keys = session.releaseKeys()
    unsafe self.keys.append(keys.release())
  }
}
