import Glibc
import NetBase
import Testing

/// Who calls a C handle is seen: by a trap in debug builds, by ThreadSanitizer in its own.
@Suite struct OwnerStampTests {
  #if DEBUG
    private static let stamp = {
      var stamp = OwnerStamp("a handle")
      stamp.touch()
      return stamp
    }()

    @Test("a debug build traps when a second thread calls, unless it adopted the handle")
    func owner() async {
      let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
        OwnerStampTests.touchTwice(adopting: false)
      }
      let said = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
      #expect(said.contains("a handle was called off its owner's thread"), "\(said)")
      await #expect(processExitsWith: .success) { OwnerStampTests.touchTwice(adopting: true) }
    }

    private static func touchTwice(adopting: Bool) {
      _ = Self.stamp
      var thread = pthread_t()
      unsafe pthread_create(&thread, nil, adopting ? Self.adopted : Self.called, nil)
      pthread_join(thread, nil)
    }

    private static let called: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
      var stamp = OwnerStampTests.stamp
      stamp.touch()
      return nil
    }

    private static let adopted: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
      var stamp = OwnerStampTests.stamp
      stamp.adopt()
      stamp.touch()
      return nil
    }
  #endif
}
