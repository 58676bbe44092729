internal import NIOCore
internal import NIOTLS
internal import NetBase
internal import SIPStack
internal import Synchronization

/// SIP on a plain byte stream, TLS below it or not: framing and keepalives (RFC 3261 §18.3, RFC 5626 §4.4.1).
final class StreamHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let state: StreamState
  private let waitsForTLS: Bool
  private var framer: SIPStreamFramer

  init(_ state: StreamState, waitsForTLS: Bool) {
    self.state = state
    self.waitsForTLS = waitsForTLS
    self.framer = SIPStreamFramer(
      role: state.link.isAccepted ? .server : .client, limit: state.link.limits.messageLength)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    self.state.sendPing = { channel.writeAndFlush(ByteBuffer(bytes: [13, 10, 13, 10]), promise: nil) }
    if channel.isActive, !self.waitsForTLS { self.state.becomeReady() }
  }

  func channelActive(context: ChannelHandlerContext) {
    self.state.hasConnected = true
    if !self.waitsForTLS { self.state.becomeReady() }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted? = event as? TLSUserEvent { self.state.becomeReady() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let buffer = self.unwrapInboundIn(data)
    self.framer.append(buffer.readableBytesSpan)
    do throws(SIPStreamFramer.Failure) {
      while let element = try self.framer.next() {
        switch element {
        case .message(let bytes): self.state.heard(message: bytes)
        case .ping:
          guard self.state.heardPing() else { continue }
          context.writeAndFlush(self.wrapOutboundOut(ByteBuffer(bytes: [13, 10])), promise: nil)
        case .pong: self.state.heardPong()
        }
      }
    } catch {
      self.state.link.tally.unframed.add(1, ordering: .relaxed)
      self.state.fail(Self.sentence(error))
    }
  }

  func channelReadComplete(context: ChannelHandlerContext) {
    self.state.endRead(isInsideMessage: self.framer.isInsideMessage)
    context.fireChannelReadComplete()
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    self.state.hasSent()
    context.write(data, promise: promise)
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
    self.state.fail(StreamFailure.sentence(error))
  }

  private static func sentence(_ failure: SIPStreamFramer.Failure) -> String {
    switch failure {
    case .messageTooLong: "the peer sent a message that is too long"
    case .missingContentLength: "the peer sent a message without Content-Length"
    case .malformedContentLength: "the peer sent a message with an unsound Content-Length"
    }
  }
}
