package import NetBase
package import Runtime
package import SIPStack

/// Opens the SIP transports of one kind; used on main only.
package protocol SIPTransportProvider: Sendable {
  var kind: SIPTransportKind { get }
  /// - Parameters:
  ///   - main: the loop that the caller is on.
  ///   - receiver: told, on main, of what arrives and of what becomes of connections.
  func open(
    _ settings: SIPTransportSettings, on main: EventLoop, receiver: any SIPTransportReceiver
  ) throws(ModuleError) -> any SIPTransport
  /// Throws what `open` would for its settings and their files; opens nothing.
  func rehearse(_ settings: SIPTransportSettings) throws(ModuleError)
}

extension SIPTransportProvider {
  package func rehearse(_ settings: SIPTransportSettings) throws(ModuleError) {}
}

/// What a SIP transport is opened with: the core's keys that concern it.
package struct SIPTransportSettings: Sendable {
  /// Where it listens, and where its connections come from; port 0 is any free one. Nil: it listens nowhere.
  package var listen: SocketAddress?
  /// The IP TOS or traffic class byte.
  package var typeOfService: Int
  package var security: SIPSecurity

  package init(listen: SocketAddress?, typeOfService: Int = 0, security: SIPSecurity = SIPSecurity()) {
    (self.listen, self.typeOfService, self.security) = (listen, typeOfService, security)
  }
}

/// What TLS needs: paths of PEM files, and who is verified.
package struct SIPSecurity: Hashable, Sendable {
  /// Our certificate, those that lead to its authority, and its key, in one file (`sip_certificate`).
  package var certificate: String?
  /// Authorities to trust, in one file (`sip_cafile`); with neither of the two the system's.
  package var authorityFile: String?
  /// A folder of authorities to trust (`sip_capath`).
  package var authorityPath: String?
  /// Whether a server must have a certificate of its name (`sip_verify_server`).
  package var verifiesServer: Bool
  /// Whether a client must have a certificate (`sip_verify_client`).
  package var verifiesClient: Bool

  package init(
    certificate: String? = nil, authorityFile: String? = nil, authorityPath: String? = nil,
    verifiesServer: Bool = true, verifiesClient: Bool = false
  ) {
    (self.certificate, self.authorityFile, self.authorityPath) = (certificate, authorityFile, authorityPath)
    (self.verifiesServer, self.verifiesClient) = (verifiesServer, verifiesClient)
  }
}

/// Where a message goes.
package struct SIPDestination: Hashable, Sendable {
  package var address: SocketAddress
  /// This connection and no other; nil for one that is open to the same peer and name, else for a new one.
  package var flow: SIPFlow?
  /// The name that the peer's certificate must bear, and SNI; nil when the peer was named by its address.
  package var serverName: String?
  /// A client certificate with its key, PEM, in place of `sip_certificate`.
  package var certificate: String?
  /// The port that a new connection leaves from; nil for any free one.
  package var sourcePort: UInt16?

  package init(
    _ address: SocketAddress, flow: SIPFlow? = nil, serverName: String? = nil, certificate: String? = nil
  ) {
    (self.address, self.flow, self.serverName, self.certificate) = (address, flow, serverName, certificate)
  }
}

/// What became of a message that was to be sent.
package enum SIPSendResult: Hashable, Sendable {
  /// The transport has it; over a connection, which may still be on its way to open, the connection's number.
  case sent(SIPFlow?)
  /// It won't be sent: why, in a few words.
  case refused(String)
}

extension SIPSendResult {
  /// What became of a message over UDP. One that a full socket did not take is as good as lost on the way: timers A, E
  /// and G send it again, and the peer asks again for what no timer of ours repeats (RFC 3261 §17).
  package init(_ result: SendResult, to address: SocketAddress) {
    switch result {
    case .sent, .wouldBlock: self = .sent(nil)
    case .failed(let code): self = .refused(SocketError(code: code, address: address).description)
    }
  }
}

/// An open SIP transport; lives on main.
///
/// A transport over connections opens one when there is none to a peer, keeps it, and uses it again. It takes what
/// arrives no faster than main does, and never drops a message of an open connection.
package protocol SIPTransport: AnyObject {
  var kind: SIPTransportKind { get }
  /// The address that it is bound to; its port is 0 when it listens nowhere.
  var localAddress: SocketAddress { get }
  /// What became of its connections, or of messages that it lost, in words and numbers for people; empty where there
  /// are none.
  var counts: [(name: String, count: Int)] { get }
  func send(_ bytes: [UInt8], to destination: SIPDestination) -> SIPSendResult
  /// Closes a connection, after what was sent on it; `closed` is not told. Nothing for a number that it doesn't know.
  func close(_ flow: SIPFlow)
  /// Asks the peer for a sign of life (RFC 5626 §4.4.1), which the receiver is told of; false without such a connection.
  func ping(_ flow: SIPFlow) -> Bool
  /// Closes the socket and every connection; after it the receiver is told nothing more.
  func close()
}

extension SIPTransport {
  package var counts: [(name: String, count: Int)] { [] }
  package func close(_ flow: SIPFlow) {}
  package func ping(_ flow: SIPFlow) -> Bool { false }
}

/// Where a message came from.
package struct SIPOrigin: Hashable, Sendable {
  package var source: SocketAddress
  /// Our address that it came to; of a socket bound to every address, that.
  package var local: SocketAddress
  package var flow: SIPFlow?

  package init(_ source: SocketAddress, local: SocketAddress, flow: SIPFlow? = nil) {
    (self.source, self.local, self.flow) = (source, local, flow)
  }
}

/// A connection that is open.
package struct SIPConnection: Hashable, Sendable {
  package var flow: SIPFlow
  package var peer: SocketAddress
  package var local: SocketAddress
  /// Whether the peer opened it.
  package var isAccepted: Bool

  package init(flow: SIPFlow, peer: SocketAddress, local: SocketAddress, isAccepted: Bool) {
    (self.flow, self.peer, self.local, self.isAccepted) = (flow, peer, local, isAccepted)
  }
}

/// Who is told, on main, of what happens on a SIP transport.
package protocol SIPTransportReceiver: AnyObject {
  /// The number of a connection that begins; never given twice.
  func newFlow() -> SIPFlow
  func received(_ bytes: RawSpan, from origin: SIPOrigin, on transport: any SIPTransport)
  /// The network reported, for example by ICMP, that nothing listens at `address`.
  func failed(to address: SocketAddress, reason: String, on transport: any SIPTransport)
  func opened(_ connection: SIPConnection, on transport: any SIPTransport)
  /// A connection to or from `peer` has ended, or did not open: what waited to be sent on it is lost.
  func closed(_ flow: SIPFlow, peer: SocketAddress, reason: String, on transport: any SIPTransport)
  /// The peer gave the sign of life that `ping` asked for.
  func ponged(_ flow: SIPFlow, on transport: any SIPTransport)
}
