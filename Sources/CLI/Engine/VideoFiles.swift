internal import AllModules
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
    [self.played, self.recorded].compactMap(\.self).map { "no video was agreed on: \($0) was not used" }
  }

  /// Looks at both, and makes nothing: the call may have no video.
  ///
  /// - Returns: the codecs that the played file is of; none, which is all, where nothing is played.
  func check() throws(Failure) -> [String] {
    if let recorded, let refusal = ConfigFileError(writing: recorded) {
      throw Failure(.cannotCreate, "--record-video \(refusal)")
    }
    guard let played else { return [] }
    do { return try Self.codecs(of: played) } catch { throw Failure(error) }
  }

  private static func codecs(of played: String) throws -> [String] {
    let registry = try ModuleRegistry(available: compiledModules, active: usualModuleNames, settings: [:])
    let offer = try registry.videoSource(self.driver)
    var codecs: [String] = []
    var refusal: ModuleError?
    for codec in try registry.videoCodecs([]) {
      let request = VideoRequest(
        device: played, encodingName: codec.encodingName, stream: StreamID(number: 1), direction: .transmit, wake: {})
      do throws(ModuleError) {
        _ = try offer(request)
        codecs.append(codec.encodingName)
      } catch {
        // It may be of another codec.
        guard error.kind == .configuration else { throw error }
        refusal = error
      }
    }
    if codecs.isEmpty, let refusal { throw refusal }
    return codecs
  }
}
