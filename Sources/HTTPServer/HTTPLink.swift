internal import ModuleKit
internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Runtime
internal import Synchronization

/// What a connection knows of its server. Any thread may touch it.
final class HTTPLink: Sendable {
  let limits: HTTPLimits
  let tally: HTTPTally
  let isSecure: Bool
  private let main: Runtime.EventLoop
  private let owner: LoopBound<WeakHTTPServer>

  init(limits: HTTPLimits, tally: HTTPTally, isSecure: Bool, main: Runtime.EventLoop, owner: LoopBound<WeakHTTPServer>)
  {
    (self.limits, self.tally, self.isSecure, self.main, self.owner) = (limits, tally, isSecure, main, owner)
  }

  /// Sets up a connection, unless there are too many.
  func begin(_ channel: any Channel, _ tls: NIOSSLContext?) throws {
    let tally = self.tally
    let before = tally.connections.add(1, ordering: .relaxed).oldValue
    channel.closeFuture.whenComplete { _ in tally.connections.subtract(1, ordering: .relaxed) }
    guard before < self.limits.connections else {
      tally.refused.add(1, ordering: .relaxed)
      channel.close(promise: nil)
      return
    }
    let pipeline = channel.pipeline.syncOperations
    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
    var limits = NIOHTTPDecoderLimitConfiguration()
    (limits.maxHeaderListSize, limits.maxHeaderFieldSize) = (self.limits.headerLength, self.limits.headerLength)
    try pipeline.configureHTTPServerPipeline(
      withErrorHandling: true, withEncoderConfiguration: .init(), withDecoderLimitConfiguration: limits)
    try pipeline.addHandler(HTTPExchange(self))
  }

  /// Has a request answered on main.
  func hand(_ request: HTTPRequest, to channel: any Channel) {
    let owner = self.owner
    let isTaken = self.main.execute { context in
      let reply: HTTPServer.Reply = { channel.triggerUserOutboundEvent($0, promise: nil) }
      guard let server = owner.withValue({ $0.server }) ?? nil else { return reply(Self.ending) }
      server.respond(to: request, now: context.now, reply)
    }
    if !isTaken { channel.triggerUserOutboundEvent(Self.ending, promise: nil) }
  }

  private static let ending = HTTPResponse(503, "Apus is about to end")
}
