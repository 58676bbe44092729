internal import Handoff
internal import Synchronization
internal import UACore

extension Call {
  /// The figures of a call, in the end or until now. Packets are RTP, and those of audio where nothing else is said.
  public struct Summary: Sendable, Equatable {
    /// Why it ended, a word: `hangup`, `rejected`, `cancelled`, `timeout`, `unreachable`, `media` …; empty while it goes on.
    public let reason: String
    /// SIP's status, 400 to 699, where the peer refused the call, or the program did by `reject`.
    public let status: Int?
    /// From answer to end, or until now; zero for a call that was not answered.
    public let duration: Duration
    /// The audio codec as name, clock rate in Hz and channels, for example `opus/48000/2`; nil where none was agreed.
    public let codec: String?
    /// The SRTP profile, for example `AEAD_AES_128_GCM`; nil for media in the clear.
    public let srtpProfile: String?
    /// Packets that left.
    public let sentPackets: Int
    /// Packets that came.
    public let receivedPackets: Int
    /// Packets of the peer's that did not come (RFC 3550 A.3).
    public let lostPackets: Int
    /// How unevenly the peer's packets came (RFC 3550 §6.4.1).
    public let jitter: Duration
    /// Datagrams dropped, whatever the reason, on all transports.
    public let dropped: Int
    /// Frames that left `audio` unread, for the program was slow, does not read it or reads no more.
    public let unreadAudioFrames: Int
    /// Frames that left `video` unread, for the program was slow, does not read it or reads no more.
    public let unreadVideoFrames: Int
    /// Blocks that `play` found no room for.
    public let refusedAudioBlocks: Int
    /// Frames that `send` found no room for.
    public let refusedVideoFrames: Int

    init(_ report: CallReport, audio: ProgramAudio.Pipes, video: ProgramVideo.Pipes) {
      (self.reason, self.status) = (report.reason, report.status)
      self.duration = .seconds(report.duration)
      (self.codec, self.srtpProfile) = (report.codec, report.profile)
      (self.sentPackets, self.receivedPackets) = (report.media.sentPackets, report.media.receivedPackets)
      self.lostPackets = report.media.lost
      self.jitter = .milliseconds(report.media.jitter)
      self.dropped = report.dropped
      self.unreadAudioFrames = audio.unread.load(ordering: .relaxed)
      self.unreadVideoFrames = video.unread.load(ordering: .relaxed)
      (self.refusedAudioBlocks, self.refusedVideoFrames) = (audio.toPeer.dropCount, video.toPeer.dropCount)
    }
  }
}
