import ModuleKit
import NetBase
import TestSupport
import Testing
import vp8

private let codec = VP8Codec()

@Suite("VP8 payloads (RFC 7741)") struct VP8Tests {
  @Test("nothing is asked of the peer, and whatever it asks is accepted")
  func description() throws {
    #expect(codec.encodingName == "VP8" && codec.offeredParameters == nil)
    #expect(codec.accepts(remote: nil) && codec.accepts(remote: "max-fr=30;max-fs=3600"))
    #expect(codec.answeredParameters(to: "max-fr=30;max-fs=3600") == nil)
    let module = try VP8(settings: ModuleSettings(keys: []))
    #expect(module.facets.map(\.kind) == ["video codec"] && module.facets.allSatisfy { $0.safety == .confined })
  }

  @Test("a frame's payloads: S in the first alone, partition 0, one picture ID, the last one marked (§4.2)")
  func descriptor() {
    let packetizer = codec.makePacketizer(remote: nil)
    let first = payloads(vp8Frame(20, isKey: true), packetizer, room: 14)
    #expect(first.map { Array($0.bytes[..<4]) } == [[0x90, 0x80, 0x80, 0x00], [0x80, 0x80, 0x80, 0x00]])
    #expect(first.map(\.bytes.count) == [14, 14] && first.map(\.isLast) == [false, true])
    let second = payloads(vp8Frame(3, isKey: false), packetizer, room: 1200)
    #expect(second.map(\.bytes) == [[0x90, 0x80, 0x80, 0x01, 0x11, 0x02, 0x00]] && second[0].isLast)
  }

  @Test("the picture ID counts frames, and begins again after 32767")
  func pictureIDs() {
    let packetizer = codec.makePacketizer(remote: nil)
    var last: [UInt8] = []
    for number in 0...0x8000 {
      last = payloads(vp8Frame(3, isKey: false), packetizer, room: 100)[0].bytes
      guard Int(last[2] & 0x7F) << 8 | Int(last[3]) == number & 0x7FFF, last[2] & 0x80 != 0 else {
        Issue.record("frame \(number): \(last)")
        return
      }
    }
    #expect(last[2...3] == [0x80, 0x00])
  }

  @Test("test_video: frames of all sizes come out as they went in, at each room for a payload")
  func roundTrip() {
    for room in [5, 100, 101, 500, 1200] {
      let (packetizer, depacketizer) = (codec.makePacketizer(remote: nil), codec.makeDepacketizer())
      let full = room - 4
      for length in [10, 11, full - 1, full, full + 1, 2 * full - 1, 2 * full, 2 * full + 1, 10 * full + 7]
      where length >= 10 {
        for isKey in [true, false] {
          let sent = vp8Frame(length, isKey: isKey)
          let all = payloads(sent, packetizer, room: room)
          #expect(frame(all.map(\.bytes), depacketizer) == sent, "\(length) bytes, \(room) a payload")
          #expect(all.map(\.isLast) == all.indices.map { $0 == all.count - 1 })
          #expect(all.count == (length + full - 1) / full)
          #expect(place(all[0].bytes, depacketizer) == (isKey ? [.beginsFrame, .isOfKeyFrame] : .beginsFrame))
          #expect(all.dropFirst().allSatisfy { place($0.bytes, depacketizer) == [] })
        }
      }
    }
  }

  @Test(
    "what is no frame is not sent, nor is anything where there is no room",
    arguments: [
      [], [0x11], [0x11, 2], [0x10, 2, 0], [0x10, 2, 0, 0x9D, 1, 0x2A, 0, 1, 0],
      [0x10, 2, 0, 0x9D, 1, 0x2B, 0, 1, 0, 1], [0x10, 2, 0, 0x9C, 1, 0x2A, 0, 1, 0, 1],
    ] as [[UInt8]])
  func noFrames(bytes: [UInt8]) {
    #expect(payloads(bytes, codec.makePacketizer(remote: nil), room: 1200).isEmpty)
    for room in 0...4 {
      #expect(payloads(vp8Frame(50, isKey: true), codec.makePacketizer(remote: nil), room: room).isEmpty)
    }
  }

  /// A descriptor, then `0x10` of a key frame.
  private static let descriptors: [(String, [UInt8], VideoPayloadPlace)] = [
    ("§4.6.1: a key frame's first byte follows at once", [0x10], [.beginsFrame, .isOfKeyFrame]),
    ("a non-reference frame", [0x30], [.beginsFrame, .isOfKeyFrame]),
    ("the reserved bit is passed over", [0x58], [.beginsFrame, .isOfKeyFrame]),
    ("not the start of a partition", [0x00], []),
    ("the start of partition 1", [0x11], []),
    ("X without extensions", [0x90, 0x00], [.beginsFrame, .isOfKeyFrame]),
    ("I, 7 bits (§4.6.2)", [0x90, 0x80, 0x11], [.beginsFrame, .isOfKeyFrame]),
    ("I, 15 bits (§4.6.5)", [0x90, 0x80, 0x81, 0x45], [.beginsFrame, .isOfKeyFrame]),
    ("L and T", [0x90, 0x60, 0x07, 0x20], [.beginsFrame, .isOfKeyFrame]),
    ("T", [0x90, 0x20, 0x40], [.beginsFrame, .isOfKeyFrame]),
    ("K", [0x90, 0x10, 0x05], [.beginsFrame, .isOfKeyFrame]),
    ("T and K share a byte", [0x90, 0x30, 0x45], [.beginsFrame, .isOfKeyFrame]),
    ("all of them", [0x90, 0xF0, 0x92, 0x34, 0x07, 0x45], [.beginsFrame, .isOfKeyFrame]),
    ("all of them, 7 bits, within a frame", [0x80, 0xF0, 0x12, 0x07, 0x45], []),
  ]

  @Test(
    "every form of the descriptor is read, refused when it is cut off, and ignored when nothing follows it",
    arguments: descriptors)
  func extensions(name: String, descriptor: [UInt8], expected: VideoPayloadPlace) {
    let depacketizer = codec.makeDepacketizer()
    let body: [UInt8] = [0x10, 0xAA, 0xBB]
    #expect(place(descriptor + body, depacketizer) == expected)
    #expect(frame([descriptor + body], depacketizer) == body)
    let isStart = expected.contains(.beginsFrame)
    #expect(place(descriptor + [0x11], depacketizer) == (isStart ? .beginsFrame : []))
    #expect(place(descriptor, depacketizer) == .isIgnored)
    #expect(frame([descriptor, descriptor + body], depacketizer) == body)
    for count in 0..<descriptor.count {
      #expect(place(Array(descriptor[..<count]), depacketizer) == nil, "\(count) bytes")
      #expect(frame([Array(descriptor[..<count])], depacketizer) == nil, "\(count) bytes")
    }
  }

  @Test("a frame longer than its room is refused")
  func limit() {
    let depacketizer = codec.makeDepacketizer()
    #expect(frame([[0x10, 1, 2], [0, 3, 4]], depacketizer, limit: 4) == [1, 2, 3, 4])
    #expect(frame([[0x10, 1, 2], [0, 3, 4]], depacketizer, limit: 3) == nil)
  }

  @Test("whatever bytes come, place and frame agree on what is malformed")
  func noise() {
    var random = TestGenerator(seed: 7741)
    let depacketizer = codec.makeDepacketizer()
    for _ in 0..<20_000 {
      let payload = randomBytes(upTo: 12, &random)
      #expect((place(payload, depacketizer) == nil) == (frame([payload], depacketizer) == nil), "\(payload)")
    }
  }
}
