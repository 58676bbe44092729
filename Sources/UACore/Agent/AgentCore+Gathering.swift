internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import SIPStack

/// Descriptions that wait for what STUN and TURN servers know of us (half trickle): main begins it, a transport asks the
/// servers, and what it has found, or time, lets the description go. Where the peer is known to take candidates later, the
/// description doesn't wait.
extension AgentCore {
  /// Milliseconds for names and servers together: then a description names what is there.
  static let gatheringPatience: Int64 = 3_000

  /// Calls `body`, once, when the call's next description may be made: at once, where nobody has to be asked for it; or when the
  /// call is over.
  func whenGathered(_ call: Call, for next: CallMedia.NextDescription, _ body: @escaping () -> Void) {
    guard let media = call.media, media.section.connectivity != nil, !call.settings.natServers.isEmpty else {
      return body()
    }
    guard call.gathering == nil else {
      call.gathering?.append(body)
      return
    }
    call.gathering = [body]
    call.gatherings += 1
    let number = call.gatherings
    let limit = self.context.now.advanced(byMilliseconds: Self.gatheringPatience)
    self.context.schedule(at: limit) { [weak self, weak call] in
      guard let self, let call, call.gathering != nil, call.gatherings == number else { return }
      self.emit(
        .warning(call.id, "candidates took longer than \(Self.gatheringPatience / 1000) s; the call goes on without"))
      self.endGathering(call)
    }
    guard media.servers == nil else { return self.gather(call, media, next) }
    self.resolve(call.settings.natServers) { [weak self, weak call] servers, problems in
      guard let self, let call, call.gathering != nil, call.gatherings == number else { return }
      for problem in problems { self.emit(.warning(call.id, "\(problem); the call goes on without it")) }
      media.servers = servers
      self.gather(call, media, next)
    }
  }

  private func gather(_ call: Call, _ media: CallMedia, _ next: CallMedia.NextDescription) {
    // What is wrong comes up again, and is told, when the description is made.
    let isWaiting = (try? media.gather(for: next)) ?? false
    if !isWaiting || self.trickles(call, next) { self.endGathering(call) }
  }

  /// Whether the peer is told later what the next description does not have: an offerer by SIP doesn't know that it is, and
  /// waits (RFC 8840 §5.1).
  private func trickles(_ call: Call, _ next: CallMedia.NextDescription) -> Bool {
    guard let session = call.session else { return call.carrier == nil && call.settings.tricklesCandidates }
    guard case .answer = next else { return false }
    return self.endpoint.takes(.trickleICE, in: session)
  }

  /// A transport has asked its servers.
  func gathered(_ report: GatheringReport, _ call: Call) {
    guard call.media?.gathered(report) == true else { return }
    for problem in report.problems { self.emit(.warning(call.id, "\(problem); the call goes on without it")) }
    self.endGathering(call)
    self.tellLateCandidates(of: call)
  }

  private func endGathering(_ call: Call) {
    guard let waiting = call.gathering.take() else { return }
    for body in waiting { body() }
    self.drain()
  }

  /// The servers' addresses, each IPv4 and IPv6 where it has both; and what has none.
  private func resolve(
    _ servers: [STUNServerURI], _ completion: @escaping (_ found: [ICEServer], _ problems: [String]) -> Void
  ) {
    var found: [Int: [SocketAddress]] = [:]
    for (index, server) in servers.enumerated() {
      self.locations.addresses(of: server.host, port: server.port) { addresses in
        found[index] = addresses
        guard found.count == servers.count else { return }
        var problems: [String] = []
        var all: [ICEServer] = []
        for (index, server) in servers.enumerated() {
          let addresses = found[index] ?? []
          if addresses.isEmpty { problems.append("\(server) has no address") }
          let password = server.password.map { STUNSecret($0.secret) }
          all += addresses.map {
            ICEServer(
              server.kind, over: server.transport, address: $0, name: server.host, username: server.user,
              password: password)
          }
        }
        completion(all, problems)
      }
    }
  }
}
