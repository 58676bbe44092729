extension FrameAssembler {
  /// The next frame in order that is complete and can be decoded after those before it; nil when there is none yet. Its payloads stay
  /// until it is released.
  package mutating func nextFrame() -> AssembledFrame? {
    while self.cursor < self.firstMissing {
      switch self[self.cursor] {
      case .missing: return nil
      case .lost: self.passLost()
      case .held(let packet):
        // Another timestamp ends a frame without a marker; the packet itself is looked at next.
        var isEnd = self.partial.map { $0.timestamp != packet.timestamp } ?? false
        if packet.isPadding {
          // A payload that is ignored may be the last of its frame; padding of another time says nothing of it.
          isEnd = packet.hasMarker && self.partial != nil && !isEnd
          self.passPadding()
        } else if !isEnd {
          self.take(packet)
          self.cursor += 1
          isEnd = packet.hasMarker
        }
        guard isEnd else { continue }
        guard !self.mayBeginEarlier else {
          (self.cursor, self.partial) = (self.first, nil)
          return nil
        }
        if let frame = self.endFrame() { return frame }
      }
    }
    return nil
  }

  /// Gives the payloads of a frame back, and of those before it.
  package mutating func release(_ frame: AssembledFrame) {
    if frame.isKeyFrame { self.lastKeyFrameRequest = nil }
    self.free(frame)
  }

  /// In place of `release`, when the frame was of no use (a malformed payload): what follows is no good until a key frame.
  package mutating func reject(_ frame: AssembledFrame) {
    self.needsKeyFrame = true
    self.statistics.discardedFrames += 1
    self.free(frame)
  }

  private mutating func free(_ frame: AssembledFrame) {
    self.released = max(self.released, frame.sequences.upperBound + 1)
  }

  private mutating func take(_ packet: Held) {
    var frame =
      self.partial
      ?? Partial(timestamp: packet.timestamp, isStartKnown: self.followsFrame, first: self.cursor, last: self.cursor)
    if packet.beginsFrame, !frame.isStartKnown {
      // What came before is the end of something whose beginning is lost.
      frame.isStartKnown = true
      (frame.first, frame.isKeyFrame) = (self.cursor, false)
    }
    frame.last = self.cursor
    frame.isKeyFrame = frame.isKeyFrame || packet.isOfKeyFrame
    self.partial = frame
  }

  /// Whether the first packets of the stream may be yet to come.
  private var mayBeginEarlier: Bool {
    guard let beginning = self.beginning, let partial else { return false }
    return !partial.isStartKnown && self.now < beginning
  }

  private mutating func endFrame() -> AssembledFrame? {
    guard let frame = self.partial else { return nil }
    (self.partial, self.beginning) = (nil, nil)
    (self.first, self.followsFrame) = (self.cursor, true)
    guard frame.isStartKnown, frame.isKeyFrame || !self.needsKeyFrame else {
      self.discard(frame)
      return nil
    }
    self.lastDiscarded = nil
    self.statistics.frames += 1
    if frame.isKeyFrame {
      self.statistics.keyFrames += 1
      self.needsKeyFrame = false
    }
    if self.released == self.deliveredEnd { self.released = frame.first }
    self.deliveredEnd = frame.last + 1
    return AssembledFrame(
      timestamp: frame.timestamp, isKeyFrame: frame.isKeyFrame, sequences: frame.first...frame.last)
  }

  private mutating func passLost() {
    if let frame = self.partial { self.discard(frame) }
    self.partial = nil
    self.cursor += 1
    (self.first, self.followsFrame, self.needsKeyFrame) = (self.cursor, false, true)
  }

  /// A frame with a gap in it counts once.
  private mutating func discard(_ frame: Partial) {
    if frame.timestamp != self.lastDiscarded { self.statistics.discardedFrames += 1 }
    self.lastDiscarded = frame.timestamp
  }

  private mutating func passPadding() {
    self.cursor += 1
    if self.partial == nil { self.first = self.cursor }
  }
}
