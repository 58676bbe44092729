import ICEAgent
import NetBase
import SIPStack

/// Byte streams that are cut into messages: those come out the same however the stream comes in.
enum Streams {
  /// The first byte says who reads, in which parts the others come, and how long a message may be.
  static func sip(_ bytes: [UInt8]) {
    let (choice, stream) = (bytes.first ?? 0, bytes.dropFirst())
    let role: SIPStreamFramer.Role = choice & 1 == 0 ? .server : .client
    let limit = choice & 2 == 0 ? SIPMessage.maximumLength : 256
    let size = Int(choice >> 2) + 1
    let whole = Self.elements(stream, by: max(1, stream.count), role, limit)
    let inParts = Self.elements(stream, by: size, role, limit)
    require(
      whole.elements == inParts.elements && whole.failure == inParts.failure,
      "it is read otherwise when it comes in parts")
    for case .message(let message) in whole.elements {
      require(message.count <= limit, "a message that is too long")
      guard let read = message.withRawSpan({ try? SIPMessage(datagram: $0) }) else { continue }
      let written = read.serialized()
      let again = Self.elements(written[...], by: size, role, 2 * SIPMessage.maximumLength)
      require(again.elements == [.message(written)] && again.failure == nil, "a message of ours is cut into others")
    }
  }

  private static func elements(
    _ stream: ArraySlice<UInt8>, by size: Int, _ role: SIPStreamFramer.Role, _ limit: Int
  ) -> (elements: [SIPStreamFramer.Element], failure: SIPStreamFramer.Failure?) {
    var framer = SIPStreamFramer(role: role, limit: limit)
    var elements: [SIPStreamFramer.Element] = []
    for part in parts(of: stream, by: size) {
      Array(part).withRawSpan { framer.append($0) }
      do throws(SIPStreamFramer.Failure) {
        while let element = try framer.next() { elements.append(element) }
      } catch { return (elements, error) }
    }
    return (elements, nil)
  }

  /// What a reader of TURN makes of a stream.
  private struct Reading: Equatable {
    var messages: [[UInt8]] = []
    var tooLong = 0
    var isBroken = false
  }

  /// The first byte says in which parts the others come.
  static func turn(_ bytes: [UInt8]) {
    let (size, stream) = (Int(bytes.first ?? 0) % 64 + 1, bytes.dropFirst())
    let whole = Self.reading(stream, by: max(1, stream.count))
    require(whole == Self.reading(stream, by: size), "it is read otherwise when it comes in parts")
    require(whole.messages.allSatisfy { $0.count <= TURNStreamReader.longest }, "a message that is too long")
    require(whole.messages.reduce(0) { $0 + $1.count } <= stream.count, "more messages than bytes")
  }

  private static func reading(_ stream: ArraySlice<UInt8>, by size: Int) -> Reading {
    var reader = TURNStreamReader()
    var reading = Reading()
    for part in parts(of: stream, by: size) where !reader.isBroken {
      var rest = part
      while !rest.isEmpty, !reader.isBroken {
        let taken = reader.fill { room, offset in
          let count = min(rest.count, room.count - offset)
          room.replaceSubrange(offset..<(offset + count), with: rest.prefix(count))
          return count
        }
        require((taken ?? 0) > 0, "there is no room for what comes")
        rest = rest.dropFirst(taken ?? rest.count)
        while reader.withNext({ reading.messages.append($0.bytes.copied()) }) {}
      }
    }
    (reading.tooLong, reading.isBroken) = (reader.takeTooLong(), reader.isBroken)
    return reading
  }
}

/// A stream as it comes in parts of one size.
func parts(of stream: ArraySlice<UInt8>, by size: Int) -> [ArraySlice<UInt8>] {
  stride(from: stream.startIndex, to: stream.endIndex, by: size).map { start in
    stream[start..<min(start + size, stream.endIndex)]
  }
}
