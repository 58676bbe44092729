package import NetBase

/// What this side wants of one media line, for an offer or an answer.
package struct LocalMedia: Hashable, Sendable {
  package var kind: MediaKind
  /// The transport token of an offer, such as `RTP/SAVP`.
  package var protocolName: String
  /// The tokens taken in a peer's offer, compared without regard to case; the answer echoes the peer's.
  package var acceptedProtocols: [String]
  /// Where this side receives RTP. With port 0 the line is refused or removed.
  package var address: SocketAddress
  /// Where it receives RTCP; nil means the next port.
  package var rtcpPort: UInt16?
  /// In order of preference.
  package var codecs: [CodecCapability]
  /// The packet time wished for, in ms; written when not nil.
  package var ptime: Int?
  /// The longest packet taken, in ms; written when not nil.
  package var maxptime: Int?
  /// What this side wants: `sendonly` holds the peer, `inactive` stops both flows.
  package var direction: MediaDirection
  /// Offers, or takes, RTP and RTCP on one port (RFC 5761).
  package var rtcpMux: Bool
  /// Offers, or takes, reduced-size RTCP (RFC 5506).
  package var rtcpRsize: Bool
  /// The RTP source of this side, announced when `cname` is given too (RFC 5576).
  package var ssrc: UInt32?
  package var cname: String?
  /// Names the line in an offer (RFC 5888); an answer echoes the peer's.
  package var mid: String?
  /// An offer has the line only within its BUNDLE group, where it shares the first line's transport (RFC 9143 §6).
  package var isBundleOnly = false
  /// An answer has the first common codec alone, with what sends its packets again.
  package var answersOneCodec = false
  package var bandwidths: [SDPBandwidth]
  /// The header extensions wished for; an offer numbers them as here unless the session has numbers for them (RFC 8285).
  package var extensions: [ExtensionMap]
  /// The RTCP feedback that this side gives and takes, where the profile has it (RFC 4585 §4.2).
  package var feedback: [FeedbackAttribute]
  /// What media encryption, ICE and others add: `crypto`, `fingerprint`, `setup`, `candidate` …
  package var attributes: [SDPAttribute]

  /// `acceptedProtocols` is `[protocolName]` when nil.
  package init(
    kind: MediaKind = .audio, protocolName: String = "RTP/AVP", acceptedProtocols: [String]? = nil,
    address: SocketAddress, rtcpPort: UInt16? = nil, codecs: [CodecCapability], ptime: Int? = nil,
    maxptime: Int? = nil, direction: MediaDirection = .sendrecv, rtcpMux: Bool = false, rtcpRsize: Bool = false,
    ssrc: UInt32? = nil, cname: String? = nil, mid: String? = nil, bandwidths: [SDPBandwidth] = [],
    extensions: [ExtensionMap] = [], feedback: [FeedbackAttribute] = [], attributes: [SDPAttribute] = []
  ) {
    self.kind = kind
    self.protocolName = protocolName
    self.acceptedProtocols = acceptedProtocols ?? [protocolName]
    self.address = address
    self.rtcpPort = rtcpPort
    self.codecs = codecs
    self.ptime = ptime
    self.maxptime = maxptime
    self.direction = direction
    self.rtcpMux = rtcpMux
    self.rtcpRsize = rtcpRsize
    self.ssrc = ssrc
    self.cname = cname
    self.mid = mid
    self.bandwidths = bandwidths
    self.extensions = extensions
    self.feedback = feedback
    self.attributes = attributes
  }

  /// Whether a peer's offer with that token is taken.
  func accepts(_ token: String) -> Bool {
    self.acceptedProtocols.contains { $0.lowercased() == token.lowercased() }
  }
}

extension MediaDescription {
  /// The section that describes `local` under the numbers of `formats`; a `c=` line only where `session` differs.
  init(_ local: LocalMedia, formats: [CodecFormat], session: SDPConnection) {
    let connection = SDPConnection(local.address)
    self.init(
      kind: local.kind, port: local.isBundleOnly ? 0 : local.address.port, protocolName: local.protocolName,
      formats: formats.map { "\($0.payloadType)" }, connection: connection == session ? nil : connection,
      bandwidths: local.bandwidths)
    for format in formats { self.add("rtpmap", format.rtpmap.text) }
    for format in formats {
      if let fmtp = format.fmtp { self.add("fmtp", "\(format.payloadType) \(fmtp)") }
    }
    if let ptime = local.ptime { self.add("ptime", "\(ptime)") }
    if let maxptime = local.maxptime { self.add("maxptime", "\(maxptime)") }
    self.add(local.direction.rawValue)
    if let mid = local.mid { self.add("mid", mid) }
    if local.isBundleOnly { self.add("bundle-only") }
    if let rtcpPort = local.rtcpPort, Int(rtcpPort) != Int(local.address.port) + 1 { self.add("rtcp", "\(rtcpPort)") }
    if local.rtcpMux { self.add("rtcp-mux") }
    if local.rtcpRsize { self.add("rtcp-rsize") }
    for feedback in local.feedback { self.add("rtcp-fb", feedback.text) }
    for map in local.extensions { self.add("extmap", map.text) }
    if let ssrc = local.ssrc, let cname = local.cname { self.add("ssrc", "\(ssrc) cname:\(cname)") }
    self.attributes += local.attributes
  }

  /// The same line with port 0: rejected in an answer, removed in an offer (RFC 3264 §6, §8.2). Where `used`, a line
  /// beside it, has ICE and DTLS, this one names them too: some peers refuse a description over a line without.
  func disabled(beside used: LocalMedia?) -> MediaDescription {
    var section = MediaDescription(kind: self.kind, port: 0, protocolName: self.protocolName, formats: self.formats)
    if let mid = self.mid { section.add("mid", mid) }
    let shared = (used?.attributes ?? []).filter { SDPAttribute.sharedNames.contains($0.name) }
    let names = Set(shared.map(\.name))
    guard names.contains("ice-ufrag"), names.contains("setup") else { return section }
    if self.rtcpMux { section.add("rtcp-mux") }
    section.attributes += shared
    return section
  }
}

extension SDPAttribute {
  /// What of a transport's attributes may stand in every line that has it, other than addresses.
  package static let sharedNames: Set<String> = [
    "ice-ufrag", "ice-pwd", "ice-options", "fingerprint", "setup", "tls-id",
  ]
}
