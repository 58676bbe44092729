internal import ModuleKit
internal import NetBase

/// The source of one stream: sends what the display that feeds it is given.
final class BridgeSource: VideoSource {
  let nextDeadline: Instant? = nil
  private let bridge: Bridge
  private let number: Int
  private var generation = -1
  private var route: Route?
  private var clock = TimestampClock()

  init(_ bridge: Bridge, _ request: VideoRequest) {
    self.bridge = bridge
    self.number = bridge.join(source: request)
  }

  /// One that is dropped without a last word leaves as well.
  deinit { self.bridge.leave(self.number) }

  func next(now: Instant, _ send: (RawSpan, VideoFrameInfo) -> Void) -> Bool {
    self.follow()
    guard let route = self.route else { return false }
    return route.lane.take { bytes, info, time in
      let timestamp = self.clock.timestamp(of: info.timestamp, at: time)
      send(bytes, VideoFrameInfo(timestamp: timestamp, isKeyFrame: info.isKeyFrame))
    }
  }

  func requestKeyFrame() {
    self.follow()
    self.route?.requestKeyFrame()
  }

  func finish() { self.bridge.leave(self.number) }

  private func follow() {
    let generation = self.bridge.generation
    guard generation != self.generation else { return }
    self.generation = generation
    let route = self.bridge.route(to: self.number)
    if route !== self.route { self.clock.changeStream() }
    self.route = route
  }
}

/// Time stamps of one stream from those of others that come one after the other, each on a clock of its own.
private struct TimestampClock {
  private var given: UInt32 = 0
  /// The time stamp that `given` stands for; nil when another stream has begun.
  private var taken: UInt32?
  private var time: Instant?

  mutating func changeStream() { self.taken = nil }

  /// As far from the last as the stream says; where another begins, as far as time went on.
  mutating func timestamp(of timestamp: UInt32, at now: Instant) -> UInt32 {
    if let taken {
      self.given &+= timestamp &- taken
    } else if let time {
      self.given &+= UInt32(truncatingIfNeeded: max(1, now.nanoseconds(since: time) / 1000 * 9 / 100))
    }
    (self.taken, self.time) = (timestamp, now)
    return self.given
  }
}
