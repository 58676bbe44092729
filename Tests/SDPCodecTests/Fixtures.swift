import NetBase
import SDPCodec
import Testing

/// A seeded generator (SplitMix64), so that a failing run replays.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  init(seed: UInt64) { self.state = seed }

  mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var word = self.state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}

let pcmu = CodecCapability("PCMU", clockRate: 8000)
let pcma = CodecCapability("PCMA", clockRate: 8000)
let g722 = CodecCapability("G722", clockRate: 8000)
let opus = CodecCapability("opus", clockRate: 48000, channels: 2, fmtp: "stereo=1;sprop-stereo=1")
let ilbc = CodecCapability("iLBC", clockRate: 8000)
let h261 = CodecCapability("H261", clockRate: 90000)
let mpv = CodecCapability("MPV", clockRate: 90000)
let events = CodecCapability.telephoneEvent()

func address(_ text: String) throws -> SocketAddress { try #require(SocketAddress(text)) }

/// An audio line at `text`, by default `192.0.2.1:10000`.
func audio(
  _ codecs: [CodecCapability], at text: String = "192.0.2.1:10000", protocolName: String = "RTP/AVP",
  accepts: [String]? = nil, direction: MediaDirection = .sendrecv, rtcpMux: Bool = false,
  attributes: [SDPAttribute] = []
) throws -> LocalMedia {
  LocalMedia(
    protocolName: protocolName, acceptedProtocols: accepts, address: try address(text), codecs: codecs, ptime: 20,
    direction: direction, rtcpMux: rtcpMux, attributes: attributes)
}

func video(_ codecs: [CodecCapability], at text: String) throws -> LocalMedia {
  LocalMedia(kind: .video, address: try address(text), codecs: codecs)
}

func agent(_ host: String = "192.0.2.1", id: UInt64 = 1000, matching: CodecMatching = CodecMatching()) throws
  -> OfferAnswer
{
  OfferAnswer(sessionID: id, address: try #require(SocketAddress(host: host, port: 0)), matching: matching)
}

/// A description from its lines, joined by CRLF.
func sdp(_ lines: String...) throws -> SessionDescription {
  try SessionDescription(parsing: lines.map { $0 + "\r\n" }.joined())
}

/// A description of a peer at 192.0.2.9 with these lines behind `t=`.
func peer(_ lines: String...) throws -> SessionDescription {
  let head = ["v=0", "o=- 7 1 IN IP4 192.0.2.9", "s=-", "c=IN IP4 192.0.2.9", "t=0 0"]
  return try SessionDescription(parsing: (head + lines).map { $0 + "\r\n" }.joined())
}

extension [CodecFormat] {
  /// `name@number`, in lower case.
  var brief: [String] { self.map { "\($0.encodingName.lowercased())@\($0.payloadType)" } }
}
