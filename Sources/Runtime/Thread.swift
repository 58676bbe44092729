internal import CLinux
internal import Glibc

/// A joinable POSIX thread.
struct Thread: Sendable {
  private let handle: pthread_t

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  init(name: String, _ body: @escaping @Sendable () -> Void) {
    var handle = pthread_t()
    let argument = unsafe Unmanaged.passRetained(
      Body {
        unsafe clinux_name_thread(name)
        body()
      }
    ).toOpaque()
    let status = unsafe pthread_create(
      &handle, nil,
      { argument in
        guard let argument = unsafe argument else { return nil }
        unsafe Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
        return nil
      }, argument)
    precondition(status == 0, "no more threads")
    self.handle = handle
  }

  func join() { pthread_join(self.handle, nil) }
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
