internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// The HTTP exchange before SIP over WebSocket, with the subprotocol `sip` (RFC 7118 §4).
enum WebSocketUpgrade {
  static let subprotocol = "sip"

  /// Prepares a connection of ours: asks for the upgrade as soon as it can.
  static func client(_ state: StreamState, host: String) throws {
    let pipeline = state.channel.pipeline.syncOperations
    let request = UpgradeRequest(state, host: host)
    let bound = NIOLoopBound((state, request), eventLoop: state.channel.eventLoop)
    let upgrader = NIOWebSocketClientUpgrader(maxFrameSize: state.link.limits.messageLength) { channel, response in
      let (state, request) = bound.value
      guard names(response.headers).contains(subprotocol) else {
        return channel.eventLoop.makeFailedFuture(
          StreamFailure("the server does not speak SIP on its WebSocket: it chose no subprotocol sip"))
      }
      return channel.eventLoop.makeCompletedFuture { try enter(state, removing: request) }
    }
    let configuration: NIOHTTPClientUpgradeSendableConfiguration = (upgraders: [upgrader], completionHandler: { _ in })
    try pipeline.addHTTPClientHandlers(leftOverBytesStrategy: .forwardBytes, withClientUpgrade: configuration)
    try pipeline.addHandler(request)
  }

  /// Prepares a connection of a peer's: refuses whatever is no upgrade to SIP.
  static func server(_ state: StreamState) throws {
    let refusal = UpgradeRefusal(state)
    let bound = NIOLoopBound((state, refusal), eventLoop: state.channel.eventLoop)
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: state.link.limits.messageLength,
      shouldUpgrade: { channel, head in
        let speaksSIP = names(head.headers).contains(subprotocol)
        let headers = HTTPHeaders([("Sec-WebSocket-Protocol", subprotocol)])
        return channel.eventLoop.makeSucceededFuture(speaksSIP ? headers : nil)
      },
      upgradePipelineHandler: { channel, _ in
        let (state, refusal) = bound.value
        return channel.eventLoop.makeCompletedFuture { try enter(state, removing: refusal) }
      })
    let configuration: NIOHTTPServerUpgradeSendableConfiguration = (upgraders: [upgrader], completionHandler: { _ in })
    try state.channel.pipeline.syncOperations.configureHTTPServerPipeline(
      withPipeliningAssistance: false, withServerUpgrade: configuration)
    try state.channel.pipeline.syncOperations.addHandler(refusal)
  }

  private static func enter(_ state: StreamState, removing handler: any RemovableChannelHandler) throws {
    let pipeline = state.channel.pipeline.syncOperations
    pipeline.removeHandler(handler, promise: nil)
    try pipeline.addHandler(WebSocketMaskCheck(state))
    try pipeline.addHandler(
      NIOWebSocketFrameAggregator(
        minNonFinalFragmentSize: 0, maxAccumulatedFrameCount: 64,
        maxAccumulatedFrameSize: state.link.limits.messageLength))
    try pipeline.addHandler(WebSocketHandler(state))
  }

  private static func names(_ headers: HTTPHeaders) -> [String] {
    headers[canonicalForm: "Sec-WebSocket-Protocol"].map { $0.lowercased() }
  }
}

/// Sends the request for an upgrade; sees the response only when it is a refusal.
private final class UpgradeRequest: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let state: StreamState
  private let host: String
  private var hasAsked = false

  init(_ state: StreamState, host: String) {
    self.state = state
    self.host = host
  }

  func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { self.ask(context) } }

  func channelActive(context: ChannelHandlerContext) {
    self.state.hasConnected = true
    self.ask(context)
    context.fireChannelActive()
  }

  private func ask(_ context: ChannelHandlerContext) {
    guard !self.hasAsked else { return }
    self.hasAsked = true
    let headers = HTTPHeaders([
      ("Host", self.host), ("Sec-WebSocket-Protocol", WebSocketUpgrade.subprotocol), ("Content-Length", "0"),
    ])
    let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: self.state.link.limits.resource, headers: headers)
    context.write(self.wrapOutboundOut(.head(head)), promise: nil)
    context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head(let head) = self.unwrapInboundIn(data) else { return }
    self.state.fail("the server refused a WebSocket: \(head.status.code) \(head.status.reasonPhrase)")
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    self.state.fail(StreamFailure.sentence(error))
  }
}

/// Answers requests that are no upgrade to SIP over WebSocket.
private final class UpgradeRefusal: ChannelInboundHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private let state: StreamState

  init(_ state: StreamState) { self.state = state }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard case .head = self.unwrapInboundIn(data) else { return }
    let headers = HTTPHeaders([
      ("Connection", "close"), ("Content-Length", "0"), ("Upgrade", "websocket"),
      ("Sec-WebSocket-Protocol", WebSocketUpgrade.subprotocol),
    ])
    let head = HTTPResponseHead(version: .http1_1, status: .upgradeRequired, headers: headers)
    context.write(self.wrapOutboundOut(.head(head)), promise: nil)
    context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    self.state.fail("the peer asked for no SIP over WebSocket")
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Why it is no upgrade; the request follows, and is answered.
    guard !(error is NIOWebSocketUpgradeError) else { return }
    self.state.fail(StreamFailure.sentence(error))
  }
}
