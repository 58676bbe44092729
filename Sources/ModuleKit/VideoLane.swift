internal import Handoff
package import NetBase
internal import Synchronization

/// Carries encoded frames from one owner to another, who may be on another thread; bounded, and its rooms are used again.
///
/// A frame that finds the lane full is dropped with all those after it up to the next key frame, and a key frame is asked for
/// once the reader has taken something again: before that it would find no room either. Who takes can decode all that it gets.
package final class VideoLane: Sendable {
  private let frames: Mailbox<Frame>
  private let rooms: Mailbox<VideoFrameRoom>
  private let limit: Int
  private let wantsKeyFrame = Atomic<Bool>(true)
  /// The writer's.
  private let isBroken = Atomic<Bool>(true)
  private let dropped = Atomic<Int>(0)
  /// The writer's: how many frames were taken when a frame found the lane full; -1 when none has since the last key frame.
  private let takenWhenFull = Atomic<Int>(-1)
  /// The reader's.
  private let taken = Atomic<Int>(0)
  /// Whether the writer waits for the reader to take something.
  private let isAwaited = Atomic<Bool>(false)
  private let wakeWriter: @Sendable () -> Void

  /// - Parameters:
  ///   - capacity: frames that may wait.
  ///   - limit: bytes of the longest frame.
  ///   - wake: called after each frame that was put.
  ///   - wakeWriter: called, by the reader, when there is room after a frame found none. The writer's next frame does
  ///     without: it is followed by a look at `takeKeyFrameRequest`.
  package init(
    capacity: Int, limit: Int, wake: @escaping @Sendable () -> Void, wakeWriter: @escaping @Sendable () -> Void = {}
  ) {
    self.frames = Mailbox(capacity: capacity, wake: wake)
    self.rooms = Mailbox(capacity: capacity) {}
    self.limit = limit
    self.wakeWriter = wakeWriter
  }

  /// Frames that were dropped because the lane was full or they were too long, and those that need them.
  package var dropCount: Int { self.dropped.load(ordering: .relaxed) }

  /// For the writer: copies a frame into the lane. What comes before the first key frame is left out.
  ///
  /// - Returns: whether it is in the lane.
  @discardableResult
  package func put(_ bytes: RawSpan, _ info: VideoFrameInfo, now: Instant) -> Bool {
    if info.isKeyFrame {
      self.isBroken.store(false, ordering: .relaxed)
      self.wantsKeyFrame.store(false, ordering: .relaxed)
      self.takenWhenFull.store(-1, ordering: .relaxed)
    } else if self.isBroken.load(ordering: .relaxed) {
      self.dropped.add(1, ordering: .relaxed)
      // The request may have been lost, or met nobody: as long as there is room for a key frame, it is wanted.
      if self.takenWhenFull.load(ordering: .relaxed) < 0 { self.wantsKeyFrame.store(true, ordering: .relaxed) }
      return false
    }
    var room = self.emptyRoom()
    let fits = room.append(bytes)
    guard fits else {
      self.rooms.post(room)
      self.lose()
      self.wantsKeyFrame.store(true, ordering: .relaxed)
      return false
    }
    // Before the offer: where it is refused, whatever is taken from now on makes room.
    let taken = self.taken.load(ordering: .acquiring)
    guard let refused = self.frames.offer(Frame(room: room, info: info, time: now)) else { return true }
    self.rooms.post(refused.room)
    self.lose()
    self.takenWhenFull.store(taken, ordering: .relaxed)
    self.isAwaited.store(true, ordering: .releasing)
    return false
  }

  /// For the writer: whether its next frame should be a key frame; answered once, and again after each frame that is dropped
  /// for want of one. How often it asks its peer is the writer's matter.
  package func takeKeyFrameRequest() -> Bool {
    let full = self.takenWhenFull.load(ordering: .relaxed)
    if full >= 0, self.taken.load(ordering: .acquiring) != full {
      self.takenWhenFull.store(-1, ordering: .relaxed)
      self.wantsKeyFrame.store(true, ordering: .relaxed)
    }
    return self.wantsKeyFrame.exchange(false, ordering: .relaxed)
  }

  /// For the reader: gives `body` the oldest frame, and when it was put; false when there is none.
  package func take(_ body: (RawSpan, VideoFrameInfo, Instant) -> Void) -> Bool {
    guard let frame = self.frames.take() else { return false }
    self.taken.add(1, ordering: .releasing)
    frame.pass(to: body)
    self.rooms.post(frame.room)
    if self.isAwaited.exchange(false, ordering: .acquiring) { self.wakeWriter() }
    return true
  }

  /// For the reader: asks the writer for a key frame, who has to be woken for it.
  package func requestKeyFrame() { self.wantsKeyFrame.store(true, ordering: .relaxed) }

  private func emptyRoom() -> VideoFrameRoom {
    guard var room = self.rooms.take() else { return VideoFrameRoom(limit: self.limit) }
    room.clear()
    return room
  }

  private func lose() {
    self.dropped.add(1, ordering: .relaxed)
    self.isBroken.store(true, ordering: .relaxed)
  }
}

/// A frame on its way, and when it was put.
private struct Frame: ~Copyable, Sendable {
  let room: VideoFrameRoom
  let info: VideoFrameInfo
  let time: Instant

  borrowing func pass(to body: (RawSpan, VideoFrameInfo, Instant) -> Void) {
    body(self.room.bytes, self.info, self.time)
  }
}
