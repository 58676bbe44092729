/// An estimate of how a listener would rate a call: the E-model (ITU-T G.107), with delay, codec and loss alone.
package struct MOSEstimate: Equatable, Sendable {
  /// What a codec costs, and how it bears loss (ITU-T G.113, appendix I).
  package struct Codec: Equatable, Sendable {
    /// Equipment impairment Ie, without loss.
    package let impairment: Double
    /// Packet loss robustness Bpl; above zero.
    package let robustness: Double

    package init(impairment: Double, robustness: Double) {
      precondition(robustness > 0, "a robustness above zero")
      (self.impairment, self.robustness) = (impairment, robustness)
    }

    /// G.711 with concealment.
    package static let g711 = Codec(impairment: 0, robustness: 25.1)
    /// G.113 has no figures for Opus: taken as transparent on the narrow-band scale, and a little more robust than G.711.
    package static let opus = Codec(impairment: 0, robustness: 30)
  }

  /// Transmission rating R, 0 to 100.
  package let rating: Double
  /// Mean opinion score, 1.0 to 4.5.
  package let score: Double

  /// `lossPercentage` counts packets that were lost or too late, 0 to 100; `oneWayDelay` in milliseconds is from mouth to
  /// ear: half the round trip, the jitter buffer and the codec.
  package init(codec: Codec, lossPercentage: Double, oneWayDelay: Double) {
    let loss = Self.bounded(lossPercentage, 0...100)
    let delay = Self.bounded(oneWayDelay, 0...10_000)
    // Id, as G.107 is commonly simplified: delay hurts more past 177.3 ms.
    let delayImpairment = 0.024 * delay + 0.11 * max(delay - 177.3, 0)
    let equipmentImpairment = codec.impairment + (95 - codec.impairment) * loss / (loss + codec.robustness)
    let rating = Self.bounded(93.2 - delayImpairment - equipmentImpairment, 0...100)
    self.rating = rating
    self.score = Self.bounded(1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6, 1...4.5)
  }

  /// The same where only the network's round trip and jitter are known: a buffer of twice the jitter and 20 ms for the codec
  /// are assumed.
  package init(codec: Codec, lossPercentage: Double, roundTrip: Double, jitter: Double) {
    self.init(codec: codec, lossPercentage: lossPercentage, oneWayDelay: roundTrip / 2 + 2 * jitter + 20)
  }

  /// `value` within `range`; what is not a number counts as the upper, worse end.
  private static func bounded(_ value: Double, _ range: ClosedRange<Double>) -> Double {
    value.isNaN ? range.upperBound : min(max(value, range.lowerBound), range.upperBound)
  }
}
