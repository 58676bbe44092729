internal import ModuleKit
internal import NetBase
internal import RTPStack

/// The receiving half of a video stream: packets are put in order, and whole frames go to a sink.
///
/// Owned by its stream, on the transport's loop; nothing here allocates once the rooms have grown.
struct VideoReceiver: ~Copyable {
  /// Bytes of the longest frame; what is longer is given up.
  private static let longestFrame = 4 << 20
  /// How far back a packet may be that is sent again.
  static let misorder = 512
  /// Packets of the longest frame.
  private static let longestRun = 1024
  /// The least time between two key frames that a sink asks for, which may take none of them.
  static let keyFrameInterval = Duration.milliseconds(300)

  struct Figures {
    var frames = 0
    var keyFrames = 0
    var malformed = 0
    /// Packets of the payload type for what is sent again.
    var repairs = 0
  }

  private(set) var rtp = RTPReceiver(clockRate: 90_000, misorder: Self.misorder)
  private(set) var figures = Figures()
  private var assembler = FrameAssembler(capacity: Self.longestRun)
  private var depacketizer: (any VideoDepacketizer)?
  private var sink: (any VideoSink)?
  private var frame = VideoFrameRoom(limit: Self.longestFrame)
  private var settings: VideoSettings?
  private var wantsKeyFrame = false
  /// When a key frame may be asked for on behalf of the sink; nil before the first request.
  private var nextSinkRequest: Instant?
  /// Whether timestamps have begun anew since the last frame.
  private var hasNewClock = false
  /// What is added to a frame's timestamp, and what the last frame had with it.
  private var timestampOffset: UInt32 = 0
  private var lastFrame: (timestamp: UInt32, time: Instant)?

  var assembly: FrameAssemblerStatistics { self.assembler.statistics }

  /// Takes a new agreement; the sink is made once for a codec.
  mutating func configure(_ new: VideoSettings) throws(ModuleError) {
    let old = self.settings
    self.settings = new
    self.assembler.asksForLost = new.asksForLost
    // What came while the stream was held was not looked at, and is not missing.
    if new.canReceive, old?.canReceive == false {
      self.assembler.reset()
      self.wantsKeyFrame = true
    }
    guard old?.codec.encodingName != new.codec.encodingName else { return }
    self.assembler.reset()
    self.depacketizer = new.codec.makeDepacketizer()
    self.sink?.finish()
    self.sink = try new.sink?()
  }

  /// Whether a payload type is the stream's.
  func has(_ payloadType: UInt8) -> Bool {
    payloadType == self.settings?.receiveType || payloadType == self.settings?.repairReceiveType
  }

  enum Verdict {
    /// It belongs to nothing that was negotiated.
    case unknown
    case taken
    /// Another source has taken over.
    case changedSource
  }

  /// Takes an RTP packet.
  mutating func receive(_ header: RTPHeader, in packet: RawSpan, now: Instant) -> Verdict {
    guard let settings, let depacketizer, self.has(header.payloadType) else { return .unknown }
    var (header, payload) = (header, packet.extracting(header.payload))
    var verdict = Verdict.taken
    if header.payloadType == settings.repairReceiveType {
      self.figures.repairs += 1
      // Without one it is padding: a browser's congestion control tries what its path can carry.
      // One that nobody misses may be of a source that is gone, whose numbers would mislead.
      guard let original = RTXPayload.original(of: payload), self.assembler.isMissing(original) else { return .taken }
      header.sequenceNumber = original
      payload = payload.extracting(RTXPayload.overhead..<payload.byteCount)
    } else {
      let isMissing = self.assembler.isMissing(header.sequenceNumber)
      switch self.rtp.receive(header, now: now, isMissing: isMissing) {
      case .duplicate, .suspect: return .taken
      case .restarted: self.forgetSource()
      case .changedSource:
        self.forgetSource()
        verdict = .changedSource
      case .accepted: break
      }
    }
    guard settings.canReceive else { return verdict }
    var place = VideoPayloadPlace()
    if !payload.isEmpty {
      guard let known = depacketizer.place(of: payload) else {
        self.figures.malformed += 1
        return verdict
      }
      place = known
      // It fills its number all the same, as padding does.
      if place.contains(.isIgnored) { payload = payload.extracting(0..<0) }
    }
    self.assembler.insert(
      header, payload: payload, beginsFrame: place.contains(.beginsFrame), isOfKeyFrame: place.contains(.isOfKeyFrame),
      now: now)
    self.takeFrames(depacketizer, now: now)
    return verdict
  }

