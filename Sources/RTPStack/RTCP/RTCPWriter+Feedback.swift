internal import NetBase

extension RTCPWriter {
  /// A generic NACK (RFC 4585 §6.2.1): `sender` asks `source` for packets once more. At least one number.
  package mutating func nack(sender: UInt32, source: UInt32, _ lost: LostNumbers, into room: inout MutableRawSpan) {
    precondition(lost.wordCount > 0, "a NACK for no packet")
    self.header(
      .transportFeedback, count: RTCPFeedback.MessageType.genericNACK, body: 8 + 4 * lost.wordCount, into: &room)
    self.append(sender, into: &room)
    self.append(source, into: &room)
    for index in 0..<lost.wordCount { self.append(lost.word(index), into: &room) }
  }

  /// A picture loss indication (RFC 4585 §6.3.1): `sender` asks `source` for a key frame.
  package mutating func pictureLoss(sender: UInt32, source: UInt32, into room: inout MutableRawSpan) {
    self.header(.payloadFeedback, count: RTCPFeedback.MessageType.pictureLoss, body: 8, into: &room)
    self.append(sender, into: &room)
    self.append(source, into: &room)
  }

  /// A full intra request (RFC 5104 §4.3.1): the same, where the peer has no other. One with the `number` of the last is that
  /// one again, which `source` may have met already.
  package mutating func fullIntraRequest(
    sender: UInt32, source: UInt32, number: UInt8, into room: inout MutableRawSpan
  ) {
    self.header(.payloadFeedback, count: RTCPFeedback.MessageType.fullIntraRequest, body: 16, into: &room)
    self.append(sender, into: &room)
    // The entry names the source.
    self.append(0, into: &room)
    self.append(source, into: &room)
    self.append(UInt32(number) << 24, into: &room)
  }
}
