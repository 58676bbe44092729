internal import CLinux
internal import Glibc

/// A joinable POSIX thread.
struct Thread: Sendable {
  private let handle: pthread_t

  /// - Returns: nil when the system has no thread left.
  init?(name: String, _ body: @escaping @Sendable () -> Void) {
    guard let handle = startThread(name, body) else { return nil }
    self.handle = handle
  }

  func join() { pthread_join(self.handle, nil) }
}

/// A thread that nobody waits for, for calls that block, which the threads of Swift's concurrency must never make; it ends
/// with its body, or with the process.
package enum DetachedThread {
  /// - Returns: false when the system has no thread left.
  package static func start(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
    guard let handle = startThread(name, body) else { return false }
    pthread_detach(handle)
    return true
  }
}

private final class Body: Sendable {
  let run: @Sendable () -> Void
  init(_ run: @escaping @Sendable () -> Void) { self.run = run }
}

private func startThread(_ name: String, _ body: @escaping @Sendable () -> Void) -> pthread_t? {
  var handle = pthread_t()
  // Retained once here, and released once: by the thread, or below where there is none.
  let retained = unsafe Unmanaged.passRetained(
    Body {
      unsafe clinux_name_thread(name)
      body()
    })
  let status = unsafe pthread_create(
    &handle, nil,
    { argument in
      guard let argument = unsafe argument else { return nil }
      // The one release of what was retained for this thread.
      unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
      return nil
    }, retained.toOpaque())
  guard status == 0 else {
    unsafe retained.release()
    return nil
  }
  return handle
}

/// A result that one thread waits for and another brings.
@safe final class Gate<Result: Sendable>: @unchecked Sendable {  // every access takes the lock
  private var result: Result?
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    unsafe pthread_mutex_init(self.mutex, nil)
    unsafe pthread_cond_init(self.condition, nil)
  }

  deinit {
    unsafe pthread_mutex_destroy(self.mutex)
    unsafe pthread_cond_destroy(self.condition)
    unsafe self.mutex.deallocate()
    unsafe self.condition.deallocate()
  }

  func open(_ result: Result) {
    unsafe pthread_mutex_lock(self.mutex)
    self.result = result
    unsafe pthread_cond_signal(self.condition)
    unsafe pthread_mutex_unlock(self.mutex)
  }

  func wait() -> Result {
    unsafe pthread_mutex_lock(self.mutex)
    defer { unsafe pthread_mutex_unlock(self.mutex) }
    while true {
      if let result = self.result { return result }
      unsafe pthread_cond_wait(self.condition, self.mutex)
    }
  }
}
