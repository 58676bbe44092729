import Glibc
import ModuleKit
import NetBase
import TestSupport
import Testing
import aufile

@testable import UACore

/// Recordings whose disk takes no more in the middle of a call; in a process of its own, whose files may not grow far.
@Suite struct DiskFullTests {
  /// Bytes: a second and a quarter of speech.
  private static let room = 20_000
  /// How much speech that is.
  static let milliseconds = Int64(room - 44) / 16

  @Test("a disk that is full changes no byte of a call, each loss is counted, and the file holds what it had room for")
  func whileRecording() async {
    let result = await #expect(processExitsWith: .success, observing: [\.standardOutputContent]) {
      var limit = rlimit(rlim_cur: rlim_t(DiskFullTests.room), rlim_max: rlim_t(DiskFullTests.room))
      // Else a write beyond the limit would be the end of the process.
      signal(SIGXFSZ, SIG_IGN)
      guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0 else { return print("no limit") }
      var tally = Tally()
      for seed in Seeds.chosen(debug: 20, release: 100) {
        for fault in try DiskFullTests.faults(seed: seed, &tally) {
          print("seed \(seed): \(fault); again: APUS_SEEDS=\(seed) swift test --filter DiskFullTests")
        }
      }
      print(tally.table(of: [.diskFull]))
      let missing = tally.missing([.diskFull], least: Seeds.count(debug: 0, release: 3))
      if !missing.isEmpty { print("seed : hardly ever: \(missing)") }
      let losses = AudioFile.losses
      print("\(losses.files > 0 && losses.units > 0 ? "sound" : "no disk was full"): \(losses)")
    }
    let output = String(decoding: result?.standardOutputContent ?? [], as: UTF8.self)
    print(output.split(separator: "\n").filter { $0.hasPrefix("tally: ") }.joined(separator: "\n"))
    #expect(output.contains("sound: ") && !output.contains("seed "), "\(output.prefix(2000))")
  }

  private static func faults(seed: UInt64, _ tally: inout Tally) throws -> [String] {
    var faults: [String] = []
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    let path = "\(folder)/apus-full-\(getpid())"
    let undisturbed = try WholeCall.run(seed: seed)
    let call = try WholeCall.run(seed: seed, recording: path)
    tally.add(call)
    if !AudioFile.flush() { faults.append("the file thread hangs") }
    if call.digest != undisturbed.digest { faults.append("another call than without") }
    let (here, there) = (call.sides.flatMap(\.reports), undisturbed.sides.flatMap(\.reports))
    if here.map({ "\($0.media)" }) != there.map({ "\($0.media)" }) { faults.append("other figures than without") }
    for side in call.sides {
      let party = side.party
      let name = "\(path)-\(party).wav"
      guard let bytes = self.bytes(of: name) else {
        if side.reports.contains(where: { $0.setup != nil }) { faults.append("\(party) has no file") }
        continue
      }
      unsafe unlink(name)
      let file = try bytes.withRawSpan { bytes throws(WAVError) in try WAVFile(bytes) }
      if bytes.count > self.room { faults.append("\(party)'s file has \(bytes.count) bytes") }
      let declared = (0..<4).reduce(0) { $0 | Int(bytes[40 + $1]) << (8 * $1) }
      if bytes.count < self.room, bytes.count - 44 != declared {
        faults.append("\(party)'s file says \(declared) bytes, and holds \(bytes.count - 44)")
      }
      // 20 ms at 8 kHz each.
      let played = side.reports.reduce(0) { $0 + $1.media.playedFrames } * 320
      if 44 + played <= self.room, !call.scenario.restarts(party), bytes.count != 44 + played {
        faults.append("\(party)'s file has \(bytes.count - 44) bytes, \(played) were played")
      }
      if file.samples.count * 2 != declared { faults.append("\(party)'s file says more than it holds") }
    }
    return faults
  }

  private static func bytes(of path: String) -> [UInt8]? {
    guard let file = unsafe fopen(path, "r") else { return nil }
    defer { unsafe fclose(file) }
    let most = self.room * 2
    return unsafe [UInt8](unsafeUninitializedCapacity: most) { buffer, count in
      count = unsafe fread(buffer.baseAddress, 1, most, file)
    }
  }
}
