/// When each call of a load begins.
///
/// A leg sends and plays every packet time from its start on, so that calls which begin a whole number of packet times after
/// each other would all do so at the same moment, for ever. Each start is therefore put off by a part of a packet time:
/// steps of the golden ratio fill it evenly, however many there are.
struct LoadPlan {
  /// Seconds from the first one's, in order.
  let starts: [Double]

  private static let goldenRatio = 0.618_033_988_749_895

  /// - Parameters:
  ///   - rate: calls that begin in a second.
  ///   - packetTime: milliseconds.
  init(calls: Int, rate: Double, packetTime: Int = 20) {
    let period = Double(packetTime) / 1000
    self.starts = (0..<calls).map { index in
      // At the packet time before it would begin, and in that at its own phase.
      let packets = (Double(index) / rate / period).rounded(.down)
      let phase = (Double(index) * Self.goldenRatio).truncatingRemainder(dividingBy: 1)
      return (packets + phase) * period
    }.sorted()
  }
}
