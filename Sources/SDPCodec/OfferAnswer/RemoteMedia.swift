package import NetBase

/// Where a peer receives: a literal or a host name, and a port.
package struct MediaEndpoint: Hashable, Sendable, CustomStringConvertible {
  /// Without brackets.
  package var host: String
  package var port: UInt16
  /// When `host` is a literal; else the host must be resolved.
  package var address: SocketAddress?

  package init(host: String, port: UInt16) {
    self.host = host
    self.port = port
    self.address = SocketAddress(host: host, port: port)
  }

  package var description: String { self.address?.description ?? "\(self.host):\(self.port)" }
}

/// One media line of a peer's description, with what it inherits from the session level.
package struct RemoteMedia: Hashable, Sendable, AttributeSection {
  /// Place of the line in the description, from 0.
  package var index: Int
  /// The line as written.
  package var section: MediaDescription
  /// The section's attributes, and those of the session level that a section without its own inherits: direction, `setup`,
  /// `fingerprint`, `ice-*`; and `extmap`, which a section has beside its own (RFC 8285 §5).
  package var attributes: [SDPAttribute]
  /// Where RTP goes; nil without a `c=` line that holds for this section.
  package var rtp: MediaEndpoint?
  /// Where RTCP goes when it is not multiplexed (RFC 3605); nil without an address, or behind port 65535.
  package var rtcp: MediaEndpoint?
  /// The formats whose meaning is known, in the peer's order, each number once. Empty when the protocol is not RTP.
  package var codecs: [CodecFormat]
  /// The peer's direction. An address of `0.0.0.0` or `::` takes receiving away (hold by RFC 2543, RFC 3264 §8.4), except
  /// beside ICE, where it stands for "candidates follow" (RFC 8840 §4.1.1).
  package var mediaDirection: MediaDirection

  package var kind: MediaKind { self.section.kind }
  package var protocolName: String { self.section.protocolName }
  /// Port 0: rejected or removed, unless the line's transport is that of its BUNDLE group.
  package let isDisabled: Bool

  /// Reads line `index` of `session`, which must exist. `known` explains dynamic numbers that the line leaves unexplained.
  package init(_ session: SessionDescription, index: Int, known: [CodecFormat] = []) {
    let section = session.media[index]
    self.index = index
    self.section = section
    let tagged = section.isBundleOnly ? session.taggedSection(of: section) : nil
    self.isDisabled = section.port == 0 && tagged == nil
    self.attributes = section.attributes + RemoteMedia.inherited(from: session, by: section)
    self.codecs = RemoteMedia.codecs(of: section, known: known)
    self.mediaDirection = .sendrecv
    let connection = section.connection ?? session.connection
    if let tagged {
      self.rtp = (tagged.connection ?? session.connection).map { MediaEndpoint(host: $0.host, port: tagged.port) }
    } else if let connection {
      self.rtp = MediaEndpoint(host: connection.host, port: section.port)
    }
    if let attribute = section.rtcp {
      self.rtcp = (attribute.connection ?? connection).map { MediaEndpoint(host: $0.host, port: attribute.port) }
    } else if let connection, section.port > 0, section.port < .max {
      self.rtcp = MediaEndpoint(host: connection.host, port: section.port + 1)
    }
    let written = self.direction ?? .sendrecv
    let isBlackHole = connection?.isUnspecified == true && self.iceUfrag == nil
    self.mediaDirection = isBlackHole ? MediaDirection(sends: written.sends, receives: false) : written
  }

  /// The feedback of `own` that the peer's line has, for each format that it has it for; none for audio that is not AVPF.
  func agreedFeedback(_ own: [FeedbackAttribute], _ pairs: [CodecPair]) -> [FeedbackAttribute] {
    // For video it is used beside AVP too, where both describe it.
    guard self.kind == .video || self.protocolName.lowercased().hasSuffix("avpf") else { return [] }
    return pairs.flatMap { pair in
      own.filter { self.feedback.has($0.kind, for: pair.remote.payloadType) }
        .map { FeedbackAttribute(payloadType: pair.local.payloadType, kind: $0.kind) }
    }
  }

  private static let inheritable: Set<String> = [
    "setup", "fingerprint", "ice-ufrag", "ice-pwd", "ice-options", "ice-lite", "ice-pacing",
  ]

  private static func inherited(
    from session: SessionDescription, by section: MediaDescription
  ) -> [SDPAttribute] {
    let own = Set(section.attributes.map(\.name))
    let hasDirection = section.direction != nil
    return session.attributes.filter { attribute in
      if MediaDirection(rawValue: attribute.name) != nil { return !hasDirection }
      if attribute.name == "extmap" { return true }
      return inheritable.contains(attribute.name) && !own.contains(attribute.name)
    }
  }

  private static func codecs(of section: MediaDescription, known: [CodecFormat]) -> [CodecFormat] {
    guard section.protocolName.lowercased().contains("rtp/") else { return [] }
    var meanings: [UInt8: CodecFormat] = [:]
    for format in known { meanings[format.payloadType] = format }
    for map in section.rtpmaps.reversed() {
      meanings[map.payloadType] = CodecFormat(
        payloadType: map.payloadType, encodingName: map.encodingName, clockRate: map.clockRate, channels: map.channels)
    }
    let fmtps = section.fmtps
    let ptime = section.ptime
    var seen: Set<UInt8> = []
    return section.formats.compactMap { text in
      guard let number = text.decimal(UInt8.self), number < 128, seen.insert(number).inserted else { return nil }
      var format = meanings[number] ?? CodecFormat.fixed(number)
      format?.fmtp = fmtps[number]
      format?.ptime = ptime
      return format
    }
  }
}
