import AllModules
import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing
import vp8

@testable import UACore

private func moment(_ milliseconds: Int64) -> Instant {
  Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
}

/// Packets of a peer's video one by one, and what the display gets of them.
@Suite("the receiving half of a stream of video") struct VideoReceiverTests {
  private final class Feed {
    private var receiver = VideoReceiver()
    private let display: String
    private var settings: VideoSettings

    init(_ codec: any VideoCodec = VP8Codec(), display: String, sink: VideoSinkFactory? = nil) throws {
      self.display = display
      let probe = try ProbeVideo(settings: ModuleSettings(keys: []))
      let offers = probe.facets.compactMap { facet in
        if case .videoSink(let offer) = facet.body { offer } else { nil }
      }
      let request = VideoRequest(
        device: display, encodingName: codec.encodingName, stream: StreamID(number: 1), direction: .receive, wake: {})
      let factory = try sink ?? offers[0](request)
      self.settings = VideoSettings(
        codec: codec, remoteParameters: nil, sendType: 96, receiveType: 96, repairSendType: nil,
        repairReceiveType: 97, canSend: false, canReceive: true, asksForLost: true, asksForKeyFrames: true,
        usesReducedSize: true, ssrc: 7, repairSSRC: 8, canonicalName: "video", mediaID: nil, source: nil,
        sink: factory)
      try self.receiver.configure(self.settings)
    }

    /// Holds the stream, or goes on.
    func hold(_ isHeld: Bool) throws {
      self.settings.canReceive = !isHeld
      try self.receiver.configure(self.settings)
    }

    func put(
      _ number: UInt16, _ payload: [UInt8], timestamp: UInt32, marker: Bool = true, ssrc: UInt32 = 1,
      payloadType: UInt8 = 96, at milliseconds: Int64 = 0
    ) throws {
      let header = RTPHeader(
        marker: marker, payloadType: payloadType, sequenceNumber: number, timestamp: timestamp, ssrc: ssrc)
      var bytes = [UInt8](repeating: 0, count: RTPHeader.fixedLength)
      bytes.withPacket { packet in _ = header.write(into: &packet.storage) }
      bytes += payload
      let verdict = try bytes.withRawSpan {
        self.receiver.receive(try RTPHeader(parsing: $0), in: $0, now: moment(milliseconds))
      }
      #expect(verdict != .unknown)
    }

    /// How many words a request for what is missing has.
    func missing(at milliseconds: Int64) -> Int {
      self.receiver.takeMissing(now: moment(milliseconds), roundTrip: nil).wordCount
    }

    func wantsKeyFrame(at milliseconds: Int64) -> Bool {
      self.receiver.takeKeyFrameRequest(now: moment(milliseconds))
    }

    var frames: [ProbeDisplay.Frame] { ProbeDisplay.frames(self.display) }
    var rtp: RTPReceiver { self.receiver.rtp }
    var malformed: Int { self.receiver.figures.malformed }
    var nextDeadline: Instant? { self.receiver.nextDeadline }
  }

