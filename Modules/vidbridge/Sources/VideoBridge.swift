internal import Handoff
package import ModuleKit

/// Joins streams of video: what one stream receives, another on the same device sends.
package struct VideoBridge: Module {
  package static let name = "vidbridge"
  package static let summary = "Video source and display: streams on one device see each other"

  private let bridges = Locked(Bridges())
  private let tally = BridgeTally()

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    let (bridges, tally) = (self.bridges, self.tally)
    return [
      .videoSource { request throws(ModuleError) in
        let bridge = bridges.withLock { $0.bridge(request.device) }
        return { () throws(ModuleError) in BridgeSource(bridge, request) }
      },
      .videoSink { request throws(ModuleError) in
        let bridge = bridges.withLock { $0.bridge(request.device) }
        return { () throws(ModuleError) in BridgeSink(bridge, request, tally) }
      },
      tally.facet,
    ]
  }

  /// Frames that were dropped for want of room, and those that need them.
  package var dropCount: Int { self.tally.dropCount }
}

/// The bridges that someone has, by device.
private struct Bridges {
  private struct Entry { weak var bridge: Bridge? }
  private var entries: [String: Entry] = [:]

  mutating func bridge(_ device: String) -> Bridge {
    if let bridge = self.entries[device]?.bridge { return bridge }
    self.entries = self.entries.filter { $0.value.bridge != nil }
    let bridge = Bridge()
    self.entries[device] = Entry(bridge: bridge)
    return bridge
  }
}
