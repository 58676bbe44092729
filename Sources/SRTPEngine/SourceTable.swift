internal import NetBase

/// The SSRCs that were authenticated, and how far each has come: what a new key has to carry on from.
///
/// Only authenticated packets enter, and at most `capacity` SSRCs are remembered, so a peer that changes its SSRC all
/// the time costs bounded memory and time. An SSRC that had to give way is forgotten with its replay window.
struct SourceTable {
  static let capacity = 32

  struct Source {
    var ssrc: UInt32
    var lastHeard: Instant
    /// Highest RTP index, as the newest key under which the SSRC was heard numbers it.
    var highestIndex: UInt64?
    /// Highest SRTCP index, likewise.
    var highestControlIndex: UInt32?
  }

  private(set) var sources = InlineFirst<Source>()

  func position(of ssrc: UInt32) -> Int? {
    for position in self.sources.indices where self.sources[position].ssrc == ssrc { return position }
    return nil
  }

  /// A place for a new SSRC, and the SSRC that had to give way: the one that was silent for longest.
  mutating func claim(_ ssrc: UInt32, now: Instant) -> (position: Int, evicted: UInt32?) {
    let source = Source(ssrc: ssrc, lastHeard: now)
    guard self.sources.count == Self.capacity else {
      self.sources.append(source)
      return (self.sources.count - 1, nil)
    }
    var oldest = 0
    for position in self.sources.indices where self.sources[position].lastHeard < self.sources[oldest].lastHeard {
      oldest = position
    }
    let evicted = self.sources[oldest].ssrc
    self.sources[oldest] = source
    return (oldest, evicted)
  }

  mutating func heard(_ position: Int, now: Instant) { self.sources[position].lastHeard = now }

  mutating func set(highestIndex index: UInt64, at position: Int) { self.sources[position].highestIndex = index }

  mutating func set(highestControlIndex index: UInt32, at position: Int) {
    self.sources[position].highestControlIndex = index
  }
}
