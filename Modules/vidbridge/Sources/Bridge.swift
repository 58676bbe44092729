internal import Handoff
internal import ModuleKit
internal import Synchronization

/// The sources and displays of one device, on any threads.
///
/// Who feeds whom is settled under a lock when one comes or goes. Each end has a copy of what concerns it, and looks at the
/// generation for each frame.
final class Bridge: Sendable {
  private let ports = Locked(Ports())
  private let changes = Atomic<Int>(0)

  /// Counts the times that someone came or went.
  var generation: Int { self.changes.load(ordering: .acquiring) }

  func join(source request: VideoRequest) -> Int { self.change { $0.addSource(request) } }

  func join(sink request: VideoRequest) -> Int { self.change { $0.addSink(request) } }

  func leave(_ number: Int) { _ = self.change { $0.remove(number) } }

  /// The routes from a sink.
  func routes(from sink: Int) -> [Route] {
    self.ports.withLock { ports in ports.sources.compactMap { $0.route?.sink == sink ? $0.route : nil } }
  }

  /// The route to a source.
  func route(to source: Int) -> Route? {
    self.ports.withLock { ports in ports.sources.first { $0.port.number == source }?.route }
  }

  private func change(_ body: (inout Ports) -> Int) -> Int {
    let (number, wakes) = self.ports.withLock { ports in (body(&ports), ports.settle()) }
    self.changes.add(1, ordering: .releasing)
    for wake in wakes { wake() }
    return number
  }
}

/// The way from one sink to one source.
final class Route: Sendable {
  /// Frames that may wait: a second of them.
  static let capacity = 32
  /// Bytes of the longest frame.
  static let longest = 1 << 20

  let lane: VideoLane
  let sink: Int
  private let wakeSink: @Sendable () -> Void

  init(from sink: Port, to source: Port) {
    self.lane = VideoLane(
      capacity: Self.capacity, limit: Self.longest, wake: source.request.wake, wakeWriter: sink.request.wake)
    self.sink = sink.number
    self.wakeSink = sink.request.wake
  }

  /// Has the source's peer's wish go back to where the frames come from.
  func requestKeyFrame() {
    self.lane.requestKeyFrame()
    self.wakeSink()
  }
}

/// One end at a bridge.
struct Port: Sendable {
  let number: Int
  let request: VideoRequest
}

/// Who is at a bridge, in the order in which they came.
private struct Ports {
  struct Source {
    let port: Port
    var route: Route?
  }

  private(set) var sources: [Source] = []
  private var sinks: [Port] = []
  private var last = 0

  mutating func addSource(_ request: VideoRequest) -> Int {
    self.last += 1
    self.sources.append(Source(port: Port(number: self.last, request: request)))
    return self.last
  }

  mutating func addSink(_ request: VideoRequest) -> Int {
    self.last += 1
    self.sinks.append(Port(number: self.last, request: request))
    return self.last
  }

  mutating func remove(_ number: Int) -> Int {
    self.sources.removeAll { $0.port.number == number }
    self.sinks.removeAll { $0.number == number }
    return number
  }

  /// Gives each source its route, and tells which sinks have a new one.
  mutating func settle() -> [@Sendable () -> Void] {
    var wakes: [@Sendable () -> Void] = []
    for index in self.sources.indices {
      let sink = self.feeder(of: self.sources[index].port.request)
      guard self.sources[index].route?.sink != sink?.number else { continue }
      self.sources[index].route = sink.map { Route(from: $0, to: self.sources[index].port) }
      if let sink { wakes.append(sink.request.wake) }
    }
    return wakes
  }

  /// The sink that came first of another stream in the same coding; of its own stream when there is none.
  private func feeder(of source: VideoRequest) -> Port? {
    let fitting = self.sinks.filter { $0.request.encodingName.lowercased() == source.encodingName.lowercased() }
    return fitting.first { $0.request.stream != source.stream } ?? fitting.first
  }
}
