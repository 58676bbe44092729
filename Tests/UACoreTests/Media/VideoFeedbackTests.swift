import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing
import vp8

@testable import UACore

/// A peer that asks for more of our video than is good.
@Suite("a stream of video, asked without end") struct VideoFeedbackTests {
  /// What left, without a network.
  final class Output: StreamOutput {
    var packets: [[UInt8]] = []
    var again = 0
    var reports: [[UInt8]] = []
    let canSend = true
    let canReport = true

    func send(packet: inout Packet) -> Bool {
      self.packets.append(packet.bytes.copied())
      return true
    }
    func send(again packet: RawSpan) { self.again += 1 }
    func send(report packet: inout Packet) -> Bool {
      self.reports.append(packet.bytes.copied())
      return true
    }
  }

  static func makeSettings(repairType: UInt8?, takesPictureLoss: Bool = true) throws -> VideoSettings {
    let probe = try ProbeVideo(settings: ModuleSettings(keys: []))
    let offers = probe.facets.compactMap { facet in
      if case .videoSource(let offer) = facet.body { offer } else { nil }
    }
    let request = VideoRequest(
      device: "4000", encodingName: "VP8", stream: StreamID(number: 1), direction: .transmit, wake: {})
    return VideoSettings(
      codec: VP8Codec(), remoteParameters: nil, sendType: 96, receiveType: 96, repairSendType: repairType,
      repairReceiveType: repairType, canSend: true, canReceive: true, asksForLost: true,
      asksForKeyFrames: takesPictureLoss,
      asksByFullIntraRequest: true, usesReducedSize: true, ssrc: 7, repairSSRC: 8, canonicalName: "video", mediaID: nil,
      source: try offers[0](request), sink: nil)
  }

  static func makeStream(repairType: UInt8?, takesPictureLoss: Bool = true) throws -> VideoStream {
    let settings = try Self.makeSettings(repairType: repairType, takesPictureLoss: takesPictureLoss)
    let stream = VideoStream(settings, isShared: false, seed: 1, wallClockOffset: 0, now: Instant(nanoseconds: 0))
    try stream.configure(settings, now: Instant(nanoseconds: 0))
    return stream
  }

  static func feedback(_ write: (inout RTCPWriter, inout MutableRawSpan) -> Void) -> [UInt8] {
    var room = [UInt8](repeating: 0, count: 512)
    var writer = RTCPWriter()
    room.withPacket { write(&writer, &$0.storage) }
    return Array(room[..<writer.count])
  }

  @Test("who asks for a key frame all the time gets five a second")
  func keyFrames() throws {
    let (stream, output) = (try Self.makeStream(repairType: nil), Output())
    let loss = Self.feedback { $0.pictureLoss(sender: 9, source: 7, into: &$1) }
    for millisecond in 0..<2000 {
      let now = Instant(nanoseconds: 0).advanced(byMilliseconds: Int64(millisecond))
      #expect(loss.withRawSpan { stream.receive(report: $0, now: now, output) })
      stream.timeout(now: now, output)
    }
    let video = stream.statistics
    #expect(video.receivedKeyFrameRequests == 2000 && (8...12).contains(video.sentKeyFrames), "\(video)")
  }

