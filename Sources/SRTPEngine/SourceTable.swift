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

  /// The first one, often the only one, lies with what every packet touches.
  private var first: Source?
  private var others: [Source] = []

  var count: Int { self.first == nil ? 0 : self.others.count + 1 }

  /// - Parameter position: of one that is there.
  private(set) subscript(position: Int) -> Source {
    get {
      position == 0 ? self.first ?? Source(ssrc: 0, lastHeard: Instant(nanoseconds: 0)) : self.others[position - 1]
    }
    set { if position == 0 { self.first = newValue } else { self.others[position - 1] = newValue } }
  }

  func position(of ssrc: UInt32) -> Int? {
    guard let first else { return nil }
    if first.ssrc == ssrc { return 0 }
    return self.others.firstIndex { $0.ssrc == ssrc }.map { $0 + 1 }
  }

  /// A place for a new SSRC, and the SSRC that had to give way: the one that was silent for longest.
  mutating func claim(_ ssrc: UInt32, now: Instant) -> (position: Int, evicted: UInt32?) {
    let source = Source(ssrc: ssrc, lastHeard: now)
    guard let first else {
      self.first = source
      return (0, nil)
    }
    guard self.count == Self.capacity else {
      self.others.append(source)
      return (self.count - 1, nil)
    }
    var oldest = (position: 0, lastHeard: first.lastHeard)
    for position in 1..<self.count where self[position].lastHeard < oldest.lastHeard {
      oldest = (position, self[position].lastHeard)
    }
    let evicted = self[oldest.position].ssrc
    self[oldest.position] = source
    return (oldest.position, evicted)
  }

  mutating func heard(_ position: Int, now: Instant) { self[position].lastHeard = now }

  mutating func set(highestIndex index: UInt64, at position: Int) { self[position].highestIndex = index }

  mutating func set(highestControlIndex index: UInt32, at position: Int) {
    self[position].highestControlIndex = index
  }
}
