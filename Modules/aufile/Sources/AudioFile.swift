internal import Handoff
package import ModuleKit
internal import NetBase

/// WAV files: one is played to the peer, and what the peer says is recorded in another.
package struct AudioFile: Module {
  package static let name = "aufile"
  package static let summary = "Audio source and player: WAV files (audio_source aufile,PATH)"

  static let tally = RecordingTally(of: "samples")

  private let speech = Locked(FileShelf<WAVFile>())
  private let names = Locked(NamesInUse())

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    let (speech, names) = (self.speech, self.names)
    return [
      .source(
        .confined { request throws(ModuleError) in
          let path = try path(of: request, "audio_source")
          let file = try wavFile(path, speech)
          return { () throws(ModuleError) in FileSource(file: file) }
        }),
      .player(
        .confined { request throws(ModuleError) in
          let path = try path(of: request, "audio_player")
          let recording = try Recording(path: path, format: request.format, names: names)
          return { () throws(ModuleError) in try FilePlayer(recording: recording) }
        }),
      .command(
        ModuleCommand(CommandDescription("aufileinfo", parameters: "FILE", help: "what a sound file holds")) {
          path throws(CommandFailure) in
          do throws(ModuleError) {
            let file = try wavFile(path, speech)
            let rate = file.format.sampleRate * file.format.channels
            return "\(path): \(file.format), \(file.samples.count * 1000 / rate) ms"
          } catch { throw CommandFailure(error.message) }
        }),
      Self.tally.facet(command: "aufilestat"),
    ]
  }

  /// Waits until everything recorded so far, by all agents of the process, is in its files.
  ///
  /// Call it before the process exits; not on a transport's executor, for it waits for the disk.
  /// - Parameter timeout: in seconds.
  /// - Returns: false when the disk took longer.
  @discardableResult
  package static func flush(timeout: Int = 5) -> Bool { FileThread.shared.flush(timeout: timeout) }

  /// What recordings lost, over the process's life.
  package static var losses: RecordingLosses { Self.tally.losses }
}

private func wavFile(_ path: String, _ shelf: Locked<FileShelf<WAVFile>>) throws(ModuleError) -> WAVFile {
  try shelf.withLock { shelf throws(ModuleError) in
    try shelf.content(at: path, user: "audio_source aufile") { try $0.withRawSpan { bytes in try WAVFile(bytes) } }
  }
}

private func path(of request: AudioRequest, _ facet: String) throws(ModuleError) -> String {
  guard !request.device.isEmpty else {
    throw ModuleError(.configuration, "\(facet) aufile: no file given; write \"\(facet) aufile,PATH\"")
  }
  return request.device
}
