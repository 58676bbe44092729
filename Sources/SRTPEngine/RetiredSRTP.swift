internal import CSRTP

/// libsrtp2 sessions that no one uses any more; freed with this value, on whichever thread that is.
///
/// Freeing one takes about 0.5 ms, so a transport's executor hands them to main.
// Unchecked: the sessions are reachable through this value only.
@safe package struct RetiredSRTP: ~Copyable, @unchecked Sendable {
  private var handles: [srtp_t]

  init() { unsafe self.handles = [] }

  deinit {
    for index in unsafe self.handles.indices { _ = unsafe srtp_dealloc(self.handles[index]) }
  }

  /// Sessions waiting to be freed.
  package var count: Int { unsafe self.handles.count }

  /// A bag with `session` and what `others` holds, unless that is a lot: an owner that never empties it pays itself.
  init(adding session: consuming SRTPSession, to others: consuming RetiredSRTP?) {
    self.init()
    if var others = consume others, others.count < 8 {
      unsafe swap(&self.handles, &others.handles)
    }
    self.add(session)
  }

  mutating func add(_ session: consuming SRTPSession) { unsafe self.handles.append(session.release()) }
}
