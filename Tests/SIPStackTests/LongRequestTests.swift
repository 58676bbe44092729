import NetBase
import SIPStack
import Testing

/// RFC 3261 §18.1.1.
@Suite struct LongRequestTests {
  static let here = SocketAddress(ipv4: 0xC000_0201, port: 5060)
  static let there = SocketAddress(ipv4: 0xC000_0202, port: 5060)
  static let now = Instant(nanoseconds: 1_000_000_000)

  static func endpoint(longestDatagram: Int?) -> SIPEndpoint {
    var configuration = SIPConfiguration()
    configuration.maximumDatagram = longestDatagram ?? configuration.maximumDatagram
    configuration.usesTCPForLargeRequests = longestDatagram != nil
    return SIPEndpoint(configuration: configuration, generator: SeededGenerator(seed: 4))
  }

  static func invite(_ endpoint: SIPEndpoint, bodyLength: Int, transport: SIPTransportKind = .udp) throws {
    _ = endpoint.invite(
      OutgoingInvite(
        from: NameAddress(uri: try SIPURI("sip:a@192.0.2.1")), to: NameAddress(uri: try SIPURI("sip:b@192.0.2.2")),
        contact: try SIPURI("sip:a@192.0.2.1"), destination: Self.there, local: Self.here, transport: transport,
        body: SIPBody(bytes: [UInt8](repeating: 65, count: bodyLength))),
      now: Self.now)
  }

  /// What is sent, by transport, with the Via of each.
  static func sent(_ endpoint: SIPEndpoint) -> [(transport: SIPTransportKind, via: String)] {
    var sent: [(SIPTransportKind, String)] = []
    while let action = endpoint.nextAction() {
      guard case .send(let bytes, let path) = action else { continue }
      let message = bytes.withRawSpan { try? SIPMessage(datagram: $0) }
      sent.append((path.transport, String(message?.headers["Via"]?.prefix(12) ?? "")))
    }
    return sent
  }

  @Test(
    "a request that is too long for UDP goes over TCP, a shorter one does not",
    arguments: [
      (100, SIPTransportKind.udp), (2000, .tcp),
    ])
  func switching(length: Int, transport: SIPTransportKind) throws {
    let endpoint = Self.endpoint(longestDatagram: 1300)
    try Self.invite(endpoint, bodyLength: length)
    let sent = Self.sent(endpoint)
    #expect(sent.map(\.transport) == [transport])
    #expect(sent.first?.via.hasPrefix("SIP/2.0/\(transport.rawValue) ") == true)
  }

  @Test("where there is no TCP, or another transport was asked for, length does not matter")
  func notSwitching() throws {
    let plain = Self.endpoint(longestDatagram: nil)
    try Self.invite(plain, bodyLength: 5000)
    #expect(Self.sent(plain).map(\.transport) == [.udp])
    let secure = Self.endpoint(longestDatagram: 1300)
    try Self.invite(secure, bodyLength: 5000, transport: .tls)
    #expect(Self.sent(secure).map(\.transport) == [.tls])
  }

  @Test("when TCP fails it goes over UDP after all, once, and then the call is over")
  func back() throws {
    let endpoint = Self.endpoint(longestDatagram: 1300)
    try Self.invite(endpoint, bodyLength: 2000)
    #expect(Self.sent(endpoint).map(\.transport) == [.tcp])
    endpoint.transportFailed(to: Self.there, transport: .tcp, error: "connection refused", now: Self.now)
    #expect(Self.sent(endpoint).map(\.transport) == [.udp])
    endpoint.transportFailed(to: Self.there, transport: .udp, error: "port unreachable", now: Self.now)
    var isOver = false
    while let action = endpoint.nextAction() { if case .event(.ended(_, .unreachable)) = action { isOver = true } }
    #expect(isOver && endpoint.pendingRequests == 0)
  }
}
