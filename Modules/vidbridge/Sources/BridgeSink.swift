internal import ModuleKit
internal import NetBase

/// The display of one stream: gives what comes to the sources that it feeds.
final class BridgeSink: VideoSink {
  private let bridge: Bridge
  private let number: Int
  private let tally: BridgeTally
  private var generation = -1
  private var routes: [Route] = []

  init(_ bridge: Bridge, _ request: VideoRequest, _ tally: BridgeTally) {
    self.bridge = bridge
    self.tally = tally
    self.number = bridge.join(sink: request)
  }

  /// One that is dropped without a last word leaves as well.
  deinit { self.bridge.leave(self.number) }

  func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant) {
    self.follow()
    for route in self.routes where !route.lane.put(frame, info, now: now) { self.tally.countDropped() }
  }

  func takeKeyFrameRequest() -> Bool {
    self.follow()
    return self.routes.reduce(false) { $1.lane.takeKeyFrameRequest() || $0 }
  }

  func finish() { self.bridge.leave(self.number) }

  private func follow() {
    let generation = self.bridge.generation
    guard generation != self.generation else { return }
    self.generation = generation
    self.routes = self.bridge.routes(from: self.number)
  }
}
