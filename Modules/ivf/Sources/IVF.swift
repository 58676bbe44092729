internal import Handoff
package import ModuleKit

/// IVF files: the frames of one are sent to the peer, and the peer's are recorded in another.
package struct IVF: Module {
  package static let name = "ivf"
  package static let summary = "Video source and display: IVF files (video_source ivf,PATH)"

  static let tally = RecordingTally(of: "frames")

  private let films = Locked(FileShelf<IVFFile>())
  private let names = Locked(NamesInUse())

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    let (films, names) = (self.films, self.names)
    return [
      .videoSource { request throws(ModuleError) in
        let path = try path(of: request, "video_source")
        let file = try films.withLock { shelf throws(ModuleError) in
          try shelf.content(at: path, user: "video_source ivf") { try IVFFile($0) }
        }
        guard file.coding.encodingName == request.encodingName.uppercased() else {
          throw ModuleError(
            .configuration,
            "video_source ivf: \(path) is \(file.coding.encodingName), and the call has \(request.encodingName): "
              + "name \(file.coding.encodingName) alone in video_codecs")
        }
        return { () throws(ModuleError) in IVFSource(file) }
      },
      .videoSink { request throws(ModuleError) in
        let path = try path(of: request, "video_display")
        guard let coding = IVFCoding(encodingName: request.encodingName) else {
          throw ModuleError(.configuration, "video_display ivf: it takes VP8 and H264, and not \(request.encodingName)")
        }
        let file = try RecordingFile(
          path: path, names: names, header: IVFHeader(coding: coding).bytes, user: "video_display ivf")
        return { () throws(ModuleError) in try IVFSink(file, coding) }
      },
      Self.tally.facet(command: "ivfstat"),
    ]
  }

  /// What recordings lost, over the process's life.
  package static var losses: RecordingLosses { Self.tally.losses }
}

private func path(of request: VideoRequest, _ facet: String) throws(ModuleError) -> String {
  guard !request.device.isEmpty else {
    throw ModuleError(.configuration, "\(facet) ivf: no file given; write \"\(facet) ivf,PATH\"")
  }
  return request.device
}
