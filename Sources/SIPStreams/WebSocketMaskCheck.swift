internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// A client masks, a server doesn't (RFC 6455 §5.1); looked at frame by frame, as fragments put together have no mask.
final class WebSocketMaskCheck: ChannelInboundHandler {
  typealias InboundIn = WebSocketFrame
  typealias InboundOut = WebSocketFrame

  private let state: StreamState

  init(_ state: StreamState) { self.state = state }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard (self.unwrapInboundIn(data).maskKey != nil) == self.state.link.isAccepted else {
      self.state.link.tally.unframed.add(1, ordering: .relaxed)
      return self.state.fail("the peer sent a WebSocket frame with the wrong mask")
    }
    context.fireChannelRead(data)
  }
}
