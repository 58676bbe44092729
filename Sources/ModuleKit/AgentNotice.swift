/// What happens to an agent, in the words that baresip's event interface has.
package struct AgentNotice: Sendable {
  package enum Kind: String, CaseIterable, Sendable {
    case registering = "REGISTERING"
    case registerOK = "REGISTER_OK"
    case registerFail = "REGISTER_FAIL"
    case unregistering = "UNREGISTERING"
    case fallbackOK = "FALLBACK_OK"
    case fallbackFail = "FALLBACK_FAIL"
    case messageWaiting = "MWI_NOTIFY"
    case create = "CREATE"
    case shutdown = "SHUTDOWN"
    case exit = "EXIT"
    case sessionFailed = "SIPSESS_FAILED"
    case callIncoming = "CALL_INCOMING"
    case callOutgoing = "CALL_OUTGOING"
    case callRinging = "CALL_RINGING"
    case callProgress = "CALL_PROGRESS"
    case callAnswered = "CALL_ANSWERED"
    case callEstablished = "CALL_ESTABLISHED"
    case callClosed = "CALL_CLOSED"
    case transfer = "TRANSFER"
    case transferFailed = "TRANSFER_FAILED"
    case callRedirect = "CALL_REDIRECT"
    case digitStart = "CALL_DTMF_START"
    case digitEnd = "CALL_DTMF_END"
    case mediaEstablished = "CALL_RTPESTAB"
    case rtcp = "CALL_RTCP"
    case encrypted = "CALL_MENC"
    case audioError = "AUDIO_ERROR"
    case levelSent = "VU_TX_REPORT"
    case levelHeard = "VU_RX_REPORT"
    case localDescription = "CALL_LOCAL_SDP"
    case remoteDescription = "CALL_REMOTE_SDP"
    case hold = "CALL_HOLD"
    case resume = "CALL_RESUME"
    case module = "MODULE"
    case endOfFile = "END_OF_FILE"
    case message = "MESSAGE"

    /// The word in `class`.
    package var className: String {
      switch self {
      case .registering, .registerOK, .registerFail, .unregistering, .fallbackOK, .fallbackFail: "register"
      case .messageWaiting: "mwi"
      case .create, .shutdown, .exit: "application"
      case .callIncoming, .callOutgoing, .callRinging, .callProgress, .callAnswered, .callEstablished, .callClosed,
        .transfer, .transferFailed, .callRedirect, .digitStart, .digitEnd, .mediaEstablished, .rtcp, .encrypted,
        .localDescription, .remoteDescription, .hold, .resume:
        "call"
      case .sessionFailed: "sip"
      case .levelSent, .levelHeard: "VU_REPORT"
      case .message: "message"
      case .audioError, .module, .endOfFile: "other"
      }
    }
  }

  /// What is known of the call that a notice is about.
  package struct Call: Sendable {
    package var isOutgoing: Bool
    package var peerURI: String
    package var peerName: String?
    /// SIP's Call-ID.
    package var id: String
    /// SDP's words.
    package var remoteDirection: String
    package var localDirection: String
    package var direction: String
    package var diverter: String?
    /// What it was dialled with (`userdata`).
    package var userData: String?
    /// The same directions of the video; nil without any.
    package var video: (remote: String, local: String, agreed: String)?

    package init(
      isOutgoing: Bool, peerURI: String, peerName: String?, id: String, remoteDirection: String,
      localDirection: String, direction: String, diverter: String?
    ) {
      (self.isOutgoing, self.peerURI, self.peerName, self.id) = (isOutgoing, peerURI, peerName, id)
      (self.remoteDirection, self.localDirection, self.direction) = (remoteDirection, localDirection, direction)
      self.diverter = diverter
    }
  }

  /// RTCP's figures, in baresip's units: packets, and microseconds for jitter and round trip.
  package struct RTCP: Sendable {
    package var sent: (packets: Int, lost: Int, jitter: Int)
    package var received: (packets: Int, lost: Int, jitter: Int)
    package var roundTrip: Int

    package init(
      sent: (packets: Int, lost: Int, jitter: Int), received: (packets: Int, lost: Int, jitter: Int), roundTrip: Int
    ) {
      (self.sent, self.received, self.roundTrip) = (sent, received, roundTrip)
    }
  }

  package var kind: Kind
  /// `sip:user@host` of the account that it concerns.
  package var account: String?
  package var call: Call?
  /// What more there is to say; empty for nothing. Never a key or a password.
  package var parameter: String
  package var rtcp: RTCP?
  /// Of a `message` or a `sessionFailed`: who sent it.
  package var peer: String?
  /// Of a `message`: what it is.
  package var contentType: String?

  package init(_ kind: Kind, account: String? = nil, call: Call? = nil, parameter: String = "") {
    (self.kind, self.account, self.call, self.parameter) = (kind, account, call, parameter)
  }
}

extension AgentNotice {
  /// baresip's JSON object: `event`, `class`, `type`, and what is known of the account and the call.
  package var json: JSON {
    var members: [JSON.Member] = []
    func add(_ key: String, _ value: JSON) { members.append(JSON.Member(key: key, value: value)) }
    func add(_ key: String, _ text: String?) {
      if let text { members.append(JSON.Member(key: key, value: .string(text))) }
    }
    guard self.kind != .message else {
      add("message", true)
      add("ua", self.account)
      add("from", self.peer)
      add("ctype", self.contentType)
      add("body", .string(self.parameter))
      return .object(members)
    }
    add("event", true)
    add("class", .string(self.kind.className))
    add("type", .string(self.kind.rawValue))
    add("accountaor", self.account)
    if let call {
      add("direction", .string(call.isOutgoing ? "outgoing" : "incoming"))
      add("peeruri", .string(call.peerURI))
      add("peerdisplayname", call.peerName)
      if !call.id.isEmpty { add("id", .string(call.id)) }
      add("remoteaudiodir", .string(call.remoteDirection))
      add("remotevideodir", .string(call.video?.remote ?? "inactive"))
      add("audiodir", .string(call.direction))
      add("videodir", .string(call.video?.agreed ?? "inactive"))
      add("localaudiodir", .string(call.localDirection))
      add("localvideodir", .string(call.video?.local ?? "inactive"))
      add("diverteruri", call.diverter)
      add("userdata", call.userData)
    }
    if !self.parameter.isEmpty { add("param", .string(self.parameter)) }
    add("from", self.peer)
    if let rtcp {
      func side(_ figures: (packets: Int, lost: Int, jitter: Int)) -> JSON {
        ["sent": .integer(figures.packets), "lost": .integer(figures.lost), "jit": .integer(figures.jitter)]
      }
      add("rtcp_stats", ["tx": side(rtcp.sent), "rx": side(rtcp.received), "rtt": .integer(rtcp.roundTrip)])
    }
    return .object(members)
  }
}
