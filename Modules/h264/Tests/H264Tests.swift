import ModuleKit
import NetBase
import TestSupport
import Testing
import h264

private let codec = H264Codec()
private let interleaved = "packetization-mode=1"

/// A NAL unit of this length: its header, and bytes without zeros.
private func unit(_ header: UInt8, _ length: Int) -> [UInt8] { [header] + (1..<length).map { UInt8($0 % 251) + 1 } }

/// Annex B, with start codes of four bytes.
private func accessUnit(_ units: [UInt8]...) -> [UInt8] { units.flatMap { [0, 0, 0, 1] + $0 } }

private func joined(_ parts: [UInt8]...) -> [UInt8] { parts.flatMap { $0 } }

private let sps = unit(0x67, 12)
private let pps = unit(0x68, 5)

@Suite("H.264 in SDP (RFC 6184 §8)") struct H264DescriptionTests {
  @Test("the offer, and answers that repeat the peer's profile and mode")
  func answers() throws {
    #expect(codec.encodingName == "H264")
    #expect(codec.offeredParameters == "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1")
    for (remote, answer) in [
      ("profile-level-id=640c1f;packetization-mode=1;level-asymmetry-allowed=1", nil as String?),
      (
        " Packetization-Mode=0 ; profile-level-id=42E01F;sprop-parameter-sets=Z0IA,aM4=",
        "profile-level-id=42E01F;packetization-mode=0"
      ),
      ("packetization-mode=1;level-asymmetry-allowed=0", "packetization-mode=1"),
    ] {
      #expect(codec.accepts(remote: remote) && codec.answeredParameters(to: remote) == answer ?? remote)
    }
    for remote in [nil, "", "nonsense;=;;max-mbps=1"] {
      #expect(codec.accepts(remote: remote) && codec.answeredParameters(to: remote) == nil)
    }
    let module = try H264(settings: ModuleSettings(keys: []))
    #expect(module.facets.map(\.kind) == ["video codec"] && module.facets.allSatisfy { $0.safety == .confined })
  }

  @Test(
    "the interleaved mode and what is no profile are refused",
    arguments: [
      "packetization-mode=2", "packetization-mode=x", "packetization-mode=01",
      "profile-level-id=42e0", "profile-level-id=42e01f0", "profile-level-id=42e01g", "profile-level-id=４2e01f",
      "packetization-mode=1;profile-level-id=\"42e01f\"",
    ])
  func refusals(remote: String) {
    #expect(!codec.accepts(remote: remote) && codec.answeredParameters(to: remote) == nil)
  }
}

@Suite("H.264 payloads that are sent (RFC 6184 §5)") struct H264PacketizerTests {
  private func sent(_ frame: [UInt8], _ room: Int, mode: String? = "packetization-mode=1") -> [[UInt8]] {
    let all = payloads(frame, codec.makePacketizer(remote: mode), room: room)
    #expect(all.map(\.isLast) == all.indices.map { $0 == all.count - 1 })
    return all.map(\.bytes)
  }

  @Test("§5.6: a NAL unit alone is sent as it is, whatever start codes and zeros are around it")
  func single() {
    let slice = unit(0x41, 30)
    for frame in [
      accessUnit(slice), joined([0, 0, 1], slice), joined([0, 0, 0, 0, 0, 1], slice, [0, 0, 0]),
      joined([0xEE, 0, 0, 1], slice), joined([0, 0, 1, 0, 0, 1], slice, [0, 0, 1]),
      joined([0, 0, 1], slice, [0, 0, 0, 1, 0, 0]),
    ] {
      #expect(sent(frame, 100) == [slice])
      #expect(sent(frame, 100, mode: nil) == [slice])
    }
  }

  @Test("§5.7.1: small NAL units travel together, under the greatest NRI of theirs")
  func aggregate() {
    let (sei, slice) = (unit(0x06, 4), unit(0x65, 80))
    #expect(
      sent(accessUnit(sei, pps, slice), 100) == [joined([0x78, 0, 4], sei, [0, 5], pps, [0, 80], slice)])
    #expect(sent(accessUnit(sei, unit(0x06, 5)), 100)[0][0] == 0x18)
    // 1 + 2 + 4 + 2 + 5 + 2 + 80
    #expect(sent(accessUnit(sei, pps, slice), 96).count == 1)
    #expect(sent(accessUnit(sei, pps, slice), 95) == [joined([0x78, 0, 4], sei, [0, 5], pps), slice])
    #expect(sent(accessUnit(sei, slice), 88) == [sei, slice])
    #expect(sent(accessUnit(sei, slice), 89).count == 1)
    #expect(sent(accessUnit(sei, pps, slice), 96, mode: "packetization-mode=0") == [sei, pps, slice])
  }

  @Test("§5.8: a NAL unit that is too long travels in parts, its header spread over the first two bytes")
  func fragments() {
    let slice = unit(0x65, 12)
    #expect(sent(accessUnit(slice), 12) == [slice])
    #expect(
      sent(accessUnit(slice), 7) == [
        joined([0x7C, 0x85], Array(slice[1..<6])), joined([0x7C, 0x05], Array(slice[6..<11])), [0x7C, 0x45, slice[11]],
      ])
    #expect(
      sent(accessUnit(slice, pps), 11) == [
        joined([0x7C, 0x85], Array(slice[1..<10])), [0x7C, 0x45, slice[10], slice[11]], pps,
      ])
  }

  @Test("in packetization mode 0 a NAL unit that is too long ends its frame, without a last payload")
  func modeZero() {
    for mode in [nil, "packetization-mode=0"] {
      let packetizer = codec.makePacketizer(remote: mode)
      let all = payloads(accessUnit(pps, unit(0x65, 101), pps), packetizer, room: 100)
      #expect(all.map(\.bytes) == [pps] && all.map(\.isLast) == [false])
      #expect(payloads(accessUnit(unit(0x65, 100)), packetizer, room: 100).map(\.isLast) == [true])
    }
  }

  @Test("what has no NAL unit is not sent, nor is anything where there is no room")
  func noFrames() {
    for bytes in [[], [1], [0, 0, 1], [0, 0, 0, 1], [0, 0, 1, 0, 0], [0x65, 1, 2, 3], [0, 1, 2, 0, 0]] as [[UInt8]] {
      #expect(payloads(bytes, codec.makePacketizer(remote: interleaved), room: 100).isEmpty)
    }
    for room in 0...2 {
      #expect(payloads(accessUnit(sps), codec.makePacketizer(remote: interleaved), room: room).isEmpty)
    }
  }
}

