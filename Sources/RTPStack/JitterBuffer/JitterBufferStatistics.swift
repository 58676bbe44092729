/// Counters of a jitter buffer since it was made.
///
/// At any time `inserted` = `played` + `late` + `duplicates` + `overflow` + `skipped` + `flushed` + packets held.
package struct JitterBufferStatistics: Equatable, Sendable {
  /// Packets handed in.
  package internal(set) var inserted: UInt64 = 0
  /// Of these, lost packets whose payload came with a later one.
  package internal(set) var recovered: UInt64 = 0
  /// Packets handed out.
  package internal(set) var played: UInt64 = 0
  /// Packets that came after their time.
  package internal(set) var late: UInt64 = 0
  /// Packets that were there before.
  package internal(set) var duplicates: UInt64 = 0
  /// Packets dropped because there was no room, or more delay than the mode allows.
  package internal(set) var overflow: UInt64 = 0
  /// Packets dropped by the adaptive mode to bring the delay down.
  package internal(set) var skipped: UInt64 = 0
  /// Packets that were held when the stream restarted.
  package internal(set) var flushed: UInt64 = 0
  /// Packets concealed because they were lost or late while a later one was there.
  package internal(set) var missing: UInt64 = 0
  /// Times that nothing was there to play.
  package internal(set) var underruns: UInt64 = 0
  /// Packet times inserted by the adaptive mode to bring the delay up.
  package internal(set) var stretched: UInt64 = 0
  /// Times that the timestamps jumped, or the path's delay changed for good, and playout was anchored again.
  package internal(set) var resyncs: UInt64 = 0
  /// Times that the sequence or the source restarted.
  package internal(set) var resets: UInt64 = 0

  package init() {}

  /// Everything handed in that is accounted for; what is missing from `inserted` is still held.
  package var accounted: UInt64 {
    self.played + self.late + self.duplicates + self.overflow + self.skipped + self.flushed
  }
}
