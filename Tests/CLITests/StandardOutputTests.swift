internal import Glibc
internal import Testing

@testable internal import CLI

// Those that take standard output away are in a process of their own.
@Suite("standard output")
struct StandardOutputTests {
  @Test("what a full disk does not take fails the command")
  func full() async {
    await #expect(processExitsWith: .exitCode(42)) {
      let full = unsafe open("/dev/full", O_WRONLY | O_CLOEXEC)
      dup2(full, STDOUT_FILENO)
      StandardOutput.print("heard")
      do throws(Failure) { try StandardOutput.checkLoss() } catch { _exit(error.status == .cannotCreate ? 42 : 1) }
      _exit(0)
    }
  }

  @Test("a reader that has had enough does not")
  func closed() async {
    await #expect(processExitsWith: .exitCode(42)) {
      signal(SIGPIPE, SIG_IGN)
      var ends: [Int32] = [-1, -1]
      _ = unsafe ends.withUnsafeMutableBufferPointer { unsafe pipe($0.baseAddress) }
      dup2(ends[1], STDOUT_FILENO)
      close(ends[0])
      StandardOutput.print("heard")
      do throws(Failure) { try StandardOutput.checkLoss() } catch { _exit(1) }
      _exit(42)
    }
  }

  @Test("a reader that is slow gets everything, also where the descriptor does not block")
  func slow() {
    guard let reader = unsafe popen("test $(wc -c) = 300000", "we") else {
      Issue.record("there is no shell")
      return
    }
    // More than a pipe holds.
    let descriptor = unsafe fileno(reader)
    let isSet = fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0
    let code = writeAll(String(repeating: "a", count: 300_000), to: descriptor)
    let status = unsafe pclose(reader)
    #expect(isSet && code == 0 && status == 0)
  }
}