  /// The numbers and timestamps that come now have nothing to do with those that came.
  private mutating func forgetSource() {
    self.assembler.reset()
    self.hasNewClock = true
  }

  private mutating func takeFrames(_ depacketizer: any VideoDepacketizer, now: Instant) {
    // Taken out, so that it can be written while the packets are read.
    var frame = VideoFrameRoom(limit: 0)
    swap(&frame, &self.frame)
    defer { swap(&frame, &self.frame) }
    while let next = self.assembler.nextFrame() {
      frame.clear()
      var isSound = true
      for number in next.sequences where isSound {
        let payload = self.assembler.payload(of: number)
        isSound = payload.isEmpty || depacketizer.append(payload, to: &frame)
      }
      guard isSound else {
        self.figures.malformed += 1
        self.assembler.reject(next)
        continue
      }
      self.assembler.release(next)
      self.figures.frames += 1
      let timestamp = self.timestamp(of: next, now: now)
      if next.isKeyFrame {
        self.figures.keyFrames += 1
        self.wantsKeyFrame = false
      }
      guard let sink else { continue }
      sink.take(frame.bytes, VideoFrameInfo(timestamp: timestamp, isKeyFrame: next.isKeyFrame), now: now)
      self.askSink()
    }
  }

  /// A frame's timestamp for the sink. Those of another source begin anywhere (RFC 3550 §5.1): its first frame is as
  /// much later than the last as time went on.
  private mutating func timestamp(of frame: AssembledFrame, now: Instant) -> UInt32 {
    if self.hasNewClock, let last = self.lastFrame {
      let step = max(1, now.nanoseconds(since: last.time) / 1000 * 9 / 100)
      self.timestampOffset = last.timestamp &+ UInt32(truncatingIfNeeded: step) &- frame.timestamp
    }
    self.hasNewClock = false
    let timestamp = frame.timestamp &+ self.timestampOffset
    self.lastFrame = (timestamp, now)
    return timestamp
  }

  /// The sink may want a key frame.
  mutating func askSink() { if self.sink?.takeKeyFrameRequest() == true { self.wantsKeyFrame = true } }

  var nextDeadline: Instant? {
    guard self.settings?.canReceive == true else { return nil }
    let deadline = self.assembler.nextDeadline
    guard self.wantsKeyFrame, let request = self.nextSinkRequest else { return deadline }
    return min(deadline ?? request, request)
  }

  /// Gives up what is too old.
  mutating func timeout(now: Instant) {
    self.assembler.timeout(now: now)
    if let depacketizer { self.takeFrames(depacketizer, now: now) }
  }

  /// The numbers to ask for now.
  mutating func takeMissing(now: Instant, roundTrip: Duration?) -> LostNumbers {
    var lost = LostNumbers()
    self.assembler.takeMissing(now: now, roundTrip: roundTrip) { lost.append($0) }
    return lost
  }

  /// Whether a key frame is to be asked for now.
  mutating func takeKeyFrameRequest(now: Instant) -> Bool {
    guard self.settings?.canReceive == true, self.rtp.ssrc != nil else { return false }
    let isStuck = self.assembler.takeKeyFrameRequest(now: now)
    let isWanted = self.wantsKeyFrame && (self.nextSinkRequest ?? now) <= now
    guard isStuck || isWanted else { return false }
    self.wantsKeyFrame = false
    self.nextSinkRequest = now.advanced(by: Self.keyFrameInterval)
    return true
  }

  mutating func takeReport(_ body: (inout RTPReceiver) -> Void) { body(&self.rtp) }

  mutating func finish() {
    self.sink?.finish()
    (self.sink, self.settings) = (nil, nil)
  }
}
