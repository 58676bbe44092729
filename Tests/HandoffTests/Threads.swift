import Glibc

/// Runs `body` on `count` POSIX threads at once, and waits for them; ThreadSanitizer sees both ends.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  let handles = (0..<count).map { index in
    var handle = pthread_t()
    unsafe pthread_create(
      &handle, nil,
      { argument in
        if let argument = unsafe argument {
          unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().run()
        }
        return nil
      }, unsafe Unmanaged.passRetained(Work { body(index) }).toOpaque())
    return handle
  }
  for handle in handles { pthread_join(handle, nil) }
}
