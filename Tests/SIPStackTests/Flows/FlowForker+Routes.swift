internal import NetBase
internal import SIPStack

/// The forker that stays on the way: it records its route twice, as an element with two sides does, and passes on what
/// comes inside the dialogs (RFC 3261 §16.6, §16.12, RFC 5658).
extension FlowForker {
  /// The side of the caller, and that of the callees.
  private static let sides = ["caller", "callees"]

  private static func route(_ side: Int) -> String { "<sip:192.0.2.100;lr;side=\(Self.sides[side])>" }

  /// What an INVITE gets on its way: each side goes on top, so the callees read theirs first.
  static var recordedRoute: [String] { [Self.route(1), Self.route(0)] }

  /// A request that names the forker in its route; false when it is none.
  func pass(_ message: SIPMessage, _ via: Via, from source: SocketAddress) -> Bool {
    let routes = message.headers.list("Route")
    guard !routes.isEmpty, case .request(_, let uri) = message.startLine else { return false }
    let isCallee = self.targets.contains(source)
    let expected = isCallee ? [Self.route(1), Self.route(0)] : [Self.route(0), Self.route(1)]
    if routes != expected { self.network.violate("\(source) takes the route \(routes), not \(expected)") }
    guard let target = SocketAddress(host: uri.host, port: uri.port ?? 5060) else { return true }
    var copy = message
    copy.headers.remove("Route")
    let branch = Self.passed + via.branch
    copy.headers.prepend("Via", Via(transport: .udp, sentBy: self.address, branch: branch).description)
    self.network.send(copy.serialized(), to: target, from: self.address, isSafe: self.targets.contains(target))
    return true
  }

  private static let passed = "z9hG4bKpassed"

  /// The response to such a request; false when it is none.
  func pass(response message: SIPMessage, _ via: Via) -> Bool {
    guard via.branch.hasPrefix(Self.passed) else { return false }
    let vias = Array(message.headers.list("Via").dropFirst())
    guard let next = vias.first.flatMap({ try? Via($0) }),
      let target = SocketAddress(host: next.host, port: next.port ?? 5060)
    else { return true }
    var copy = message
    copy.headers.remove("Via")
    for value in vias.reversed() { copy.headers.prepend("Via", value) }
    self.network.send(copy.serialized(), to: target, from: self.address, isSafe: self.targets.contains(target))
    return true
  }
}
