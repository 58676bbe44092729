import ModuleKit
import NetBase
import TestSupport
import h264
import ivf
import vp8

/// Video as it was encoded: in files, and in the payloads of packets.
enum Films {
  /// What a file that was cut off has is the beginning of what the whole file has.
  static func ivf(_ bytes: [UInt8]) {
    let film: IVFFile
    do throws(IVFError) { film = try IVFFile(bytes) } catch {
      return require(!error.description.isEmpty, "a refusal without a reason")
    }
    require(film.frames.first.map { $0.isKeyFrame && $0.time == 0 } == true, "it does not begin with a key frame")
    require(zip(film.frames, film.frames.dropFirst()).allSatisfy { $0.time <= $1.time }, "time goes back")
    // A header of 32 bytes, and one of 12 for each frame, which has a byte at least.
    require(32 + 13 * film.frames.count <= bytes.count, "more frames than bytes")
    guard let part = try? IVFFile(Array(bytes.prefix(bytes.count / 2))) else { return }
    require(
      part.frames.count <= film.frames.count
        && zip(part.frames, film.frames).allSatisfy { $0.time == $1.time && $0.isKeyFrame == $1.isKeyFrame },
      "a part of it has other frames")
  }

  /// The lowest bit of the first byte: payloads that come, or a frame that is sent and received, with the other bits
  /// for how much a packet takes.
  static func vp8(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let (choice, codec) = (reader.byte(), VP8Codec())
    guard choice & 1 == 1 else { return Self.take(&reader, codec.makeDepacketizer()) }
    let sent = reader.rest()
    let packets = payloads(sent, codec.makePacketizer(remote: nil), room: Int(choice >> 1) + 5)
    require(packets.dropLast().allSatisfy { !$0.isLast }, "a frame that goes on after its end")
    guard let last = packets.last else { return }
    require(last.isLast, "a frame without an end")
    require(frame(packets.map(\.bytes), codec.makeDepacketizer()) == sent, "a frame comes out as another")
  }

  /// The same; the next bit is the packetization mode.
  static func h264(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let (choice, codec) = (reader.byte(), H264Codec())
    guard choice & 1 == 1 else { return Self.take(&reader, codec.makeDepacketizer()) }
    let sent = reader.rest()
    let mode = choice & 2 == 0 ? "packetization-mode=1" : nil
    let packets = payloads(sent, codec.makePacketizer(remote: mode), room: Int(choice >> 2) + 3)
    require(packets.dropLast().allSatisfy { !$0.isLast }, "a frame that goes on after its end")
    let units = Self.units(sent)
    // A unit that fits no packet ends its frame. A header that is forbidden, or means something in RTP, is not put
    // together again.
    guard packets.last?.isLast == true,
      units.allSatisfy({ $0[0] & 0x80 == 0 && (1...23).contains($0[0] & 0x1F) })
    else { return }
    let received = frame(packets.map(\.bytes), codec.makeDepacketizer())
    require(received.map(Self.units) == units, "a frame comes out as another")
  }

  private static func units(_ frame: [UInt8]) -> [[UInt8]] {
    frame.withRawSpan { span in
      var units: [[UInt8]] = []
      var next = span.nalUnit(from: 0)
      while let unit = next {
        units.append(Array(frame[unit]))
        next = span.nalUnit(from: unit.upperBound)
      }
      return units
    }
  }

  /// Pieces are payloads; an odd byte behind one ends a frame.
  private static func take(_ reader: inout InputReader, _ depacketizer: any VideoDepacketizer) {
    let limit = 4_096
    var room = VideoFrameRoom(limit: limit)
    while !reader.isAtEnd {
      let payload = reader.piece()
      payload.withRawSpan { payload in
        let place = depacketizer.place(of: payload)
        let before = room.count
        let isTaken = depacketizer.append(payload, to: &room)
        require(place != nil || !isTaken, "a payload that is malformed is taken")
        if let place, place.contains(.isIgnored) {
          require(isTaken && room.count == before, "a payload of nothing brings something")
        }
        require((before...limit).contains(room.count), "a frame that is too long, or has become shorter")
      }
      if reader.byte() & 1 == 1 { room.clear() }
    }
  }
}
