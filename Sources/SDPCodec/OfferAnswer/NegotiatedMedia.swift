/// Why a media line carries nothing.
package enum MediaRejection: Hashable, Sendable, CustomStringConvertible {
  /// Port 0 in the offer.
  case notOffered
  /// This side does not want it.
  case notWanted
  /// Port 0 in the peer's answer.
  case refusedByPeer
  /// The offered transport token is not among the accepted ones.
  case protocolNotAccepted(String)
  /// No format in common that carries media.
  case noCommonCodec
  /// The peer's line has no address.
  case noAddress

  package var description: String {
    switch self {
    case .notOffered: "the offer disables this media line"
    case .notWanted: "this media line is not wanted here"
    case .refusedByPeer: "the peer refused this media line"
    case .protocolNotAccepted(let token): "the offered protocol \(token) is not accepted"
    case .noCommonCodec: "no codec in common"
    case .noAddress: "no connection address"
    }
  }
}

/// What both sides agreed on for one media line.
package struct NegotiatedMedia: Hashable, Sendable, AttributeSection {
  /// Place of the line, from 0.
  package var index: Int
  package var kind: MediaKind
  /// nil when the line is in use; else why not, and the rest says nothing.
  package var rejection: MediaRejection?
  /// The transport token that both used.
  package var protocolName: String
  /// What this side does; `sendonly` while it holds the peer.
  package var direction: MediaDirection
  /// What the peer said of itself, an address of zeros folded in.
  package var remoteDirection: MediaDirection
  /// Where RTP goes; nil only on a rejected line.
  package var remoteRTP: MediaEndpoint?
  /// Where RTCP goes; the RTP address when `rtcpMux`.
  package var remoteRTCP: MediaEndpoint?
  /// Formats to send, with the peer's numbers and parameters; the first is the one to use. No telephone-event.
  package var sendCodecs: [CodecFormat]
  /// Formats that may arrive, with this side's numbers and parameters. No telephone-event.
  package var receiveCodecs: [CodecFormat]
  /// For sending digits: at the clock rate of the first send codec where possible.
  package var sendTelephoneEvent: CodecFormat?
  /// Telephone events that may arrive.
  package var receiveTelephoneEvents: [CodecFormat]
  /// Packet time to send, in ms: the peer's wish, else this side's, else 20; never above the peer's maximum. From 10 to 120,
  /// whatever the peer asks for: a thousand packets a second would be its to order.
  package var ptime: Int
  package var rtcpMux: Bool
  package var rtcpRsize: Bool
  /// The header extensions that packets may have, with the direction seen from this side (RFC 8285).
  package var extensions: [ExtensionMap]
  /// The RTCP feedback that both give and take (RFC 4585), under this side's numbers.
  package var feedback: [FeedbackAttribute]
  /// The peer's attributes for this line, inherited ones included.
  package var attributes: [SDPAttribute]

  /// The line is in use, possibly on hold.
  package var isActive: Bool { self.rejection == nil }
  /// This side may send.
  package var sends: Bool { self.isActive && self.direction.sends }
  /// This side expects media.
  package var receives: Bool { self.isActive && self.direction.receives }
  /// The peer wants nothing now.
  package var isHeldByPeer: Bool { self.isActive && !self.remoteDirection.receives }

  /// A line that carries nothing.
  init(rejected section: MediaDescription, index: Int, because rejection: MediaRejection) {
    self.index = index
    self.kind = section.kind
    self.rejection = rejection
    self.protocolName = section.protocolName
    (self.direction, self.remoteDirection) = (.inactive, .inactive)
    (self.remoteRTP, self.remoteRTCP) = (nil, nil)
    (self.sendCodecs, self.receiveCodecs) = ([], [])
    (self.sendTelephoneEvent, self.receiveTelephoneEvents) = (nil, [])
    self.ptime = 20
    (self.rtcpMux, self.rtcpRsize) = (false, false)
    (self.extensions, self.feedback) = ([], [])
    self.attributes = []
  }

  /// A line in use. `pairs` are the common formats in the order to send: the peer's number and ours for each; the header
  /// extensions and the feedback of `local` are those agreed.
  init(_ remote: RemoteMedia, local: LocalMedia, pairs: [CodecPair]) {
    self.init(rejected: remote.section, index: remote.index, because: .notWanted)
    self.rejection = nil
    self.remoteDirection = remote.mediaDirection
    self.direction = local.direction.intersection(remote.mediaDirection.reversed)
    self.rtcpMux = local.rtcpMux && remote.rtcpMux
    self.rtcpRsize = local.rtcpRsize && remote.rtcpRsize
    (self.extensions, self.feedback) = (local.extensions, local.feedback)
    self.remoteRTP = remote.rtp
    self.remoteRTCP = self.rtcpMux ? remote.rtp : remote.rtcp
    let media = pairs.filter { !$0.remote.isTelephoneEvent }
    // What carries no media of its own, such as CN, never comes first.
    let ordered = media.filter { !$0.remote.isAuxiliary } + media.filter { $0.remote.isAuxiliary }
    self.sendCodecs = ordered.map(\.remote)
    self.receiveCodecs = ordered.map(\.local)
    let events = pairs.filter { $0.remote.isTelephoneEvent }
    let rate = self.sendCodecs.first?.clockRate
    self.sendTelephoneEvent = (events.first { $0.remote.clockRate == rate } ?? events.first)?.remote
    self.receiveTelephoneEvents = events.map(\.local)
    self.ptime = min(max(min(remote.ptime ?? local.ptime ?? 20, remote.maxptime ?? .max), 10), 120)
    self.attributes = remote.attributes
  }
}
