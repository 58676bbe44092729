/// Counters of a frame assembler since it was made.
package struct FrameAssemblerStatistics: Equatable, Sendable {
  /// Frames delivered, and those of them that are key frames.
  package internal(set) var frames: UInt64 = 0
  package internal(set) var keyFrames: UInt64 = 0
  /// Frames of which packets came and that were not delivered, or that were rejected.
  package internal(set) var discardedFrames: UInt64 = 0
  /// Packets that were given up.
  package internal(set) var lostPackets: UInt64 = 0
  /// Packets that came after they were asked for.
  package internal(set) var recovered: UInt64 = 0
  /// Packets that came after they were given up, or again after their frame.
  package internal(set) var latePackets: UInt64 = 0
  /// Packets that were there before.
  package internal(set) var duplicates: UInt64 = 0
  /// Packets for which there was no room.
  package internal(set) var refused: UInt64 = 0
  /// Times that the numbers jumped too far, and the stream began anew.
  package internal(set) var restarts: UInt64 = 0

  package init() {}
}
