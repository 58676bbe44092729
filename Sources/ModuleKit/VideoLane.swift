internal import Handoff
package import NetBase
internal import Synchronization

/// Carries encoded frames from one owner to another, who may be on another thread; bounded, and its rooms are used again.
///
/// A frame that finds the lane full is dropped with all those after it up to the next key frame, and a key frame is asked for:
/// who takes can decode all that it gets.
package final class VideoLane: Sendable {
  private let frames: Mailbox<Frame>
  private let rooms: Mailbox<VideoFrameRoom>
  private let limit: Int
  private let wantsKeyFrame = Atomic<Bool>(true)
  /// The writer's.
  private let isBroken = Atomic<Bool>(true)
  private let dropped = Atomic<Int>(0)

  /// - Parameters:
  ///   - capacity: frames that may wait.
  ///   - limit: bytes of the longest frame.
  ///   - wake: called after each frame that was put.
  package init(capacity: Int, limit: Int, wake: @escaping @Sendable () -> Void) {
    self.frames = Mailbox(capacity: capacity, wake: wake)
    self.rooms = Mailbox(capacity: capacity) {}
    self.limit = limit
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
    } else if self.isBroken.load(ordering: .relaxed) {
      self.dropped.add(1, ordering: .relaxed)
      return false
    }
    var room = self.emptyRoom()
    let fits = room.append(bytes)
    guard fits else {
      self.rooms.post(room)
      self.lose()
      return false
    }
    guard let refused = self.frames.offer(Frame(room: room, info: info, time: now)) else { return true }
    self.rooms.post(refused.room)
    self.lose()
    return false
  }

  /// For the writer: whether its next frame should be a key frame; answered once.
  package func takeKeyFrameRequest() -> Bool { self.wantsKeyFrame.exchange(false, ordering: .relaxed) }

  /// For the reader: gives `body` the oldest frame, and when it was put; false when there is none.
  package func take(_ body: (RawSpan, VideoFrameInfo, Instant) -> Void) -> Bool {
    guard let frame = self.frames.take() else { return false }
    frame.pass(to: body)
    self.rooms.post(frame.room)
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
    self.wantsKeyFrame.store(true, ordering: .relaxed)
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
