/// One format of a media line: a payload type and what it stands for (RFC 8866 §6.6, RFC 3551 §6).
package struct CodecFormat: Hashable, Sendable {
  /// 0 to 127.
  package var payloadType: UInt8
  /// As written; compare it without regard to case.
  package var encodingName: String
  /// Of the RTP timestamp, in Hz (G722: 8000, RFC 3551 §4.5.2).
  package var clockRate: UInt32
  /// Audio channels, at least 1.
  package var channels: Int
  /// The text of `a=fmtp`.
  package var fmtp: String?
  /// The packet time that the section's author asked for, in ms.
  package var ptime: Int?

  package init(
    payloadType: UInt8, encodingName: String, clockRate: UInt32, channels: Int = 1, fmtp: String? = nil,
    ptime: Int? = nil
  ) {
    self.payloadType = payloadType
    self.encodingName = encodingName
    self.clockRate = clockRate
    self.channels = channels
    self.fmtp = fmtp
    self.ptime = ptime
  }

  /// The audio and video formats that RFC 3551 §6 fixes; nil for a number without a fixed meaning.
  package static func fixed(_ payloadType: UInt8) -> CodecFormat? {
    let (name, rate, channels): (String, UInt32, Int) =
      switch payloadType {
      case 0: ("PCMU", 8000, 1)
      case 3: ("GSM", 8000, 1)
      case 4: ("G723", 8000, 1)
      case 5: ("DVI4", 8000, 1)
      case 6: ("DVI4", 16000, 1)
      case 7: ("LPC", 8000, 1)
      case 8: ("PCMA", 8000, 1)
      case 9: ("G722", 8000, 1)
      case 10: ("L16", 44100, 2)
      case 11: ("L16", 44100, 1)
      case 12: ("QCELP", 8000, 1)
      case 13: ("CN", 8000, 1)
      case 14: ("MPA", 90000, 1)
      case 15: ("G728", 8000, 1)
      case 16: ("DVI4", 11025, 1)
      case 17: ("DVI4", 22050, 1)
      case 18: ("G729", 8000, 1)
      case 25: ("CelB", 90000, 1)
      case 26: ("JPEG", 90000, 1)
      case 28: ("nv", 90000, 1)
      case 31: ("H261", 90000, 1)
      case 32: ("MPV", 90000, 1)
      case 33: ("MP2T", 90000, 1)
      case 34: ("H263", 90000, 1)
      default: ("", 0, 0)
      }
    return rate == 0
      ? nil : CodecFormat(payloadType: payloadType, encodingName: name, clockRate: rate, channels: channels)
  }

  /// What the format is, without its number and parameters.
  var identity: CodecIdentity {
    CodecIdentity(name: self.encodingName.lowercased(), clockRate: self.clockRate, channels: self.channels)
  }

  /// The value of the format's `a=rtpmap` line.
  var rtpmap: RTPMap {
    RTPMap(
      payloadType: self.payloadType, encodingName: self.encodingName, clockRate: self.clockRate,
      channels: self.channels)
  }

  /// Named telephone events (RFC 4733).
  package var isTelephoneEvent: Bool { self.identity.isTelephoneEvent }

  /// Redundant audio data (RFC 2198).
  package var isRedundantAudio: Bool { self.identity.name == "red" }

  /// The format whose packets are sent again under this one (RFC 4588 §8.1); nil for all others.
  package var repairedType: UInt8? {
    guard self.identity.isRetransmission else { return nil }
    let parameters = (self.fmtp ?? "").split(separator: ";").map { $0.filter { $0 != " " } }
    return parameters.lazy.compactMap { $0.hasPrefix("apt=") ? UInt8($0.dropFirst(4)) : nil }.first
  }

  /// Carries no media of its own, so that a line with only such formats is useless.
  package var isAuxiliary: Bool { self.identity.isAuxiliary }
}

