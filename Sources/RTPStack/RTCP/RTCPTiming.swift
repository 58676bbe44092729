/// How often RTCP is sent (RFC 3550 §6.2, §6.3).
package struct RTCPTiming: Sendable {
  /// Least interval between reports, in seconds; half of it before the first.
  package var minimum: Double
  /// What the session's RTCP may use, in bytes a second: 5 % of the session's bandwidth.
  package var bandwidth: Double

  package init(minimum: Double = 5, bandwidth: Double = 64_000 / 8 * 0.05) {
    (self.minimum, self.bandwidth) = (minimum, bandwidth)
  }

  /// The calculated interval Td in seconds, before it is randomised (§6.3.1).
  package func interval(members: Int, senders: Int, isSender: Bool, averageSize: Double, isInitial: Bool) -> Double {
    var (share, count) = (self.bandwidth, members)
    if senders > 0, senders * 4 <= members {
      // At most a quarter of the members send: they have a quarter of the bandwidth for themselves.
      share *= isSender ? 0.25 : 0.75
      count = isSender ? senders : members - senders
    }
    return max(isInitial ? self.minimum / 2 : self.minimum, averageSize * Double(count) / max(share, 1))
  }

  /// `interval` times 0.5 to 1.5, made up for the timer reconsideration (e - 3/2).
  package func randomised(_ interval: Double, _ random: inout some RandomNumberGenerator) -> Double {
    interval * Double.random(in: 0.5...1.5, using: &random) / 1.21828
  }
}
