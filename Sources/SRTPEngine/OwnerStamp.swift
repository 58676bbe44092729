internal import Glibc

/// Shows the sanitizers who calls a C handle: they cannot see inside libsrtp2.
///
/// The counter is deliberately plain: a second thread without a hand-over becomes a race that ThreadSanitizer reports.
/// Debug builds also trap when a thread calls that is not the one that called first.
struct OwnerStamp {
  private var calls: UInt = 0
  #if DEBUG
    private var owner: pthread_t?
  #endif

  /// To be called before each call of the C library.
  mutating func touch() {
    self.calls &+= 1
    #if DEBUG
      let caller = pthread_self()
      if let owner = self.owner {
        precondition(pthread_equal(owner, caller) != 0, "an SRTP context was called off its owner's thread")
      } else {
        self.owner = caller
      }
    #endif
  }

  /// The next call comes from the new owner, whichever thread that is.
  mutating func adopt() {
    #if DEBUG
      self.owner = nil
    #endif
  }
}
