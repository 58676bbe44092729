package import NetBase

// Typed access to the attributes that a user agent acts on.

extension AttributeSection {
  /// The first direction attribute; nil when there is none (then it is `sendrecv`, RFC 8866 §6.7).
  package var direction: MediaDirection? {
    for attribute in self.attributes where attribute.value == nil {
      if let direction = MediaDirection(rawValue: attribute.name) { return direction }
    }
    return nil
  }

  /// All well-formed `a=rtpmap` lines, in order.
  package var rtpmaps: [RTPMap] { self.values("rtpmap").compactMap { RTPMap($0) } }

  /// The format parameters of each payload type (RFC 8866 §6.15); the first line wins.
  package var fmtps: [UInt8: String] {
    var found: [UInt8: String] = [:]
    for text in self.values("fmtp") {
      let words = text.fields(atMost: 2)
      guard words.count == 2, let payloadType = words[0].decimal(UInt8.self), payloadType < 128 else { continue }
      if found[payloadType] == nil { found[payloadType] = words[1] }
    }
    return found
  }

  /// Milliseconds of media that the author would like in a packet (RFC 8866 §6.4).
  package var ptime: Int? { self.milliseconds("ptime") }

  /// Milliseconds of media that the author takes in a packet at most (RFC 8866 §6.5).
  package var maxptime: Int? { self.milliseconds("maxptime") }

  /// Where RTCP goes (RFC 3605).
  package var rtcp: RTCPAttribute? { self.values("rtcp").lazy.compactMap { RTCPAttribute($0) }.first }

  /// RTP and RTCP on one port (RFC 5761).
  package var rtcpMux: Bool { self.has("rtcp-mux") }

  /// Reduced-size RTCP (RFC 5506).
  package var rtcpRsize: Bool { self.has("rtcp-rsize") }

  /// Who opens the connection (RFC 4145); nil when absent or unknown.
  package var setup: SetupRole? { self.value("setup").flatMap { SetupRole(rawValue: $0.lowercased()) } }

  /// All well-formed certificate fingerprints (RFC 8122).
  package var fingerprints: [SDPFingerprint] { self.values("fingerprint").compactMap { SDPFingerprint($0) } }

  /// The values of the `a=crypto` lines (RFC 4568), unread: they carry keys.
  package var cryptos: [String] { self.values("crypto") }

  /// The well-formed `a=ssrc` lines (RFC 5576).
  package var ssrcs: [SSRCAttribute] { self.values("ssrc").compactMap { SSRCAttribute($0) } }

  /// The section's identification (RFC 5888).
  package var mid: String? { self.value("mid") }

  /// The well-formed `a=extmap` lines (RFC 8285).
  package var extensionMaps: [ExtensionMap] { self.values("extmap").compactMap { ExtensionMap($0) } }

  /// The well-formed `a=rtcp-fb` lines (RFC 4585).
  package var feedback: [FeedbackAttribute] { self.values("rtcp-fb").compactMap { FeedbackAttribute($0) } }

  /// The `a=group` lines (RFC 5888), session level.
  package var groups: [SDPGroup] {
    self.values("group").compactMap { text in
      let words = text.fields()
      return words.isEmpty ? nil : SDPGroup(semantics: words[0], mids: Array(words.dropFirst()))
    }
  }

  /// The BUNDLE groups' members (RFC 9143).
  package var bundles: [[String]] { self.groups.filter { $0.semantics == "BUNDLE" }.map(\.mids) }

  /// Whether the line is in use only within its BUNDLE group (RFC 9143 §6).
  package var isBundleOnly: Bool { self.has("bundle-only") }

  /// The DTLS association's identity (RFC 8842 §5).
  package var tlsID: String? { self.value("tls-id") }

  /// The application's label of the stream (RFC 4574).
  package var label: String? { self.value("label") }

  /// The values of the `a=candidate` lines (RFC 8839), unread.
  package var candidates: [String] { self.values("candidate") }

  /// Where the candidates are, but those that have a name (RFC 8839 §5.1: foundation, component, transport, priority,
  /// address, port).
  package var candidateAddresses: [SocketAddress] {
    self.candidates.compactMap { line in
      let words = line.split(separator: " ")
      guard words.count > 5, let port = UInt16(words[5]), port != 0 else { return nil }
      return SocketAddress(host: String(words[4]), port: port)
    }
  }

  /// The ICE user name fragment (RFC 8839 §5.4).
  package var iceUfrag: String? { self.value("ice-ufrag") }

  /// The ICE password (RFC 8839 §5.4): a secret.
  package var icePwd: String? { self.value("ice-pwd") }

  /// The ICE options (RFC 8839 §5.6).
  package var iceOptions: [String] { self.value("ice-options")?.fields() ?? [] }

  /// Whether the author runs ICE lite (RFC 8839 §5.3).
  package var iceLite: Bool { self.has("ice-lite") }

  /// Whole milliseconds, 1 to 1000; a fraction is cut off.
  private func milliseconds(_ name: String) -> Int? {
    guard let value = self.value(name)?.fields().first?.cut(at: ".").0.decimal(Int.self) else { return nil }
    return (1...1000).contains(value) ? value : nil
  }
}
