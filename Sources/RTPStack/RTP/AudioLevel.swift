internal import NetBase

/// How loud the audio of a packet is, as its sender says beside it (RFC 6464).
package struct AudioLevel: Hashable, Sendable {
  /// What names it in `a=extmap`.
  package static let uri = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

  /// -dBov: 0 is a full-scale square wave, 126 the faintest, 127 silence.
  package let attenuation: UInt8
  /// Whether the sender believes that there is a voice in it.
  package let hasVoice: Bool

  package init(attenuation: UInt8, hasVoice: Bool) {
    self.attenuation = min(attenuation, 127)
    self.hasVoice = hasVoice
  }

  /// The element's only byte.
  package init(_ byte: UInt8) { self.init(attenuation: byte & 0x7F, hasVoice: byte & 0x80 != 0) }

  package var byte: UInt8 { self.attenuation | (self.hasVoice ? 0x80 : 0) }

  /// dBov; silence is -127.
  package var decibels: Int { -Int(self.attenuation) }
}

extension RTPHeader {
  /// The level that stands in the element of this identifier; nil without one, and where it is of another length.
  package func audioLevel(_ id: UInt8, in packet: RawSpan) -> AudioLevel? {
    guard let bytes = self.element(id, in: packet), bytes.count == 1 else { return nil }
    return AudioLevel(packet.uint8(at: bytes.lowerBound))
  }
}
