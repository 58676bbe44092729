internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// SIP in WebSocket messages, one in each, text or binary (RFC 7118 §5).
final class WebSocketHandler: ChannelDuplexHandler {
  typealias InboundIn = WebSocketFrame
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = WebSocketFrame

  private let state: StreamState
  private var hasSentClose = false

  init(_ state: StreamState) { self.state = state }

  func handlerAdded(context: ChannelHandlerContext) {
    let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
    self.state.sendPing = { [unowned self] in
      self.send(.ping, ByteBuffer(), bound.value)
      self.state.hasSent()
    }
    self.state.becomeReady()
  }

  func handlerRemoved(context: ChannelHandlerContext) { self.state.sendPing = {} }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let frame = self.unwrapInboundIn(data)
    switch frame.opcode {
    case .text, .binary:
      let bytes = frame.unmaskedData
      if bytes.readableBytesView.allSatisfy({ $0 == 13 || $0 == 10 }) {
        _ = self.state.heardPing()
        return
      }
      self.state.heard(message: Array(bytes.readableBytesView))
    case .ping:
      if self.state.heardPing() { self.send(.pong, frame.unmaskedData, context) }
    case .pong: self.state.heardPong()
    case .connectionClose:
      if !self.hasSentClose { self.send(.connectionClose, frame.unmaskedData, context) }
      self.state.fail("the peer closed the connection")
    default: self.state.fail("the peer sent an unknown kind of WebSocket frame")
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    self.state.endRead(isInsideMessage: false)
    context.fireChannelReadComplete()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    self.state.hasSent()
    context.write(self.wrapOutboundOut(self.frame(.text, self.unwrapOutboundIn(data))), promise: promise)
  }

  func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
    if !self.hasSentClose, context.channel.isActive {
      self.send(.connectionClose, ByteBuffer(bytes: [0x03, 0xE8]), context)  // 1000, normal closure
    }
    context.close(mode: mode, promise: promise)
  }

  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    switch event {
    case is StreamResume: self.state.resumeIfPossible()
    case is StreamPing: self.state.ping()
    default: return context.triggerUserOutboundEvent(event, promise: promise)
    }
    promise?.succeed()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is NIOWebSocketError || error is NIOWebSocketFrameAggregator.Error {
      self.state.link.tally.unframed.add(1, ordering: .relaxed)
    }
    self.state.fail(StreamFailure.sentence(error))
  }

  private func send(_ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
    if opcode == .connectionClose { self.hasSentClose = true }
    context.writeAndFlush(self.wrapOutboundOut(self.frame(opcode, data)), promise: nil)
  }

  private func frame(_ opcode: WebSocketOpcode, _ data: ByteBuffer) -> WebSocketFrame {
    WebSocketFrame(fin: true, opcode: opcode, maskKey: self.state.link.isAccepted ? nil : .random(), data: data)
  }
}
