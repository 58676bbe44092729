internal import NetBase

/// What a peer's feedback asks of one stream that we send (RFC 4585 §6, RFC 5104 §4.3.1).
///
/// The transport that sends the stream owns it.
package struct RTCPFeedback: Sendable {
  /// How many numbers one generic NACK asks for at most: 268 bytes, however far apart they are.
  package static let maximumLost = 64

  /// Feedback message types, the five bits beside the packet type.
  enum MessageType {
    static let genericNACK = 1
    static let pictureLoss = 1
    static let fullIntraRequest = 4
  }

  /// The stream that is sent.
  package let ssrc: UInt32
  /// Who sent the last full intra request, and its number: it is repeated until a key frame comes (RFC 5104 §4.3.1.2).
  private var lastRequest: (sender: UInt32, number: UInt8)?

  package init(ssrc: UInt32) { self.ssrc = ssrc }

  /// Reads what is left of a compound packet; `bytes` is what it was made of. `missing` is called with each number that is asked for.
  package mutating func receive(
    _ compound: inout RTCPCompound, in bytes: RawSpan, missing: (UInt16) -> Void
  ) -> FeedbackContents {
    var contents = FeedbackContents()
    while let packet = compound.next() {
      guard let control = packet.feedbackControl else { continue }
      let sender = bytes.uint32(at: packet.body.lowerBound)
      let isOurs = bytes.uint32(at: packet.body.lowerBound + 4) == self.ssrc
      switch (packet.kind, packet.count) {
      case (.transportFeedback, MessageType.genericNACK) where isOurs:
        for place in Self.places(in: control, each: 4) {
          LostNumbers.forEach(in: bytes.uint32(at: place), missing)
          contents.hasMissing = true
        }
      case (.payloadFeedback, MessageType.pictureLoss) where isOurs: contents.wantsKeyFrame = true
      // The header's media source is unused: each entry names its own.
      case (.payloadFeedback, MessageType.fullIntraRequest):
        for place in Self.places(in: control, each: 8) where bytes.uint32(at: place) == self.ssrc {
          if self.isNew(sender, bytes.uint8(at: place + 4)) { contents.wantsKeyFrame = true }
        }
      default: continue
      }
    }
    return contents
  }

  private mutating func isNew(_ sender: UInt32, _ number: UInt8) -> Bool {
    if let last = self.lastRequest, last == (sender, number) { return false }
    self.lastRequest = (sender, number)
    return true
  }

  /// Where the whole entries begin.
  private static func places(in control: Range<Int>, each length: Int) -> StrideTo<Int> {
    stride(from: control.lowerBound, to: control.lowerBound + control.count / length * length, by: length)
  }
}

/// What feedback asks for.
package struct FeedbackContents: Equatable, Sendable {
  /// A picture was lost, or a full intra request came that is no repetition.
  package var wantsKeyFrame = false
  /// Packets are to be sent again.
  package var hasMissing = false

  package init(wantsKeyFrame: Bool = false, hasMissing: Bool = false) {
    (self.wantsKeyFrame, self.hasMissing) = (wantsKeyFrame, hasMissing)
  }
}
