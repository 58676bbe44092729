internal import ModuleKit

/// The mixers of an agent's streams. Touched when a stage is made, when it ends, and by commands; never by a packet.
struct MixerDesk {
  struct Place: Hashable {
    let stream: StreamID
    let direction: MediaDirection
  }

  private var controls: [Place: MixerControl] = [:]

  /// A later mixer of the same place takes it.
  mutating func add(_ control: MixerControl, at place: Place) { self.controls[place] = control }

  func control(at place: Place) -> MixerControl? { self.controls[place] }

  /// Forgets the mixer, unless another has its place.
  mutating func remove(_ control: MixerControl, at place: Place) {
    if self.controls[place] === control { self.controls[place] = nil }
  }
}
