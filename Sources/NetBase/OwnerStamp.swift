internal import Glibc

/// Shows who calls a C handle: the sanitizers cannot see inside a C library.
///
/// Each wrapper of a handle holds one and touches it before each call. The counter is deliberately plain: a second
/// thread without a hand-over is a race on it, which ThreadSanitizer reports. Debug builds also trap when a thread calls
/// that is not the one that called first.
package struct OwnerStamp {
  private var calls: UInt = 0
  #if DEBUG
    private let handle: StaticString
    private var owner: pthread_t?
  #endif

  /// - Parameter handle: what is wrapped, for the trap's message; for example `an Opus encoder`.
  package init(_ handle: StaticString) {
    #if DEBUG
      self.handle = handle
    #endif
  }

  /// To be called before each call of the C library.
  package mutating func touch() {
    self.calls &+= 1
    #if DEBUG
      let caller = pthread_self()
      if let owner = self.owner {
        precondition(pthread_equal(owner, caller) != 0, "\(self.handle) was called off its owner's thread")
      } else {
        self.owner = caller
      }
    #endif
  }

  /// The next call comes from the new owner, whichever thread that is.
  package mutating func adopt() {
    #if DEBUG
      self.owner = nil
    #endif
  }
}
