// SoakCalls SECONDS CALLS PACE: the soak of Tests/Soaking as a program, for Valgrind, beneath which everything takes some
// thirty times as long: so many calls at once in each receive mode, and so many milliseconds between two steps of theirs.
//
// Exits with 0 when calls were re-keyed and ended, and each ended by a hang-up with nothing lost or dropped but what waited
// in vain for keys that took longer than half a second.
internal import Glibc
internal import Soaking

func fail(_ what: String) -> Never {
  print("failed: \(what)")
  exit(1)
}

let numbers = CommandLine.arguments.dropFirst().compactMap { Int($0) }
guard numbers.count == 3, numbers.allSatisfy({ $0 > 0 }) else { fail("usage: SoakCalls SECONDS CALLS PACE") }
let soak = Soak(callsPerMode: numbers[1], pace: numbers[2], isSlow: true)
do { try await soak.run(seconds: Int64(numbers[0]), every: 1) } catch { fail("\(error)") }
let summary = await soak.summary(every: 1)
print(summary)
guard summary.contains("\n0 faults"), !summary.contains(", 0 changes of keys"), !summary.hasPrefix("0 ends") else {
  fail("see above")
}
