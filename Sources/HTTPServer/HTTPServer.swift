internal import Glibc
package import ModuleKit
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
package import NetBase
package import Runtime
internal import Synchronization

/// HTTP/1.1 for a module (RFC 9112), with TLS where there is a certificate. Lives on main, where every request is answered;
/// the connections are NIO's, on a thread of its own.
package final class HTTPServer {
  /// Where it listens.
  package let address: NetBase.SocketAddress
  private let listener: any Channel
  private let reference: LoopBound<WeakHTTPServer>
  /// Takes the response to a request: once, on main.
  package typealias Reply = (HTTPResponse) -> Void
  private let answer: (HTTPRequest, @escaping Reply) -> Void
  private let tally: HTTPTally
  private var rate: SourceLimiter

  /// - Parameters:
  ///   - access: where it listens; whom it lets in is up to who answers.
  ///   - tally: counts what is not served.
  ///   - answer: called on main, once for each request; it replies at once or later.
  /// - Throws: when the port is taken, or the certificate can't be used.
  package init(
    _ access: HTTPAccess, tally: HTTPTally, on main: Runtime.EventLoop,
    answer: @escaping (HTTPRequest, @escaping Reply) -> Void
  ) throws(ModuleError) {
    let (listen, limits, tls) = (access.listen, access.limits, try access.makeTLS())
    let reference = LoopBound<WeakHTTPServer>(on: main)
    let link = HTTPLink(limits: limits, tally: tally, isSecure: tls != nil, main: main, owner: reference)
    let bootstrap = ServerBootstrap(group: HTTPThread.group)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try link.begin(channel, tls) }
      }
    do {
      self.listener = try bootstrap.bind(host: listen.host, port: Int(listen.port)).wait()
    } catch {
      let code = (error as? IOError)?.errnoCode
      let isForeign = code == EADDRNOTAVAIL
      let words = code.map { unsafe String(cString: strerror($0)).lowercased() } ?? "\(error)"
      let reason = isForeign ? "it is no address of this machine" : words
      let advice = isForeign || code == EADDRINUSE ? "; choose another \(access.listenKey)" : ""
      throw ModuleError(.unavailable, "cannot listen on \(listen): \(reason)\(advice)")
    }
    self.address = listen.with(port: UInt16(clamping: self.listener.localAddress?.port ?? 0))
    (self.reference, self.answer, self.tally) = (reference, answer, tally)
    self.rate = SourceLimiter(limit: limits.requestsPerSecond, window: .seconds(1))
    self.reference.put(WeakHTTPServer(server: self))
  }

  /// No request is answered after this.
  package func stop() {
    _ = self.reference.take()
    self.listener.close(promise: nil)
  }

  func respond(to request: HTTPRequest, now: Instant, _ reply: @escaping Reply) {
    let peer = NetBase.SocketAddress(request.peer, defaultPort: 0) ?? NetBase.SocketAddress(ipv4: 0, port: 0)
    guard self.rate.allows(peer, now) else {
      self.tally.rateLimited.add(1, ordering: .relaxed)
      return reply(HTTPResponse(429, "too many requests: wait a second", headers: [("Retry-After", "1")]))
    }
    self.answer(request, reply)
  }

  /// 128 random bits: whoever knows such a path may use it.
  package static func unguessable() -> String {
    var generator = SystemRandomNumberGenerator()
    let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 36)
    return digits + String(UInt64.random(in: .min ... .max, using: &generator), radix: 36)
  }
}

/// The thread that has the connections of every server of this process.
private enum HTTPThread {
  static let group: any EventLoopGroup = MultiThreadedEventLoopGroup(numberOfThreads: 1)
}

/// A reference that does not keep the server alive.
struct WeakHTTPServer {
  weak var server: HTTPServer?
}
