internal import Glibc

/// What this process has used so far.
struct ProcessUsage {
  /// Seconds of processor time, user and system.
  let cpu: Double
  /// The largest resident size so far, KiB.
  let maximumResident: Int

  static var now: ProcessUsage {
    var usage = rusage()
    unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return ProcessUsage(cpu: seconds(usage.ru_utime) + seconds(usage.ru_stime), maximumResident: usage.ru_maxrss)
  }

  /// The resident size now, KiB.
  static var resident: Int {
    let text = readSmallFile("/proc/self/statm")
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) / 1024 : 0
  }

  private static func readSmallFile(_ path: String) -> String {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress, $0.count) }
    return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
  }
}
