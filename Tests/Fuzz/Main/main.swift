import CFuzz
import FuzzTargets
import Glibc
import Handoff

// `apus-fuzz`, with the parser's name in FUZZ_TARGET; the arguments are libFuzzer's.

enum Chosen {
  /// For libFuzzer's callback, which can capture nothing.
  static let target = Locked(FuzzTarget.sip)
}

let wanted = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
guard wanted != "list" else {
  print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
  exit(0)
}
guard let target = FuzzTarget(rawValue: wanted) else {
  print("FUZZ_TARGET must be one of: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
  exit(64)
}
Chosen.target.withLock { $0 = target }
exit(
  unsafe cfuzz_run(CommandLine.argc, CommandLine.unsafeArgv) { bytes, count in
    let input = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
    let bytes = unsafe Array(input)
    Chosen.target.withLock { $0 }.run(bytes)
    return 0
  })
