extension UserAgent {
  /// How media is encrypted.
  public enum Encryption: String, Sendable, CaseIterable {
    /// Not at all: RTP in the clear.
    case none
    /// SDES keys where the peer takes them (RFC 4568).
    case srtp
    /// SDES keys or no call.
    case srtpMandatory = "srtp-mand"
    /// DTLS-SRTP or no call (RFC 5763).
    case dtls = "dtls_srtp"
  }

  /// Where the media of a call is received, decrypted and decoded.
  public enum ReceiveMode: String, Sendable, CaseIterable {
    /// The agent's main loop: for few calls.
    case main
    /// A thread for each transport of a call.
    case thread
    /// One of a few threads, the same one for the call's life.
    case pool
  }

  /// What an agent is made with. Printed, it shows no password.
  public struct Configuration: Sendable {
    /// Who calls, for example `sip:alice@example.com`; `account` takes its place.
    public var identity = "sip:apus@localhost"
    /// Who the agent is at a registrar or a proxy; nil for neither.
    public var account: Account?
    /// Address and port for SIP; port 0 is any free one.
    public var listen = "0.0.0.0:0"
    /// How calls by SIP are encrypted; a `PeerConnection` always is by DTLS-SRTP.
    public var encryption = Encryption.dtls
    /// Names in order of preference, each `NAME`, `NAME/RATE` or `NAME/RATE/CHANNELS`; empty for all.
    public var codecs: [String] = []
    /// Names in order of preference, `VP8` or `H264`; empty for all. Means nothing without `hasVideo`.
    public var videoCodecs: [String] = []
    /// Where media is received.
    public var receiveMode = ReceiveMode.pool
    /// Whether RTCP shares the RTP socket where the peer agrees (RFC 5761).
    public var multiplexesRTCP = true
    /// Whether calls may come in at all; otherwise they are refused with 480.
    public var acceptsCalls = true
    /// While there are this many calls, the program's own counted, those that come in are refused with 486; with one
    /// more, those too that take the place of a call (RFC 3891). The program's own calls and connections are not
    /// limited. Nil or 0 is without limit.
    public var maximumCalls: Int? = 4
    /// Whether calls that come in are answered at once; otherwise `Call.answer` does it.
    public var answersAtOnce = false
    /// Samples a second of `Call.audio` and `Call.play`, which are 16-bit mono; from 8000 to 48 000.
    public var sampleRate = 16_000
    /// Whether calls have video (`Call.video`, `Call.send`): VP8 or H.264, which the program encodes and decodes.
    public var hasVideo = false
    /// STUN and TURN servers that a `PeerConnection` asks for candidates, for example
    /// `turn:user:password@turn.example.com?transport=tcp`; a user name or password that has `:`, `@`, `?` or `%` is
    /// escaped, as `turn:1700000000%3Aalice:password@turn.example.com` (RFC 3986 §3.2.1).
    public var iceServers: [String] = []
    /// Whether a `PeerConnection` describes itself before these have answered; `Call.Event.lateCandidates` then tells what
    /// they said (RFC 8838).
    public var tricklesCandidates = false
    /// Whether a `PeerConnection` names and uses nothing but relays of these servers.
    public var usesRelaysOnly = false
    /// Everything else, by the keys of a config file, for example `["rtp_ports": "20000-29999", "rtp_timeout": "30",
    /// "sip_certificate": "/etc/apus/sip.pem"]`. Each value is what such a file may have; a key that a property here stands
    /// for is refused, and so is `module`. A key that has no effect gives a warning.
    public var settings: [String: String] = [:]

    /// The defaults, as they stand above.
    public init() {}
  }
}
