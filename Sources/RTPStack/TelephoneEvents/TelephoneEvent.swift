internal import NetBase

/// A telephone event: DTMF 0 to 15, or another of RFC 4733's codes.
package struct TelephoneEvent: Hashable, Sendable {
  /// The hook flash.
  package static let flash = TelephoneEvent(code: 16)

  package let code: UInt8

  package init(code: UInt8) { self.code = code }

  /// The event of a key: 0 to 9, `*`, `#`, A to D in either case, or `!` for flash.
  package init?(digit: Character) {
    switch digit {
    case "0"..."9": self.code = (digit.asciiValue ?? 48) - 48
    case "*": self.code = 10
    case "#": self.code = 11
    case "A"..."D": self.code = (digit.asciiValue ?? 65) - 65 + 12
    case "a"..."d": self.code = (digit.asciiValue ?? 97) - 97 + 12
    case "!": self.code = 16
    default: return nil
    }
  }

  /// The key of the event; nil for an event that is no key.
  package var digit: Character? {
    switch self.code {
    case 0...9: Character(UnicodeScalar(48 + self.code))
    case 10: "*"
    case 11: "#"
    case 12...15: Character(UnicodeScalar(65 + self.code - 12))
    case 16: "!"
    default: nil
    }
  }
}

/// The four bytes of an event in a packet (RFC 4733 §2.3).
package struct TelephoneEventPayload: Equatable, Sendable {
  /// Length on the wire, in bytes.
  package static let length = 4

  package var event: TelephoneEvent
  package var isEnd: Bool
  /// Power below 0 dBm0, in dB: 0 to 63.
  package var volume: UInt8
  /// In timestamp units.
  package var duration: UInt16

  package init(event: TelephoneEvent, isEnd: Bool, volume: UInt8, duration: UInt16) {
    (self.event, self.isEnd, self.volume, self.duration) = (event, isEnd, min(volume, 63), duration)
  }

  /// Reads the first event of a payload; nil when it is too short.
  package init?(_ payload: RawSpan) {
    guard payload.byteCount >= Self.length else { return nil }
    let flags = payload.uint8(at: 1)
    self.init(
      event: TelephoneEvent(code: payload.uint8(at: 0)), isEnd: flags & 0x80 != 0, volume: flags & 0x3F,
      duration: payload.uint16(at: 2))
  }

  /// Writes the payload at `offset` of `room`, which has four bytes there.
  package func write(into room: inout MutableRawSpan, at offset: Int) {
    room.set(uint8: self.event.code, at: offset)
    room.set(uint8: (self.isEnd ? 0x80 : 0) | self.volume & 0x3F, at: offset + 1)
    room.set(uint16: self.duration, at: offset + 2)
  }
}
