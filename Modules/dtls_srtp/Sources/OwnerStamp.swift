internal import Glibc

/// Makes a second thread visible: sanitizers can't look inside libssl, but they see this counter.
struct OwnerStamp {
  private var calls: UInt64 = 0
  #if DEBUG
    private var owner: pthread_t?
  #endif

  /// Before each call into the library; traps in debug builds when it comes from another thread than the first one.
  mutating func touch() {
    self.calls &+= 1
    #if DEBUG
      let caller = pthread_self()
      if let owner = self.owner {
        precondition(pthread_equal(owner, caller) != 0, "a DTLS association was called off its owner's thread")
      } else {
        self.owner = caller
      }
    #endif
  }
}
