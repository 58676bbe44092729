package import ModuleKit
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NetBase
package import Runtime
internal import SIPStreams

/// Sends requests of HTTP/1.1 (RFC 9112), each on a connection of its own, by TLS where the URL is https. Lives on main;
/// the connections are NIO's, on its threads.
package final class HTTPClient {
  private let main: Runtime.EventLoop
  private var security: SIPSecurity
  private let module: String
  private let patience: Int64

  /// Bytes of an answer.
  static let maximumLength = 65_536

  /// - Parameters:
  ///   - module: who asks, for what is said of certificates.
  ///   - security: whom TLS trusts; a certificate of ours in it is not shown.
  ///   - patience: milliseconds for an answer to be here whole, from the look-up of the name on.
  package init(module: String, security: SIPSecurity, patience: Int64 = 10_000, on main: Runtime.EventLoop) {
    (self.main, self.module, self.security, self.patience) = (main, module, security, patience)
    self.security.certificate = nil
  }

  /// - Parameter then: called on main, once and later; with what went wrong where there is no answer.
  package func send(
    _ method: String, to url: HTTPURL, headers: [(name: String, value: String)] = [], body: [UInt8] = [],
    then: @escaping (Result<HTTPReply, ModuleError>) -> Void
  ) {
    let (main, reference) = (self.main, LoopBound(then, on: self.main))
    let loop = StreamThreads.group.next()
    let promise = loop.makePromise(of: HTTPReply.self)
    let patience = self.patience
    let deadline = loop.scheduleTask(in: .milliseconds(patience)) {
      let seconds = patience % 1000 == 0 ? "\(patience / 1000)" : "\(Double(patience) / 1000)"
      promise.fail(StreamFailure("it does not answer within \(seconds) s"))
    }
    promise.futureResult.whenComplete { result in
      deadline.cancel()
      let outcome = result.mapError { ModuleError(.unavailable, "\(url): \(StreamFailure.sentence($0))") }
      main.execute { _ in reference.take()?(outcome) }
    }
    do {
      let tls =
        url.isSecure ? try StreamTLS(module: self.module, security: self.security).client(certificate: nil) : nil
      let request = ClientExchange.Request(
        method: method, url: url, headers: headers, body: body, maximumLength: Self.maximumLength)
      // TLS checks an address against the certificate by itself; only a name is told to it.
      let serverName = NetBase.SocketAddress(host: url.host, port: 0) == nil ? url.host : nil
      ClientBootstrap(group: loop)
        .connectTimeout(.milliseconds(patience))
        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            if let tls { try pipeline.addHandler(ServerIdentity.handler(tls, serverName: serverName)) }
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(ClientExchange(request, promise))
          }
        }
        .connect(host: url.host, port: Int(url.port)).whenFailure { promise.fail($0) }
    } catch { promise.fail(StreamFailure("\(error)")) }
  }
}
