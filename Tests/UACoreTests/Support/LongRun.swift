import Glibc

/// Whether this is a run of `Scripts/test --long`, where long counts are wanted.
enum LongRun {
  static let isOn = unsafe getenv("APUS_LONG").map { unsafe String(cString: $0) } == "1"
}
