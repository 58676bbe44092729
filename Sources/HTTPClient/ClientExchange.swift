internal import NIOCore
internal import NIOHTTP1
internal import SIPStreams

/// One connection: sends its request, gathers the answer, and closes.
final class ClientExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  struct Request: Sendable {
    let method: String
    let url: HTTPURL
    let headers: [(name: String, value: String)]
    let body: [UInt8]
    let maximumLength: Int
  }

  private let request: Request
  private let promise: EventLoopPromise<HTTPReply>
  private var head: HTTPResponseHead?
  private var body: [UInt8] = []

  init(_ request: Request, _ promise: EventLoopPromise<HTTPReply>) {
    (self.request, self.promise) = (request, promise)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    let channel = context.channel
    self.promise.futureResult.whenComplete { _ in channel.close(promise: nil) }
  }

  /// TLS keeps it back until the server has proved its name.
  func channelActive(context: ChannelHandlerContext) {
    var headers = HTTPHeaders([("Host", self.request.url.authority), ("Connection", "close")])
    headers.add(contentsOf: self.request.headers.map { ($0.name, $0.value) })
    if !self.request.body.isEmpty { headers.add(name: "Content-Length", value: "\(self.request.body.count)") }
    let head = HTTPRequestHead(
      version: .http1_1, method: HTTPMethod(rawValue: self.request.method), uri: self.request.url.target,
      headers: headers)
    context.write(self.wrapOutboundOut(.head(head)), promise: nil)
    if !self.request.body.isEmpty {
      context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: self.request.body)))), promise: nil)
    }
    let promise = self.promise
    context.writeAndFlush(self.wrapOutboundOut(.end(nil))).whenFailure { promise.fail($0) }
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch self.unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body(let buffer):
      guard self.body.count + buffer.readableBytes <= self.request.maximumLength else {
        return self.promise.fail(StreamFailure("its answer is longer than \(self.request.maximumLength) bytes"))
      }
      self.body += buffer.readableBytesView
    case .end:
      guard let head else { return }
      self.promise.succeed(
        HTTPReply(
          status: Int(head.status.code), headers: head.headers.map { ($0.name, $0.value) }, body: self.body))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    self.promise.fail(StreamFailure("the connection was closed before the answer was there"))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch error as? HTTPParserError {
    case nil: self.promise.fail(error)
    case .invalidEOFState: self.channelInactive(context: context)
    default: self.promise.fail(StreamFailure("what answers there is not HTTP"))
    }
  }
}