@Suite("H.264 payloads that are received (RFC 6184 §5)") struct H264DepacketizerTests {
  @Test("frames of all sizes come out as they went in, at each room for a payload")
  func roundTrip() {
    for room in [6, 100, 101, 500, 1200] {
      let (packetizer, depacketizer) = (codec.makePacketizer(remote: interleaved), codec.makeDepacketizer())
      for length in [2, room - 1, room, room + 1, 2 * room - 4, 2 * room - 3, 2 * room - 2, 10 * room + 7] {
        for sent in [
          accessUnit(unit(0x65, length)), accessUnit(sps, pps, unit(0x65, length)),
          accessUnit(unit(0x09, 2), unit(0x41, length), unit(0x41, 3)),
          accessUnit(unit(0x41, length), unit(0x01, length)),
        ] {
          let all = payloads(sent, packetizer, room: room)
          #expect(frame(all.map(\.bytes), depacketizer) == sent, "\(length) bytes, \(room) a payload")
          #expect(all.map(\.isLast) == all.indices.map { $0 == all.count - 1 })
          #expect(all.allSatisfy { place($0.bytes, depacketizer) != nil })
        }
      }
    }
  }

  @Test(
    "a payload's place in its frame",
    arguments: [
      ("a slice", [0x41, 1], []), ("an IDR slice", [0x65, 1], .isOfKeyFrame),
      ("a sequence parameter set", [0x67, 1], [.beginsFrame, .isOfKeyFrame]),
      ("a delimiter", [0x09, 0x10], .beginsFrame),
      ("a picture parameter set", [0x68, 1], []), ("SEI", [0x06, 1], []),
      ("SPS first of two", [0x78, 0, 1, 0x67, 0, 1, 0x68], [.beginsFrame, .isOfKeyFrame]),
      ("SPS second of two", [0x78, 0, 1, 0x06, 0, 1, 0x67], .isOfKeyFrame),
      ("a delimiter, then IDR", [0x78, 0, 1, 0x09, 0, 1, 0x65], [.beginsFrame, .isOfKeyFrame]),
      ("IDR, its first part", [0x7C, 0x85, 1], .isOfKeyFrame), ("IDR, a later part", [0x7C, 0x05, 1], .isOfKeyFrame),
      ("IDR, its last part", [0x7C, 0x45, 1], .isOfKeyFrame), ("a slice's first part", [0x5C, 0x81, 1], []),
      ("SPS, its first part", [0x7C, 0x87, 1], [.beginsFrame, .isOfKeyFrame]),
      ("SPS, a later part", [0x7C, 0x07, 1], .isOfKeyFrame),
    ] as [(String, [UInt8], VideoPayloadPlace)])
  func places(name: String, payload: [UInt8], expected: VideoPayloadPlace) {
    #expect(place(payload, codec.makeDepacketizer()) == expected)
  }

  @Test(
    "what is malformed or interleaved is refused",
    arguments: [
      [], [0x80, 1], [0xE5, 1], [0xFE, 1], [0xFF, 1], [0x79, 0, 0, 0, 1, 0x65], [0x7A, 1], [0x7B, 1],
      [0x7D, 0x85, 0, 0],
      [0x78], [0x78, 0], [0x78, 0, 0], [0x78, 0, 1], [0x78, 0, 2, 0x67], [0x78, 0, 1, 0x67, 0],
      [0x78, 0, 1, 0x67, 0, 0],
      [0x78, 0, 1, 0x67, 0, 1], [0x78, 0, 1, 0x78], [0x78, 0, 1, 0xE7], [0x7C], [0x7C, 0xC5, 1], [0x7C, 0x80, 1],
      [0x7C, 0x98, 1],
    ] as [[UInt8]])
  func malformed(payload: [UInt8]) {
    let depacketizer = codec.makeDepacketizer()
    #expect(place(payload, depacketizer) == nil)
    #expect(frame([payload], depacketizer) == nil)
  }

  @Test(
    "§5.2: a payload of a type without a meaning is ignored",
    arguments: [[0x00, 1], [0x7E, 1], [0x7F, 1], [0x1E]] as [[UInt8]])
  func ignored(payload: [UInt8]) {
    let depacketizer = codec.makeDepacketizer()
    #expect(place(payload, depacketizer) == .isIgnored)
    #expect(frame([payload, [0x41, 1]], depacketizer) == [0, 0, 0, 1, 0x41, 1])
  }

  @Test("parts count only from a NAL unit's first to its last, within one frame")
  func fragments() {
    let depacketizer = codec.makeDepacketizer()
    let (start, middle, end): ([UInt8], [UInt8], [UInt8]) = ([0x7C, 0x85, 1], [0x7C, 0x05, 2], [0x7C, 0x45, 3])
    #expect(frame([start, middle, end, [0x68, 9]], depacketizer) == [0, 0, 0, 1, 0x65, 1, 2, 3, 0, 0, 0, 1, 0x68, 9])
    for refused in [
      [middle], [end], [start, start], [start, [0x68, 9]], [start, [0x78, 0, 1, 0x68]], [start, [0x5C, 0x01, 2]],
      [start, end, middle],
    ] as [[[UInt8]]] { #expect(frame(refused, depacketizer) == nil, "\(refused)") }
    // A frame that was given up leaves nothing behind.
    #expect(frame([start], depacketizer) != nil)
    #expect(frame([[0x41, 1]], depacketizer) == [0, 0, 0, 1, 0x41, 1])
  }

  @Test("a payload that is cut off is refused or read, and a frame longer than its room refused")
  func truncated() {
    let depacketizer = codec.makeDepacketizer()
    for room in [30, 100] {
      for (payload, _) in payloads(
        accessUnit(sps, pps, unit(0x65, 90)), codec.makePacketizer(remote: interleaved), room: room)
      {
        for count in 0..<payload.count {
          let cut = Array(payload[..<count])
          if frame([cut], depacketizer) != nil { #expect(place(cut, depacketizer) != nil) }
        }
      }
    }
    for payload in [[0x41, 1, 2], [0x78, 0, 3, 0x41, 1, 2], [0x5C, 0x81, 1, 2]] as [[UInt8]] {
      for limit in 0...6 { #expect(frame([payload], depacketizer, limit: limit) == nil) }
      #expect(frame([payload], depacketizer, limit: 7) == [0, 0, 0, 1, 0x41, 1, 2])
    }
  }

  @Test("whatever bytes come, what has a place can begin a frame, but for later parts")
  func noise() {
    var random = TestGenerator(seed: 6184)
    let depacketizer = codec.makeDepacketizer()
    for _ in 0..<20_000 {
      let payload = randomBytes(upTo: 12, &random)
      let isLaterPart = payload.count >= 2 && payload[0] & 0x1F == 28 && payload[1] & 0x80 == 0
      let isRefused = frame([payload], depacketizer) == nil
      #expect((place(payload, depacketizer) == nil || isLaterPart) == isRefused, "\(payload)")
      #expect(payloads(payload, codec.makePacketizer(remote: interleaved), room: 5).count <= 12)
    }
  }
}
