import NetBase
import SIPStack
import UACore

/// SIP: what is read is written, and read again the same.
enum Signalling {
  static func message(_ bytes: [UInt8]) {
    guard let message = bytes.withRawSpan({ try? SIPMessage(datagram: $0) }) else { return }
    let essentials = try? SIPEssentials(message)
    require((message.body?.bytes.count ?? 0) <= message.bytes.count, "a part is longer than what it is a part of")
    let written = message.serialized()
    let again = written.withRawSpan { try? SIPMessage(datagram: $0) }
    require(again != nil, "a message that was read can't be read again")
    if essentials != nil, let again { require((try? SIPEssentials(again)) != nil, "its header fields can't") }
  }

  static func address(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return }
    let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
    switch kind % 4 {
    case 0:
      guard let uri = try? SIPURI(text) else { return }
      require((try? SIPURI(uri.description)) != nil, "a URI that was read can't be read again")
      _ = uri.isEquivalent(to: uri)
    case 1:
      guard let via = try? Via(text) else { return }
      require((try? Via(via.description)) != nil, "a Via that was read can't be read again")
      _ = (via.sentBy, via.branch, via.hasMagicCookie)
    case 2:
      guard let address = try? NameAddress(text) else { return }
      require((try? NameAddress(address.description)) != nil, "an address that was read can't be read again")
    default:
      guard let cseq = try? CSeq(text) else { return }
      require((try? CSeq(cseq.description)) != nil, "a CSeq that was read can't be read again")
    }
  }

  /// A whole endpoint that rings: every datagram may do anything but trap, and is counted.
  static func endpoint(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let endpoint = SIPEndpoint(configuration: SIPConfiguration(), generator: SeededGenerator(seed: 1))
    let (peer, local) = (SocketAddress(ipv4: 0x0A00_0002, port: 5060), SocketAddress(ipv4: 0x0A00_0001, port: 5060))
    var now = Instant(nanoseconds: 0)
    var received = 0
    while !reader.isAtEnd, received < 16 {
      let datagram = reader.piece()
      received += 1
      datagram.withRawSpan { endpoint.receive($0, from: peer, on: local, transport: .udp, now: now) }
      self.act(endpoint, now)
      now = now.advanced(byMilliseconds: 100)
      endpoint.timeout(now: now)
      self.act(endpoint, now)
    }
    let counters = endpoint.counters
    require(
      counters.requestsReceived + counters.responsesReceived + counters.malformed + counters.keepAlives
        + counters.strayKeepAlives == received,
      "a datagram is not counted")
  }

  /// Header fields that calls act on; the first byte says which.
  static func field(_ bytes: [UInt8]) {
    guard let kind = bytes.first else { return }
    let text = String(decoding: bytes.dropFirst(), as: UTF8.self)
    switch kind % 5 {
    case 0:
      guard let replaces = Replaces(text) else { return }
      require(Replaces(replaces.description) == replaces, "what is replaced is written as another call")
    case 1: _ = (try? NameAddress(text))?.uri.header("Replaces").flatMap { Replaces($0) }
    default:
      let name = ["Call-Info", "Alert-Info", "Answer-Mode"][Int(kind % 5) - 2]
      guard let delay = AutoAnswer.requestedDelay(SIPHeaders([(name, text)])) else { return }
      require((0...3_600).contains(delay), "a call that waits for more than an hour")
    }
  }

  private static let secret = "5ec8e7"

  /// A text on its way to a trace: its lines stay, and what proves a password goes, whatever stands before it.
  static func redaction(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    guard !text.contains(Self.secret) else { return }
    let whole =
      "\(text)\r\nContact: <sip:alice:\(Self.secret)@10.0.0.1>\r\n"
      + "Authorization: Digest username=\"alice\", response=\"\(Self.secret)\"\r\n"
    let redacted = SIPRedaction.redacted(whole)
    require(!redacted.contains(Self.secret), "a secret is shown")
    require(
      redacted.utf8.count { $0 == 10 } == whole.utf8.count { $0 == 10 }, "lines are gone, or there are more of them")
  }

  private static func act(_ endpoint: SIPEndpoint, _ now: Instant) {
    while let action = endpoint.nextAction() {
      guard case .event(let event) = action else { continue }
      if case .incomingCall(let id, _) = event { endpoint.ring(id, now: now) }
    }
  }
}
