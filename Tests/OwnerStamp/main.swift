// Two threads use one handle. Compiled with ThreadSanitizer and `Sources/NetBase/OwnerStamp.swift` by RepoRules, as a
// release build is: no trap, so it is the sanitizer that must speak. With the argument `handed`, the second thread begins
// when the first has ended: a hand-over, and nothing to report.
import Glibc

final class Wrapper: @unchecked Sendable {
  private var stamp = OwnerStamp("a handle")
  func call() { self.stamp.touch() }
}

let wrapper = Wrapper()

func start() -> pthread_t {
  var thread = pthread_t()
  pthread_create(
    &thread, nil,
    { _ in
      for _ in 0..<1000 { wrapper.call() }
      return nil
    }, nil)
  return thread
}

wrapper.call()
let first = start()
if CommandLine.arguments.contains("handed") { pthread_join(first, nil) }
let second = start()
if !CommandLine.arguments.contains("handed") { pthread_join(first, nil) }
pthread_join(second, nil)
print("done")
