internal import Handoff
package import ModuleKit

/// Sound devices by ALSA, in a build with the trait `ALSA`; without it nothing.
package struct ALSA: Module {
  package static let name = "alsa"
  package static let summary = "Audio source and player: sound devices (audio_source alsa,DEVICE), with the trait ALSA"

  private let shelf = Locked(DeviceShelf())

  package init(settings: ModuleSettings) throws(ModuleError) {}

  #if ALSA
    package static var libraryVersion: String? { ALSALibrary.version }

    package static var devices: [String] { ALSALibrary.devices() }

    package var facets: [Facet] {
      let shelf = self.shelf
      return [
        .source(
          .confined { request throws(ModuleError) in
            let name = try device(request, "audio_source")
            let format = request.format
            return { () throws(ModuleError) in
              let figures = figures(request, "capture \(name)", shelf)
              return DeviceThread.capture(format, figures) { () throws(DeviceLoss) in
                try ALSADevice(name, .transmit, format, figures)
              }
            }
          }),
        .player(
          .confined { request throws(ModuleError) in
            let name = try device(request, "audio_player")
            let format = request.format
            return { () throws(ModuleError) in
              let figures = figures(request, "playback \(name)", shelf)
              return DeviceThread.playback(format, figures) { () throws(DeviceLoss) in
                try ALSADevice(name, .receive, format, figures)
              }
            }
          }),
        .command(
          ModuleCommand(CommandDescription("alsastat", help: "what sound devices did: drift, interruptions, failures"))
          {
            _ throws(CommandFailure) in
            let all = shelf.withLock { $0.figures }
            return all.isEmpty
              ? "no device was used yet" : all.map { $0.line(ALSALibrary.words) }.joined(separator: "\n")
          }),
        Facet(.application(DeviceWatchProvider(shelf: shelf, words: ALSALibrary.words))),
      ]
    }
  #else
    package static var absence: String? {
      "audio source and player: not in this build, it needs the package trait ALSA"
    }

    package static var absentSafety: ThreadSafety? { .confined }

    package var facets: [Facet] { [] }
  #endif
}

#if ALSA
  private func device(_ request: AudioRequest, _ facet: String) throws(ModuleError) -> String {
    let name = request.device.isEmpty ? "default" : request.device
    try ALSALibrary.check(name, facet)
    return name
  }

  /// Those of a use that begins now: one that was only planned is never over, and nobody would take it off the shelf.
  private func figures(_ request: AudioRequest, _ title: String, _ shelf: Locked<DeviceShelf>) -> DeviceFigures {
    let figures = DeviceFigures(stream: request.stream, title: title, sampleRate: request.format.sampleRate)
    shelf.withLock { $0.add(figures) }
    return figures
  }
#endif
