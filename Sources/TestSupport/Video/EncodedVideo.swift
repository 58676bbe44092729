package import ModuleKit
internal import NetBase

/// A VP8 frame of this length: a tag, in a key frame the start code and 640 × 480, and bytes that differ.
package func vp8Frame(_ length: Int, isKey: Bool) -> [UInt8] {
  let head: [UInt8] = isKey ? [0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0x80, 0x02, 0xE0, 0x01] : [0x11, 0x02, 0x00]
  return head + (head.count..<max(length, head.count)).map { UInt8(truncatingIfNeeded: $0 &* 7) }
}

/// The payloads of a frame, each of at most `room` bytes.
package func payloads(_ frame: [UInt8], _ packetizer: any VideoPacketizer, room: Int) -> [(
  bytes: [UInt8], isLast: Bool
)] {
  frame.withRawSpan { span in
    packetizer.begin(span)
    var all: [(bytes: [UInt8], isLast: Bool)] = []
    while true {
      var bytes = [UInt8](repeating: 0xEE, count: room)
      var target = bytes.mutableSpan
      var raw = unsafe target.mutableBytes
      guard let payload = packetizer.next(span, into: &raw) else { return all }
      all.append((Array(bytes[..<payload.count]), payload.isLast))
    }
  }
}

/// Where a payload stands in its frame.
package func place(_ payload: [UInt8], _ depacketizer: any VideoDepacketizer) -> VideoPayloadPlace? {
  payload.withRawSpan { depacketizer.place(of: $0) }
}

/// The frame of these payloads; nil when one was refused.
package func frame(_ payloads: [[UInt8]], _ depacketizer: any VideoDepacketizer, limit: Int = 1 << 20) -> [UInt8]? {
  var room = VideoFrameRoom(limit: limit)
  for payload in payloads {
    guard payload.withRawSpan({ depacketizer.append($0, to: &room) }) else { return nil }
  }
  return room.bytes.copied()
}

/// Bytes of any length up to `most`.
package func randomBytes(upTo most: Int, _ generator: inout TestGenerator) -> [UInt8] {
  (0..<Int.random(in: 0...most, using: &generator)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}
