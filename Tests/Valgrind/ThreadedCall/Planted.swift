internal import Glibc
internal import ModuleKit
internal import Runtime
internal import UACore

/// A C handle that two threads use, as none of ours must be used.
private final class SharedHandle: @unchecked Sendable {  // this is the fault
  private let resampler: Resampler

  init() throws {
    self.resampler = try Resampler(
      from: AudioFormat(sampleRate: 48_000, channels: 1), to: AudioFormat(sampleRate: 8000, channels: 1))
  }

  func call() {
    let input = [Int16](repeating: 1000, count: 960)
    var output = [Int16](repeating: 0, count: 160)
    var room = output.mutableSpan
    _ = self.resampler.process(input.span, into: &room)
  }
}

/// An object that nothing holds any more and nothing freed.
private final class Lost {
  private let bytes = [UInt8](repeating: 1, count: 4096)
}

/// Commits one fault, to show that it is reported.
func plant(_ fault: String) {
  switch fault {
  case "leak":
    for _ in 0..<10 { _ = unsafe Unmanaged.passRetained(Lost()) }
  case "race":
    guard let handle = try? SharedHandle() else { fail("there is no resampler") }
    let loop = EventLoop.start(name: "planted")
    loop.execute { _ in for _ in 0..<50 { handle.call() } }
    for _ in 0..<50 { handle.call() }
    loop.stop()
  default: fail("there is no fault \(fault) to plant")
  }
}
