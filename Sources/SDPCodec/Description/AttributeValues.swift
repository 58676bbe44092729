/// Which way media flows, seen from the description's author (RFC 8866 §6.7).
package enum MediaDirection: String, Hashable, Sendable, CaseIterable {
  case sendrecv, sendonly, recvonly, inactive

  package init(sends: Bool, receives: Bool) {
    switch (sends, receives) {
    case (true, true): self = .sendrecv
    case (true, false): self = .sendonly
    case (false, true): self = .recvonly
    case (false, false): self = .inactive
    }
  }

  /// Whether the author sends.
  package var sends: Bool { self == .sendrecv || self == .sendonly }
  /// Whether the author receives.
  package var receives: Bool { self == .sendrecv || self == .recvonly }
  /// The same flow seen from the other side.
  package var reversed: MediaDirection { MediaDirection(sends: self.receives, receives: self.sends) }

  /// What is left when both must agree to each flow; both seen from the same side.
  package func intersection(_ other: MediaDirection) -> MediaDirection {
    MediaDirection(sends: self.sends && other.sends, receives: self.receives && other.receives)
  }
}

/// Who opens the connection (`a=setup`, RFC 4145 §4).
package enum SetupRole: String, Hashable, Sendable, CaseIterable {
  case active, passive, actpass, holdconn
}

/// `a=rtpmap` (RFC 8866 §6.6).
package struct RTPMap: Hashable, Sendable {
  /// 0 to 127.
  package var payloadType: UInt8
  /// As written; compare it without regard to case.
  package var encodingName: String
  /// Of the RTP timestamp, in Hz; never 0.
  package var clockRate: UInt32
  /// Audio channels, 1 when not written.
  package var channels: Int

  package init(payloadType: UInt8, encodingName: String, clockRate: UInt32, channels: Int = 1) {
    self.payloadType = payloadType
    self.encodingName = encodingName
    self.clockRate = clockRate
    self.channels = channels
  }

  init?(_ text: String) {
    let words = text.fields(atMost: 2)
    guard words.count == 2, let payloadType = words[0].decimal(UInt8.self), payloadType < 128 else { return nil }
    let (name, rest) = words[1].cut(at: "/")
    guard !name.isEmpty, let rest else { return nil }
    let (rate, parameters) = rest.cut(at: "/")
    guard let clockRate = rate.decimal(UInt32.self), clockRate > 0 else { return nil }
    let channels: Int? = if let parameters { parameters.decimal(UInt8.self).map(Int.init) } else { 1 }
    self.init(
      payloadType: payloadType, encodingName: name, clockRate: clockRate, channels: max(channels ?? 1, 1))
  }

  /// The attribute's value.
  package var text: String {
    let base = "\(self.payloadType) \(self.encodingName)/\(self.clockRate)"
    return self.channels > 1 ? "\(base)/\(self.channels)" : base
  }
}

/// `a=rtcp` (RFC 3605): where RTCP goes when that is not the next port.
package struct RTCPAttribute: Hashable, Sendable {
  package var port: UInt16
  /// When it differs from the media's.
  package var connection: SDPConnection?

  package init(port: UInt16, connection: SDPConnection? = nil) {
    self.port = port
    self.connection = connection
  }

  init?(_ text: String) {
    let words = text.fields(atMost: 2)
    guard let port = words.first?.decimal(UInt16.self), port != 0 else { return nil }
    self.port = port
    self.connection = words.count == 2 ? SDPConnection(words[1]) : nil
  }

  /// The attribute's value.
  package var text: String {
    if let connection = self.connection { "\(self.port) \(connection.text)" } else { "\(self.port)" }
  }
}

/// `a=fingerprint` (RFC 8122 §5): the hash of a certificate.
package struct SDPFingerprint: Hashable, Sendable {
  /// The hash function, in lower case, such as `sha-256`.
  package var hashFunction: String
  package var bytes: [UInt8]

  package init(hashFunction: String, bytes: [UInt8]) {
    self.hashFunction = hashFunction.lowercased()
    self.bytes = bytes
  }

  init?(_ text: String) {
    let words = text.fields()
    guard words.count == 2 else { return nil }
    var bytes: [UInt8] = []
    for pair in words[1].utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false) {
      guard pair.count == 2, let high = pair.first.flatMap(hexDigit), let low = pair.last.flatMap(hexDigit) else {
        return nil
      }
      bytes.append(high << 4 | low)
    }
    self.init(hashFunction: words[0], bytes: bytes)
  }

  /// The attribute's value, with the upper-case digits that RFC 8122 asks for.
  package var text: String {
    let digits = Array("0123456789ABCDEF")
    let pairs = self.bytes.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }
    return "\(self.hashFunction) \(pairs.joined(separator: ":"))"
  }
}

/// `a=ssrc` (RFC 5576 §4.1): one attribute of one source.
package struct SSRCAttribute: Hashable, Sendable {
  package var ssrc: UInt32
  /// Such as `cname`.
  package var name: String
  package var value: String?

  package init(ssrc: UInt32, name: String, value: String?) {
    self.ssrc = ssrc
    self.name = name
    self.value = value
  }

  init?(_ text: String) {
    let words = text.fields(atMost: 2)
    guard let ssrc = words.first?.decimal(UInt32.self) else { return nil }
    let (name, value) = words.count == 2 ? words[1].cut(at: ":") : ("", nil)
    self.init(ssrc: ssrc, name: name, value: value)
  }
}

/// `a=group` (RFC 5888 §5), such as BUNDLE.
package struct SDPGroup: Hashable, Sendable {
  package var semantics: String
  /// The `a=mid` tokens of its members.
  package var mids: [String]

  package init(semantics: String, mids: [String]) {
    self.semantics = semantics
    self.mids = mids
  }

  /// The attribute's value.
  package var text: String { ([self.semantics] + self.mids).joined(separator: " ") }
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 0x30...0x39: byte - 0x30
  case 0x41...0x46: byte - 0x41 + 10
  case 0x61...0x66: byte - 0x61 + 10
  default: nil
  }
}
