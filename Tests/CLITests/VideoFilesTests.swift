internal import Glibc
internal import Testing

@testable internal import CLI

@Suite("the files of a call's video")
struct VideoFilesTests {
  private static let scratch = "/tmp/apus-video-files-\(getpid())"

  @Test(
    "a film that is missing, or none, is told before the call", arguments: ["/nowhere/film.ivf", "/proc/self/stat"])
  func played(path: String) {
    let error = #expect(throws: Failure.self) { try VideoFiles(played: path, recorded: nil).check() }
    #expect(error?.status == .noInput && error?.message.contains(path) == true)
  }

  @Test("a film is offered in its own codec only")
  func codec() throws {
    let path = "\(Self.scratch)-film.ivf"
    var bytes = Array("DKIF".utf8) + [0, 0, 32, 0] + Array("VP80".utf8) + [64, 1, 240, 0]
    bytes += [30, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
    bytes += [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0] + [0x10, 2, 0, 0x9D, 1, 0x2A, 64, 1, 240, 0]
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    defer { unsafe unlink(path) }
    let written = unsafe bytes.withUnsafeBytes { unsafe write(file, $0.baseAddress, $0.count) }
    #expect(written == bytes.count)
    close(file)
    #expect(try VideoFiles(played: path, recorded: nil).check() == ["VP8"])
  }

  @Test("a recording that can't be made is told before the call", arguments: ["/nowhere/seen.ivf", "/tmp"])
  func recorded(path: String) {
    let error = #expect(throws: Failure.self) { try VideoFiles(played: nil, recorded: path).check() }
    #expect(error?.status == .cannotCreate && error?.message.contains("--record-video \(path)") == true)
  }

  @Test("an empty name is no film of another codec")
  func unnamed() {
    let error = #expect(throws: Failure.self) { try VideoFiles(played: "", recorded: nil).check() }
    #expect(error?.status == .configuration)
    let refusal = #expect(throws: Failure.self) { try VideoFiles(played: nil, recorded: "").check() }
    #expect(refusal?.status == .cannotCreate)
  }

  @Test("a link to a file that is not there yet stays, and the file is not made")
  func danglingLink() throws {
    let (link, target) = ("\(Self.scratch)-link.ivf", "\(Self.scratch)-target.ivf")
    #expect(unsafe symlink(target, link) == 0)
    defer { unsafe unlink(link) }
    #expect(try VideoFiles(played: nil, recorded: link).check() == [])
    var status = stat()
    let hasLink = unsafe lstat(link, &status) == 0
    let hasTarget = unsafe access(target, F_OK) == 0
    #expect(hasLink && !hasTarget)
  }

  @Test("looking whether a recording can be made leaves no file")
  func leavesNothing() throws {
    let path = "\(Self.scratch)-seen.ivf"
    #expect(try VideoFiles(played: nil, recorded: path).check() == [])
    let isThere = unsafe access(path, F_OK) == 0
    #expect(!isThere)
  }

  @Test("each file that was not used is named")
  func unused() {
    #expect(
      VideoFiles(played: "a.ivf", recorded: "b.ivf").warnings
        == ["no video was agreed on: a.ivf was not used", "no video was agreed on: b.ivf was not used"])
    #expect(VideoFiles(played: nil, recorded: nil).warnings.isEmpty)
  }
}
