import Glibc
import Soaking
import Testing

/// Many calls at once for a while, with all that may happen to them; `APUS_LONG=1` for an hour, `APUS_SOAK` for so many
/// seconds. In a process of its own, since descriptors, threads and memory are the process's.
@Suite(.timeLimit(.minutes(70))) struct SoakTests {
  private static let seconds: Int64 =
    Self.number("APUS_SOAK") ?? (Self.number("APUS_LONG") == 1 ? 3600 : 8)

  private static func number(_ variable: String) -> Int64? {
    unsafe getenv(variable).flatMap { unsafe Int64(String(cString: $0)) }
  }

  @Test("calls that are re-keyed, held, transferred, hung up and redialled lose nothing")
  func soak() async {
    let result = await #expect(
      processExitsWith: .success, observing: [\.standardOutputContent, \.standardErrorContent]
    ) {
      let every = max(1, SoakTests.seconds / 100)
      // Under ThreadSanitizer, beside other tests, a key may come after half a second.
      let soak = Soak(isSlow: unsafe dlsym(nil, "__tsan_init") != nil)
      do { try await soak.run(seconds: SoakTests.seconds, every: every) } catch { return print("\(error)") }
      print(await soak.summary(every: every))
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    print(output)
    #expect(output.contains("\n0 faults"), "\(String(decoding: result?.standardErrorContent ?? [], as: UTF8.self))")
    #expect(!output.contains(", 0 changes of keys"))
  }
}