extension [CodecFormat] {
  /// The formats of an offer, where what is sent again names the first codec's number.
  var withRepairedTypes: [CodecFormat] {
    guard let first = self.first(where: { !$0.isAuxiliary }) else { return self }
    return self.map { format in
      guard format.identity.isRetransmission else { return format }
      var format = format
      format.fmtp = "apt=\(first.payloadType)"
      return format
    }
  }
}

/// A codec that this side can encode and decode, before it has a number.
package struct CodecCapability: Hashable, Sendable {
  package var encodingName: String
  /// Of the RTP timestamp, in Hz.
  package var clockRate: UInt32
  /// Audio channels, at least 1.
  package var channels: Int
  /// The text of `a=fmtp` that says how this side wants to receive.
  package var fmtp: String?
  /// The number wished for, 0 to 127; nil leaves it to RFC 3551's table, else to the dynamic range from 96.
  package var payloadType: UInt8?

  package init(
    _ encodingName: String, clockRate: UInt32, channels: Int = 1, fmtp: String? = nil, payloadType: UInt8? = nil
  ) {
    self.encodingName = encodingName
    self.clockRate = clockRate
    self.channels = channels
    self.fmtp = fmtp
    self.payloadType = payloadType
  }

  /// Packets of the list's first codec sent again (RFC 4588); its parameters follow from that one's number.
  package static let retransmission = CodecCapability("rtx", clockRate: 90_000)

  /// Telephone events 0 to 15 (RFC 4733 §2.5.1.1), at payload type 101 where that is free.
  package static func telephoneEvent(clockRate: UInt32 = 8000, payloadType: UInt8? = nil) -> CodecCapability {
    CodecCapability("telephone-event", clockRate: clockRate, fmtp: "0-15", payloadType: payloadType)
  }

  var identity: CodecIdentity {
    CodecIdentity(name: self.encodingName.lowercased(), clockRate: self.clockRate, channels: self.channels)
  }

  /// The capability under a number.
  func format(_ payloadType: UInt8, fmtp: String?) -> CodecFormat {
    CodecFormat(
      payloadType: payloadType, encodingName: self.encodingName, clockRate: self.clockRate, channels: self.channels,
      fmtp: fmtp)
  }
}

/// What must be equal for two formats to be the same codec: the name without regard to case, clock rate, channels.
struct CodecIdentity: Hashable, Sendable {
  var name: String
  var clockRate: UInt32
  var channels: Int

  var isTelephoneEvent: Bool { self.name == "telephone-event" }

  /// RFC 4588.
  var isRetransmission: Bool { self.name == "rtx" }

  var isAuxiliary: Bool {
    switch self.name {
    case "telephone-event", "cn", "red", "rtx", "ulpfec", "flexfec-03", "tone": true
    default: false
    }
  }
}

/// Telephone events run on the clock of the audio beside them (RFC 4733 §2.1): those at other rates are left out, unless
/// that leaves none, when the first stays (opus beside telephone-event/8000 is common).
func keepingUsefulTelephoneEvents<Format>(_ formats: [Format], _ identity: (Format) -> CodecIdentity) -> [Format] {
  let rates = Set(formats.map(identity).filter { !$0.isAuxiliary }.map(\.clockRate))
  let events = formats.map(identity).filter(\.isTelephoneEvent)
  let useful = events.filter { rates.contains($0.clockRate) }
  let kept = Set(useful.isEmpty ? Array(events.prefix(1)) : useful)
  return formats.filter { !identity($0).isTelephoneEvent || kept.contains(identity($0)) }
}

/// Whether `common` makes a line useful: a codec that carries media, or anything at all where `wanted` has no such codec
/// (RFC 3264 §10.1 has a line of telephone events alone).
func isUseful(_ common: some Collection<CodecIdentity>, wanted: some Collection<CodecIdentity>) -> Bool {
  common.contains { !$0.isAuxiliary } || (!common.isEmpty && wanted.allSatisfy(\.isAuxiliary))
}