  @Test(
    "a key frame is asked for by PLI, and where the peer has FIR only by that, with another number each time",
    arguments: [true, false])
  func requests(takesPictureLoss: Bool) throws {
    let (sender, receiver) = (
      try Self.makeStream(repairType: nil), try Self.makeStream(repairType: nil, takesPictureLoss: takesPictureLoss)
    )
    let (packets, output) = (Output(), Output())
    sender.timeout(now: Instant(nanoseconds: 0), packets)
    // Without its first packet the key frame is none.
    for packet in packets.packets.dropFirst() {
      let isKnown = try packet.withRawSpan {
        receiver.receive(try RTPHeader(parsing: $0), in: $0, now: Instant(nanoseconds: 0), output)
      }
      #expect(isKnown)
    }
    for tenth in 1..<20 {
      receiver.timeout(now: Instant(nanoseconds: 0).advanced(byMilliseconds: Int64(tenth) * 100), output)
    }
    let asked = output.reports.filter { $0[1] == 206 }
    let type: UInt8 = takesPictureLoss ? 1 : 4
    #expect(asked.count >= 3 && asked.allSatisfy { $0[0] & 0x1F == type }, "\(asked)")
    #expect(receiver.statistics.keyFrameRequests == asked.count)
    if !takesPictureLoss { #expect(asked.map { $0[16] } == (1...UInt8(asked.count)).map { $0 }) }
  }

  @Test("another source of the stream goes on with time, wherever its own timestamps begin (RFC 3550 §5.1)")
  func anotherSource() throws {
    let (stream, output) = (try Self.makeStream(repairType: nil), Output())
    func run(_ milliseconds: Range<Int64>) {
      for millisecond in milliseconds {
        stream.timeout(now: Instant(nanoseconds: 0).advanced(byMilliseconds: millisecond), output)
      }
    }
    run(0..<1000)
    let before = output.packets.count
    stream.finish()
    try stream.configure(
      Self.makeSettings(repairType: nil), now: Instant(nanoseconds: 0).advanced(byMilliseconds: 3000))
    run(3000..<4000)
    let timestamps = try output.packets.map { try $0.withRawSpan { try RTPHeader(parsing: $0).timestamp } }
    let gap = Int32(bitPattern: timestamps[before] &- timestamps[before - 1])
    #expect((180_000...190_000).contains(gap), "two seconds, and a frame's time: \(gap)")
    #expect(zip(timestamps, timestamps.dropFirst()).allSatisfy { Int32(bitPattern: $1 &- $0) >= 0 })
  }

  @Test("who asks for every packet all the time gets each once in 20 ms", arguments: [97, nil])
  func lost(repairType: UInt8?) throws {
    let (stream, output) = (try Self.makeStream(repairType: repairType), Output())
    stream.timeout(now: Instant(nanoseconds: 0), output)
    let first = output.packets
    #expect(first.count > 20)
    var lost = LostNumbers()
    for packet in first { lost.append(UInt16(packet[2]) << 8 | UInt16(packet[3])) }
    let request = Self.feedback { $0.nack(sender: 9, source: 7, lost, into: &$1) }
    for millisecond in 0..<30 {
      let now = Instant(nanoseconds: 0).advanced(byMilliseconds: Int64(millisecond))
      #expect(request.withRawSpan { stream.receive(report: $0, now: now, output) })
    }
    #expect(stream.statistics.resent == 2 * first.count)
    guard repairType != nil else {
      #expect(output.again == 2 * first.count && output.packets.count == first.count)
      return
    }
    let repairs = output.packets.filter { $0[1] & 0x7F == 97 }
    #expect(repairs.count == 2 * first.count && output.again == 0)
    let numbers = repairs.map { UInt16($0[2]) << 8 | UInt16($0[3]) }
    #expect(Set(numbers).count == numbers.count && repairs.allSatisfy { Array($0[8..<12]) == [0, 0, 0, 8] })
    #expect(Set(repairs.map { Array($0[12..<14]) }) == Set(first.map { Array($0[2..<4]) }))
  }

  @Test("packets that come when they were given up, and those that find no room, are counted and shown")
  func lateAndRefused() throws {
    let (sender, receiver, output) = (
      try Self.makeStream(repairType: nil), try Self.makeStream(repairType: nil), Output()
    )
    func receive(_ packet: [UInt8], at milliseconds: Int64) throws {
      let now = Instant(nanoseconds: 0).advanced(byMilliseconds: milliseconds)
      let isKnown = try packet.withRawSpan { receiver.receive(try RTPHeader(parsing: $0), in: $0, now: now, Output()) }
      #expect(isKnown)
    }
    sender.timeout(now: Instant(nanoseconds: 0), output)
    let packets = output.packets
    for (index, packet) in packets.enumerated() where index != 1 { try receive(packet, at: 0) }
    for tenth in 1..<20 {
      receiver.timeout(now: Instant(nanoseconds: 0).advanced(byMilliseconds: Int64(tenth) * 100), Output())
    }
    try receive(packets[1], at: 2000)
    var long = packets[packets.count - 1] + [UInt8](repeating: 0, count: FrameAssembler.longestPayload)
    long[3] &+= 1
    long[2] &+= long[3] == 0 ? 1 : 0
    try receive(long, at: 2000)
    let video = receiver.statistics
    #expect(video.late == 1 && video.refused == 1, "\(video)")
    #expect(video.json(nil)["rx"]?["late"] == .integer(1) && video.json(nil)["rx"]?["refused"] == .integer(1))
    let text = video.text(nil)
    #expect(text.contains(", late 1, ") && text.contains(", packets without room 1, "), "\(text)")
  }
}