  /// Wants a key frame, whatever it gets.
  private final class GreedyDisplay: VideoSink {
    func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant) {}
    func takeKeyFrameRequest() -> Bool { true }
    func finish() {}
  }

  private static let keyFrame = payloads(
    vp8Frame(50, isKey: true), VP8Codec().makePacketizer(remote: nil), room: 1000)[0].bytes

  @Test("packets that are sent again as they were fill a gap far back, and copies of them restart nothing")
  func sentAgain() throws {
    let feed = try Feed(display: "receiver: sent again")
    let packetizer = VP8Codec().makePacketizer(remote: nil)
    let (key, next) = (vp8Frame(15_000, isKey: true), vp8Frame(50, isKey: false))
    let parts = payloads(key, packetizer, room: 104)
    #expect(parts.count == 150)
    for (index, part) in parts.enumerated() where index != 2 && index != 3 {
      try feed.put(UInt16(index), part.bytes, timestamp: 1, marker: part.isLast)
    }
    #expect(feed.frames.isEmpty && feed.missing(at: 10) == 1)
    for _ in 0..<2 {
      for index in 2...3 { try feed.put(UInt16(index), parts[index].bytes, timestamp: 1, marker: false, at: 50) }
    }
    try feed.put(150, payloads(next, packetizer, room: 104)[0].bytes, timestamp: 3001, at: 60)
    #expect(feed.frames.map(\.bytes) == [key, next])
    #expect(feed.rtp.lost == 0 && feed.rtp.duplicates == 2 && feed.rtp.suspects == 0)
  }

  @Test("what is sent again fills what is missing and moves nothing: it may be of numbers that are gone")
  func foreignRepair() throws {
    let feed = try Feed(display: "receiver: foreign repair")
    try feed.put(10, Self.keyFrame, timestamp: 1)
    try feed.put(12, Self.keyFrame, timestamp: 3, at: 20)
    for original in [UInt16(40_000), 9, 11_000] {
      let payload = [UInt8(original >> 8), UInt8(truncatingIfNeeded: original)] + Self.keyFrame
      try feed.put(1, payload, timestamp: 9, ssrc: 8, payloadType: 97, at: 30)
    }
    try feed.put(2, [0, 11] + Self.keyFrame, timestamp: 2, ssrc: 8, payloadType: 97, at: 40)
    for number in UInt16(13)..<20 { try feed.put(number, Self.keyFrame, timestamp: UInt32(number), at: 50) }
    #expect(feed.frames.count == 10 && feed.missing(at: 500) == 0)
  }

  @Test("after a hold the stream begins anew with a key frame: what came meanwhile is not missing")
  func resumed() throws {
    let feed = try Feed(display: "receiver: resumed")
    try feed.put(10, Self.keyFrame, timestamp: 1)
    try feed.hold(true)
    for number in UInt16(11)..<31 { try feed.put(number, Self.keyFrame, timestamp: UInt32(number), at: 20) }
    try feed.hold(false)
    #expect(feed.wantsKeyFrame(at: 30))
    try feed.put(31, Self.keyFrame, timestamp: 31, at: 40)
    #expect(feed.frames.count == 2 && feed.missing(at: 60) == 0)
  }

  @Test("a NAL unit of a type without a meaning fills its number, also as the last of its frame")
  func ignored() throws {
    let registry = try ModuleRegistry(available: allModules, active: ["g711", "ausine", "h264"], settings: [:])
    let feed = try Feed(try registry.videoCodecs(["h264"])[0], display: "receiver: ignored")
    let units: [[UInt8]] = [[0x67, 1], [0x68, 2], [0x1E, 9], [0x65, 3]]
    for (index, unit) in units.enumerated() {
      try feed.put(UInt16(index), unit, timestamp: 1, marker: index == 3)
    }
    try feed.put(4, [0x41, 4], timestamp: 2, marker: false)
    try feed.put(5, [0x1F, 9], timestamp: 2)
    let expected: [[UInt8]] = [
      [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3], [0, 0, 0, 1, 0x41, 4],
    ]
    #expect(feed.frames.map(\.bytes) == expected)
    #expect(feed.missing(at: 100) == 0 && feed.malformed == 0)
  }

  @Test("where another source or other numbers begin, timestamps go on as time did")
  func timestamps() throws {
    let feed = try Feed(display: "receiver: timestamps")
    try feed.put(7, Self.keyFrame, timestamp: 1000, at: 0)
    // Two in sequence are another source's; the first of them is not taken yet.
    try feed.put(500, Self.keyFrame, timestamp: 3_000_000_000, ssrc: 2, at: 960)
    try feed.put(501, Self.keyFrame, timestamp: 3_000_003_000, ssrc: 2, at: 1000)
    try feed.put(502, Self.keyFrame, timestamp: 3_000_006_000, ssrc: 2, at: 1040)
    try feed.put(40_000, Self.keyFrame, timestamp: 5, ssrc: 2, at: 2000)
    try feed.put(40_001, Self.keyFrame, timestamp: 3005, ssrc: 2, at: 2040)
    #expect(feed.frames.map(\.info.timestamp) == [1000, 91_000, 94_000, 184_000])
  }

  @Test("a frame of a thousand packets comes whole")
  func longFrame() throws {
    let feed = try Feed(display: "receiver: long")
    let frame = vp8Frame(1_000_000, isKey: true)
    let parts = payloads(frame, VP8Codec().makePacketizer(remote: nil), room: 1000)
    #expect((1000...1024).contains(parts.count))
    for (index, part) in parts.enumerated() {
      try feed.put(UInt16(index), part.bytes, timestamp: 1000, marker: part.isLast, at: Int64(index) / 100)
    }
    #expect(feed.frames.map(\.bytes) == [frame] && !feed.wantsKeyFrame(at: 1000))
  }

  @Test("for a display that wants one key frame after the other, one is asked for every 300 ms")
  func greedyDisplay() throws {
    let feed = try Feed(display: "receiver: greedy", sink: { () throws(ModuleError) in GreedyDisplay() })
    var requests = 0
    for number in 0..<100 {
      let time = Int64(number) * 10
      try feed.put(UInt16(number), Self.keyFrame, timestamp: UInt32(number) * 900, at: time)
      if feed.wantsKeyFrame(at: time) { requests += 1 }
    }
    #expect(requests == 4 && feed.nextDeadline == moment(1200))
    #expect(!feed.wantsKeyFrame(at: 1199) && feed.wantsKeyFrame(at: 1200) && feed.nextDeadline == nil)
  }
}
