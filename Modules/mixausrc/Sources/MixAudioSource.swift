internal import Handoff
package import ModuleKit

/// Mixes a second source into what a call sends, or into what it plays, by command.
package struct MixAudioSource: Module {
  package static let name = "mixausrc"
  package static let summary =
    "Audio filter: mixes a second source into a call, by mixausrc_enc_start"

  /// The mixers that run, by stream.
  private let desk = Locked(MixerDesk())

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    let desk = self.desk
    return [
      .filter(
        .confined { request throws(ModuleError) in
          { () throws(ModuleError) in
            let place = MixerDesk.Place(stream: request.stream, direction: request.direction)
            let mixer = Mixer(format: request.format, place: place, desk: desk)
            desk.withLock { $0.add(mixer.control, at: place) }
            return mixer
          }
        }),
      Self.start("mixausrc_enc_start", .transmit, "mix a source into what the call sends", desk),
      Self.start("mixausrc_dec_start", .receive, "mix a source into what the call plays", desk),
      Self.stop("mixausrc_enc_stop", .transmit, "end the source that is mixed into what the call sends", desk),
      Self.stop("mixausrc_dec_stop", .receive, "end the source that is mixed into what the call plays", desk),
    ]
  }

  private static func start(
    _ name: String, _ direction: MediaDirection, _ help: String, _ desk: Locked<MixerDesk>
  ) -> Facet {
    let description = CommandDescription(
      name, parameters: "MODULE DEVICE [STREAM% SOURCE%]", scope: .inCall, help: help)
    return .command(
      ModuleCommand(description) { text, host throws(CommandFailure) in
        guard let order = MixOrder(text) else {
          throw CommandFailure(
            "/\(name) takes a source's module and device, and two volumes from 0 to 100 percent")
        }
        let (stream, control) = try Self.control(of: host, direction, desk)
        guard !control.isBusy else {
          throw CommandFailure("/\(name) is not possible while another source is mixed in: end that one first")
        }
        let make = try host.source(order.source, for: stream)
        control.start(Mix(make: make, streamVolume: order.streamVolume, sourceVolume: order.sourceVolume))
        return ""
      })
  }

  private static func stop(
    _ name: String, _ direction: MediaDirection, _ help: String, _ desk: Locked<MixerDesk>
  ) -> Facet {
    .command(
      ModuleCommand(CommandDescription(name, scope: .inCall, help: help)) { _, host throws(CommandFailure) in
        try Self.control(of: host, direction, desk).control.stop()
        return ""
      })
  }

  private static func control(
    of host: any CommandHost, _ direction: MediaDirection, _ desk: Locked<MixerDesk>
  ) throws(CommandFailure) -> (stream: StreamID, control: MixerControl) {
    guard let stream = host.currentStream else { throw CommandFailure("there is no call") }
    let place = MixerDesk.Place(stream: stream, direction: direction)
    guard let control = desk.withLock({ $0.control(at: place) }) else {
      throw CommandFailure("the call has no audio yet, or was set up before the module mixausrc was switched on")
    }
    return (stream, control)
  }
}
