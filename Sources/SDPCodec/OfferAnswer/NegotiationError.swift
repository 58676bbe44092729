/// Why an offer or answer could not be made or taken. The state before it stands.
package enum NegotiationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// There is no offer to answer, or none of ours that waits for an answer.
  case noOffer
  /// An offer of the other side waits: answer it or roll it back first.
  case offerPending
  /// More media lines than `SDPLimits.media`.
  case tooManyMedia(Int)
  /// nil was given for a line that no earlier description knows.
  case unknownMedia(index: Int)
  /// No codec, or no number left for one.
  case noCodec(index: Int)
  /// The answer has another number of media lines than the offer (RFC 3264 §6).
  case mediaCount(offered: Int, answered: Int)
  /// The answer's line is of another kind than the offer's.
  case kindMismatch(index: Int)
  /// The answer changes the transport token (RFC 3264 §6.1).
  case protocolMismatch(index: Int, offered: String, answered: String)
  /// The answer takes a line that was offered with port 0.
  case answeredDisabledMedia(index: Int)
  /// The answer takes a line without any codec that was offered.
  case noCommonCodec(index: Int)
  /// The answer takes a line without an address.
  case noAddress(index: Int)
  /// Not one line of the offer can be taken: per line, why.
  case nothingInCommon([MediaRejection])

  package var description: String {
    switch self {
    case .noOffer: "no offer is waiting for an answer"
    case .offerPending: "an offer is waiting for its answer"
    case .tooManyMedia(let count): "\(count) media lines, at most \(SDPLimits.media) are possible"
    case .unknownMedia(let index): "media line \(index) was never described"
    case .noCodec(let index): "media line \(index) has no codec to offer"
    case .mediaCount(let offered, let answered): "\(answered) media lines answer an offer of \(offered)"
    case .kindMismatch(let index): "media line \(index) of the answer is of another kind than offered"
    case .protocolMismatch(let index, let offered, let answered):
      "media line \(index) was offered as \(offered) and answered as \(answered)"
    case .answeredDisabledMedia(let index): "media line \(index) was disabled in the offer, yet answered"
    case .noCommonCodec(let index): "media line \(index) of the answer has no codec that was offered"
    case .noAddress(let index): "media line \(index) of the answer has no connection address"
    case .nothingInCommon(let reasons):
      "no media line can be taken: \(reasons.map(\.description).joined(separator: ", "))"
    }
  }
}
