/// The parsers of what others send, and of what users write.
package enum FuzzTarget: String, CaseIterable, Sendable {
  case sip
  case sipAddress = "sip_address"
  case sipEndpoint = "sip_endpoint"
  case sipAnswers = "sip_answers"
  case sipField = "sip_field"
  case sipStream = "sip_stream"
  case redaction
  case presence
  case dialogInfo = "dialog_info"
  case mailbox
  case digit
  case sdp
  case fmtp
  case rtp
  case rtcp
  case srtp
  case srtpTransform = "srtp_transform"
  case dtls
  case stun
  case stunMessage = "stun_message"
  case turnStream = "turn_stream"
  case ice
  case candidate
  case trickle
  case vp8
  case h264
  case crypto
  case fingerprint
  case config
  case accounts
  case contacts
  case wav
  case ivf
  case telephoneEvent = "telephone_event"
  case json
  case netstring
  case command
  case url
  case httpRequest = "http_request"
  /// A reader with a mistake in it, which must be found.
  case planted

  package func run(_ bytes: [UInt8]) {
    switch self {
    case .sip: Signalling.message(bytes)
    case .sipAddress: Signalling.address(bytes)
    case .sipEndpoint: Signalling.endpoint(bytes)
    case .sipAnswers: Answers.endpoint(bytes)
    case .sipField: Signalling.field(bytes)
    case .sipStream: Streams.sip(bytes)
    case .redaction: Signalling.redaction(bytes)
    case .presence: EventBodies.presence(bytes)
    case .dialogInfo: EventBodies.dialogInfo(bytes)
    case .mailbox: EventBodies.mailbox(bytes)
    case .digit: EventBodies.digit(bytes)
    case .sdp: Descriptions.session(bytes)
    case .fmtp: Descriptions.parameters(bytes)
    case .crypto: Descriptions.crypto(bytes)
    case .fingerprint: Descriptions.fingerprint(bytes)
    case .rtp:
      Packets.rtp(bytes)
      Packets.video(bytes)
    case .rtcp:
      Packets.rtcp(bytes)
      Packets.feedback(bytes)
    case .stun: Packets.classes(bytes)
    case .stunMessage: Connectivity.message(bytes)
    case .turnStream: Streams.turn(bytes)
    case .ice: RelayedSession.run(bytes)
    case .candidate: Connectivity.candidate(bytes)
    case .trickle: Connectivity.fragment(bytes)
    case .vp8: Films.vp8(bytes)
    case .h264: Films.h264(bytes)
    case .telephoneEvent: Packets.telephoneEvents(bytes)
    case .srtp: Secured.srtp(bytes)
    case .srtpTransform: Transforms.compare(bytes)
    case .dtls: Secured.dtls(bytes)
    case .config: Files.config(bytes)
    case .accounts: Files.accounts(bytes)
    case .contacts: Files.contacts(bytes)
    case .wav: Files.wav(bytes)
    case .ivf: Films.ivf(bytes)
    case .json: Control.json(bytes)
    case .netstring: Control.netstrings(bytes)
    case .command: Control.commands(bytes)
    case .url: Web.url(bytes)
    case .httpRequest: Web.request(bytes)
    case .planted: Planted.read(bytes)
    }
  }
}

/// What holds of every input; a fuzzer stops where it does not.
func require(_ isTrue: Bool, _ what: @autoclosure () -> String) {
  precondition(isTrue, what())
}

/// Takes an input apart: numbers first, then pieces with their lengths before them.
struct InputReader {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var isAtEnd: Bool { self.position >= self.bytes.count }

  mutating func byte() -> UInt8 {
    guard !self.isAtEnd else { return 0 }
    defer { self.position += 1 }
    return self.bytes[self.position]
  }

  /// The next piece: two bytes of length, then so many bytes or what is left.
  mutating func piece() -> [UInt8] {
    let count = Int(self.byte()) << 8 | Int(self.byte())
    let end = min(self.bytes.count, self.position + count)
    defer { self.position = end }
    return Array(self.bytes[min(self.position, end)..<end])
  }

  mutating func rest() -> [UInt8] {
    defer { self.position = self.bytes.count }
    return Array(self.bytes[min(self.position, self.bytes.count)...])
  }
}
