import CFuzz
import Glibc
import Handoff
import NetBase

// `apus-fuzz`, with the parser's name in FUZZ_TARGET; the arguments are libFuzzer's.

let wanted = unsafe getenv("FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
guard wanted != "list" else {
  print(FuzzTarget.allCases.map(\.rawValue).joined(separator: "\n"))
  exit(0)
}
guard let target = FuzzTarget(rawValue: wanted) else {
  print("FUZZ_TARGET must be one of: \(FuzzTarget.allCases.map(\.rawValue).joined(separator: " "))")
  exit(64)
}
FuzzTarget.chosen.withLock { $0 = target }
exit(
  unsafe cfuzz_run(CommandLine.argc, CommandLine.unsafeArgv) { bytes, count in
    let input = unsafe UnsafeRawBufferPointer(start: bytes, count: count)
    let bytes = unsafe Array(input)
    FuzzTarget.chosen.withLock { $0 }.run(bytes)
    return 0
  })
