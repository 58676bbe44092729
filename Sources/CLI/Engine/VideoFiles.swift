internal import AllModules
internal import Glibc
internal import ModuleKit
internal import UACore

/// The files of `--play-video` and `--record-video`. Their module is asked for them only when video was agreed on; what
/// is wrong with them is to be known before a call.
struct VideoFiles {
  let played: String?
  let recorded: String?

  private static let driver = "ivf"

  var source: VideoDevice? { self.played.map { VideoDevice(driver: Self.driver, device: $0) } }
  var display: VideoDevice? { self.recorded.map { VideoDevice(driver: Self.driver, device: $0) } }

  /// What there is to say after a call that had no video.
  var warnings: [String] {
    [self.played, self.recorded].compactMap(\.self).map { "the peer takes no video: \($0) was not used" }
  }

  /// Looks at both.
  ///
  /// - Returns: the codecs that the played file is of; none, which is all, where nothing is played.
  func check() throws -> [String] {
    if let recorded { try Self.checkCreation(of: recorded) }
    guard let played else { return [] }
    let registry = try ModuleRegistry(available: compiledModules, active: usualModuleNames, settings: [:])
    let offer = try registry.videoSource(Self.driver)
    var codecs: [String] = []
    for codec in try registry.videoCodecs([]) {
      let request = VideoRequest(
        device: played, encodingName: codec.encodingName, stream: StreamID(number: 1), direction: .transmit, wake: {})
      do throws(ModuleError) {
        _ = try offer(request)
        codecs.append(codec.encodingName)
      } catch {
        // It is of another codec.
        guard error.kind == .configuration else { throw error }
      }
    }
    return codecs
  }

  /// Leaves no file behind: the call may have no video.
  private static func checkCreation(of path: String) throws(Failure) {
    let isNew = unsafe access(path, F_OK) != 0
    // Without O_NONBLOCK, opening a named pipe would wait for its reader.
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0o644)
    guard file >= 0 else {
      let reason = unsafe String(cString: strerror(errno)).lowercased()
      throw Failure(.cannotCreate, "--record-video \(path): \(reason)")
    }
    close(file)
    if isNew { unsafe unlink(path) }
  }
}
