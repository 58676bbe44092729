internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// One connection: gathers a request, has it answered on main, and reads the next when the response has left.
///
/// A peer that sends too much or too slowly loses its connection; each reason is counted.
final class HTTPExchange: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    case waiting
    case gathering(HTTPRequestHead)
    case answering(keepsAlive: Bool)
    case sending(ServedFile, keepsAlive: Bool)
    /// The peer has not taken all of the response.
    case leaving
    /// Everything that still comes is ignored.
    case closing
  }

  private let link: HTTPLink
  private var state = State.waiting
  /// Whether the last request wants a response's head only (RFC 9110 §9.3.2).
  private var isHead = false
  private var body: [UInt8] = []
  private var deadline: Scheduled<Void>?

  init(_ link: HTTPLink) { self.link = link }

  func handlerAdded(context: ChannelHandlerContext) { self.startClock(context) }

  func handlerRemoved(context: ChannelHandlerContext) { self.deadline?.cancel() }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (self.unwrapInboundIn(data), self.state) {
    case (.head(let head), .waiting):
      self.state = .gathering(head)
      self.isHead = head.method == .HEAD
      self.body = []
      let length = head.headers.first(name: "Content-Length").flatMap { Int($0) } ?? 0
      if length > self.link.limits.bodyLength {
        self.refuseOversize(context)
      } else if Self.expectsContinue(head) {
        let invitation = HTTPResponseHead(version: .http1_1, status: .continue)
        context.writeAndFlush(self.wrapOutboundOut(.head(invitation)), promise: nil)
      }
    case (.body(let buffer), .gathering):
      guard self.body.count + buffer.readableBytes <= self.link.limits.bodyLength else {
        return self.refuseOversize(context)
      }
      self.body += buffer.readableBytesView
    case (.end, .gathering(let head)):
      self.deadline?.cancel()
      self.state = .answering(keepsAlive: head.isKeepAlive && !Self.wantsAnotherProtocol(head))
      self.link.tally.requests.add(1, ordering: .relaxed)
      self.link.hand(self.request(head, context), to: context.channel)
    case (_, .sending), (_, .leaving), (_, .closing), (.head, _), (.body, _), (.end, _): break
    }
  }

  /// Main has answered.
  func triggerUserOutboundEvent(context: ChannelHandlerContext, event: Any, promise: EventLoopPromise<Void>?) {
    guard let response = event as? HTTPResponse else {
      return context.triggerUserOutboundEvent(event, promise: promise)
    }
    if case .answering(let keepsAlive) = self.state { self.write(response, keepsAlive: keepsAlive, context) }
    promise?.succeed()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error as? HTTPParserError == .headerOverflow {
      self.link.tally.oversize.add(1, ordering: .relaxed)
    } else {
      self.link.tally.malformed.add(1, ordering: .relaxed)
    }
    self.state = .closing
    context.close(promise: nil)
  }

  /// Whether the peer may wait for a 100 before it sends the body (RFC 9110 §10.1.1).
  private static func expectsContinue(_ head: HTTPRequestHead) -> Bool {
    head.version != .http1_0 && head.headers[canonicalForm: "Expect"].contains { $0.lowercased() == "100-continue" }
  }

  /// Another protocol may follow such a request, so NIO reads nothing more of its connection.
  private static func wantsAnotherProtocol(_ head: HTTPRequestHead) -> Bool {
    head.method == .CONNECT || head.headers.contains(name: "Upgrade")
  }

  private func request(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) -> HTTPRequest {
    let path = head.uri.prefix { $0 != "?" && $0 != "#" }
    return HTTPRequest(
      head.method.rawValue.uppercased(), String(path), headers: head.headers.map { ($0.name, $0.value) },
      body: self.body, peer: Self.host(context.remoteAddress), isSecure: self.link.isSecure)
  }

  /// Who comes by IPv4 to a socket of IPv6 is the host that it is elsewhere (RFC 4291 §2.5.5.2).
  private static func host(_ address: SocketAddress?) -> String {
    let text = address?.ipAddress ?? ""
    return text.hasPrefix("::ffff:") && text.contains(".") ? String(text.dropFirst(7)) : text
  }

  private func refuseOversize(_ context: ChannelHandlerContext) {
    self.link.tally.oversize.add(1, ordering: .relaxed)
    let limit = self.link.limits.bodyLength
    self.write(HTTPResponse(413, "a request has \(limit) bytes at most"), keepsAlive: false, context)
  }

  private func write(_ response: HTTPResponse, keepsAlive: Bool, _ context: ChannelHandlerContext) {
    switch response.body {
    case .bytes(let bytes):
      self.writeHead(of: response, length: bytes.count, keepsAlive: keepsAlive, context)
      if !bytes.isEmpty, !self.isHead {
        context.write(self.wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
      }
      self.complete(keepsAlive: keepsAlive, context)
    case .file(let path):
      guard let file = ServedFile(path) else {
        return self.write(HTTPResponse(404, "the file is gone"), keepsAlive: keepsAlive, context)
      }
      self.writeHead(of: response, length: file.rest, keepsAlive: keepsAlive, context)
      guard !self.isHead else { return self.complete(keepsAlive: keepsAlive, context) }
      self.state = .sending(file, keepsAlive: keepsAlive)
      self.sendPiece(context)
    }
  }

  /// Sends the next piece of a file when the one before has left, so a peer that does not read holds one piece at most.
  private func sendPiece(_ context: ChannelHandlerContext) {
    guard case .sending(let file, let keepsAlive) = self.state else { return }
    guard file.rest > 0 else { return self.complete(keepsAlive: keepsAlive, context) }
    guard let piece = file.next() else {
      // Its length was told: only the connection's end says that not all of it comes.
      self.state = .closing
      return context.close(promise: nil)
    }
    self.startClock(context)
    self.send(ByteBuffer(bytes: piece), context) { self.sendPiece(context) }
  }

  /// Writes a part of a body, and goes on when all that was written has left.
  private func send(_ part: ByteBuffer, _ context: ChannelHandlerContext, then goOn: @escaping () -> Void) {
    // NIO traps unless this is the channel's own thread, which it is in a handler.
    context.writeAndFlush(self.wrapOutboundOut(.body(.byteBuffer(part)))).assumeIsolated().whenSuccess(goOn)
  }

  private func writeHead(of response: HTTPResponse, length: Int, keepsAlive: Bool, _ context: ChannelHandlerContext) {
    var headers = HTTPHeaders(response.headers.map { ($0.name, $0.value) })
    headers.replaceOrAdd(name: "Content-Length", value: "\(length)")
    if !keepsAlive { headers.replaceOrAdd(name: "Connection", value: "close") }
    let head = HTTPResponseHead(
      version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
    context.write(self.wrapOutboundOut(.head(head)), promise: nil)
  }

  private func complete(keepsAlive: Bool, _ context: ChannelHandlerContext) {
    self.startClock(context)
    guard keepsAlive else {
      self.state = .closing
      let channel = context.channel
      context.writeAndFlush(self.wrapOutboundOut(.end(nil))).whenComplete { _ in channel.close(promise: nil) }
      return
    }
    // NIO reads the next request, which may be here, as soon as the end is written: that waits until the rest has left,
    // lest one who asks and does not read has us keep all that it asked for.
    self.state = .leaving
    self.send(ByteBuffer(), context) {
      self.startClock(context)
      self.state = .waiting
      context.writeAndFlush(self.wrapOutboundOut(.end(nil)), promise: nil)
    }
  }

  private func startClock(_ context: ChannelHandlerContext) {
    let (channel, tally) = (context.channel, self.link.tally)
    self.deadline?.cancel()
    self.deadline = context.eventLoop.scheduleTask(in: .milliseconds(Int64(self.link.limits.requestTime))) {
      tally.slow.add(1, ordering: .relaxed)
      channel.close(promise: nil)
    }
  }
}
