import NetBase
import TestSupport

/// SIP and SDP that a peer should never send, from a stranger or inside the dialog.
///
/// Nothing of it may change a call: no BYE of the dialog, no re-offer that could be accepted (its protocol is none).
struct HostileSIP {
  private let callID: String
  private let from: String
  private let to: String
  private let peer: SocketAddress
  private let local: SocketAddress
  /// Messages that really crossed, with descriptions that can't be used.
  private let genuine: [[UInt8]]
  private var sequence = 100
  private var branch = 0

  /// - Parameters:
  ///   - messages: what crossed while the call was set up, either way.
  ///   - invite: the INVITE, which went from `local` to `peer`.
  init?(messages: [[UInt8]], invite: [UInt8], answer: [UInt8], local: SocketAddress, peer: SocketAddress) {
    func value(_ name: String, _ bytes: [UInt8]) -> String? {
      String(decoding: bytes, as: UTF8.self).split(separator: "\r\n").first { $0.hasPrefix("\(name): ") }
        .map { String($0.dropFirst(name.count + 2)) }
    }
    guard let callID = value("Call-ID", invite), let caller = value("From", invite), let callee = value("To", answer)
    else { return nil }
    (self.callID, self.from, self.to, self.local, self.peer) = (callID, callee, caller, local, peer)
    self.genuine = messages.map {
      Array(String(decoding: $0, as: UTF8.self).replacing("RTP/", with: "QQQ/").utf8)
    }
  }

  /// A datagram from nobody in particular.
  mutating func fromStranger(_ mutation: inout Mutation) -> [UInt8] {
    switch mutation.number(0...9) {
    case 0: return mutation.garbage(0...400)
    case 1: return Array(String(repeating: "\r\n", count: mutation.number(0...20)).utf8)
    case 2: return self.bomb(&mutation)
    default: return mutation.damage(self.newDialog(mutation.pick(self.genuine)), limit: 4000)
    }
  }

  /// Datagrams of a peer that knows the dialog.
  mutating func fromPeer(_ mutation: inout Mutation) -> [[UInt8]] {
    switch mutation.number(0...9) {
    case 0...2:
      let method = mutation.pick(["OPTIONS", "INFO", "MESSAGE", "NOTIFY", "REFER", "PRACK", "PUBLISH", "Q", "ACK"])
      let message = self.request(method, body: [], extra: mutation.pick(Self.headers))
      // The first line stays: nothing must become a BYE.
      return [mutation.damage(message, from: method.utf8.count + 1, limit: 4000)]
    case 3: return [self.request("BYE", body: [], sequence: mutation.number(0...50))]
    case 4:
      let text = String(decoding: mutation.pick(self.genuine), as: UTF8.self)
      let damaged = mutation.damage(Array(text.utf8), from: 12, limit: 4000)
      return damaged.starts(with: Array("INVITE".utf8)) ? [self.newDialog(damaged)] : [damaged]
    default:
      // A re-offer that is refused, and the ACK of the refusal.
      var body = mutation.damage(Self.description, limit: 3000)
      if mutation.chance(0.1) { body = self.descriptionBomb(&mutation) }
      if body.isEmpty { body = [0x0A] }
      let method = mutation.chance(0.5) ? "INVITE" : "UPDATE"
      let request = self.request(method, body: body, extra: mutation.pick(Self.headers))
      guard method == "INVITE" else { return [request] }
      return [request, self.request("ACK", body: [], sequence: self.sequence, isNew: false)]
    }
  }

  private static let headers = [
    "", "Require: \(String(repeating: "x", count: 100))\r\n", "Max-Forwards: 0\r\n",
    "Session-Expires: 0;refresher=uac\r\n",
    "Supported: 100rel,timer,replaces\r\n", "Content-Encoding: gzip\r\n", "Subject: \u{FEFF}\u{1F4A3}\r\n",
    "Content-Disposition: session;handling=required\r\n",
  ]

  private static let description: [UInt8] = Array(
    """
    v=0\r\no=bob 1 2 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 20000 QQQ/QQQQ 0 8 96 101\r
    a=rtpmap:0 PCMU/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=rtpmap:101 telephone-event/8000\r
    a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\na=rtcp-mux\r\na=ssrc:1 cname:x\r
    a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4\r
    a=fingerprint:sha-256 \(Array(repeating: "AB", count: 32).joined(separator: ":"))\r\na=setup:actpass\r\n
    """.utf8)

  /// Large and repetitive, within what a datagram holds.
  private func bomb(_ mutation: inout Mutation) -> [UInt8] {
    let count = mutation.number(10...400)
    let piece = mutation.pick([
      "Via: SIP/2.0/UDP a;branch=z9hG4bK1\r\n", "Route: <sip:a;lr>,<sip:b;lr>\r\n", "X: ,,,,,,,,\r\n",
      ";a=\"\\\"", "(((((", "From: \"\\\\\\\\\"\r\n", "Contact: <sip:@[::]:0>;q=0\r\n", " folded\r\n",
      "Record-Route: <sip:x;lr>\r\n",
    ])
    return Array(
      ("OPTIONS sip:a@b SIP/2.0\r\n" + String(repeating: piece, count: count)
        + (mutation.chance(0.5) ? "\r\n\r\n" : "")).utf8)
  }

  private func descriptionBomb(_ mutation: inout Mutation) -> [UInt8] {
    let piece = mutation.pick([
      "m=audio 9 QQQ/QQQQ 0 0 0 0\r\n", "a=rtpmap:0 PCMU/8000\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:\r\n",
      "a=fingerprint:sha-256 00\r\n", "a=candidate:1 1 UDP 1 10.0.0.1 1 typ host\r\n", "a=group:BUNDLE 0 1 2 3\r\n",
    ])
    return Self.description + Array(String(repeating: piece, count: mutation.number(10...60)).utf8)
  }

  /// A message whose Call-ID no dialog has.
  private func newDialog(_ bytes: [UInt8]) -> [UInt8] {
    Array(String(decoding: bytes, as: UTF8.self).replacing(self.callID, with: "nobody-\(bytes.count)").utf8)
  }

  private mutating func request(
    _ method: String, body: [UInt8], extra: String = "", sequence: Int? = nil, isNew: Bool = true
  ) -> [UInt8] {
    if isNew {
      self.branch += 1
      if sequence == nil { self.sequence += 1 }
    }
    let type = body.isEmpty ? "" : "Content-Type: application/sdp\r\n"
    let text = """
      \(method) sip:alice@\(self.local) SIP/2.0\r
      Via: SIP/2.0/UDP \(self.peer);branch=z9hG4bKhostile\(self.branch);rport\r
      Max-Forwards: 70\r
      From: \(self.from)\r
      To: \(self.to)\r
      Call-ID: \(self.callID)\r
      CSeq: \(sequence ?? self.sequence) \(method)\r
      Contact: <sip:nobody@10.0.0.9:9>\r
      \(extra)\(type)Content-Length: \(body.count)\r
      \r

      """
    return Array(text.utf8) + body
  }
}
