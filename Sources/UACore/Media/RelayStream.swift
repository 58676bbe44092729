internal import Glibc
internal import ICEAgent
internal import ModuleKit
internal import NetBase
internal import Runtime

/// The connection to a server that relays for a path (RFC 8656 §3.1): a socket that never blocks, what secures it, and a
/// bounded queue of what the kernel did not take yet. Owned by the path.
final class RelayStream {
  private enum State {
    case connecting, securing, open
    case ended(String)
  }

  /// What has happened.
  enum Step {
    case idle
    /// There may be messages, and more to read.
    case read
    case connected
    /// The reason goes on a sentence that begins with the server.
    case ended(String)
  }

  /// Which socket's datagrams its messages are like.
  let component: Component
  private let socket: TCPSocket
  private let cipher: (any StreamCipher)?
  private var state = State.connecting
  private var reader = TURNStreamReader()
  private var waiting: [UInt8] = []
  /// What is secured, on its way in or out.
  private var room: [UInt8]
  private var watch: WatchID?
  private var context: LoopContext?

  /// Bytes that may wait: of media, for what comes later than that is of no use; and of requests, too.
  static let maximumMedia = 16_384
  static let maximumWaiting = 65_536

  /// Begins to connect.
  ///
  /// - Throws: what goes on a sentence that begins with the server.
  init(_ connection: RelayConnection) throws(ModuleError) {
    self.component = connection.component
    do throws(ModuleError) {
      self.cipher = try connection.makeCipher()
    } catch { throw ModuleError(error.kind, "can't be asked: \(error.message)") }
    do throws(SocketError) {
      self.socket = try TCPSocket(connecting: connection.server, from: connection.local)
    } catch { throw ModuleError(.unavailable, Self.sentence(error.code)) }
    self.room = self.cipher == nil ? [] : [UInt8](repeating: 0, count: 16_384)
  }

  /// Calls `handler` whenever `step` may have something to say.
  func attach(to context: LoopContext, _ handler: @escaping () -> Void) {
    self.context = context
    self.watch = context.watch(self.socket.descriptor, handler)
    self.awaitWriting(true)
  }

  /// Whether nothing has come of the connection yet. Until then `step` is for the handler alone: the kernel has no
  /// error to tell of a connection that is being made, and none of one that stands.
  var isConnecting: Bool { if case .connecting = self.state { true } else { false } }

  /// Says good-bye; after this the handler is not called again, and is released.
  func close() {
    if case .open = self.state, let cipher {
      cipher.close()
      self.flush()
    }
    self.state = .ended("is not needed any more")
    if let watch, let context { context.unwatch(watch, self.socket.descriptor) }
    (self.watch, self.context) = (nil, nil)
    self.socket.close()
  }

  /// Does one thing that can be done; to be called until it is idle, and messages taken in between.
  ///
  /// - Parameter isReading: whether the socket is read, which calls again where there is more.
  func step(isReading: Bool) -> Step {
    if case .connecting = self.state { return self.connect() }
    self.flush()
    if case .ended(let reason) = self.state { return .ended(reason) }
    guard let cipher else {
      guard isReading else { return .idle }
      let count = self.reader.fill { room, offset in self.socket.receive(into: &room, at: offset) }
      guard let count else { return self.lost() }
      return count > 0 ? .read : .idle
    }
    // All of what was said before is taken first, for the socket does not call again for it.
    let said = self.reader.fill { room, offset in cipher.read(into: &room, at: offset) }
    if let said, said > 0 { return .read }
    if let failure = cipher.failure { return self.end(failure) }
    if case .securing = self.state, cipher.isSecured {
      self.state = .open
      return .connected
    }
    guard isReading else { return .idle }
    guard let count = self.socket.receive(into: &self.room, at: 0) else { return self.lost() }
    guard count > 0 else { return .idle }
    self.room.withRawSpan { cipher.feed($0.extracting(0..<count)) }
    return .read
  }

  /// Hands the next message to `body`; false when there is none.
  func withMessage(_ body: (inout Packet) -> Void) -> Bool {
    if self.reader.withNext(body) { return true }
    if self.reader.isBroken { _ = self.end("says what is no TURN") }
    return false
  }

  /// Messages of no use, for their length, since this was asked last.
  func takeTooLong() -> Int { self.reader.takeTooLong() }

  /// Sends a message, or keeps it until the kernel takes it; what is more than may wait is not sent.
  func send(_ message: RawSpan, upTo limit: Int) -> SendResult {
    guard case .open = self.state else { return .failed(ENOTCONN) }
    guard self.waiting.count + message.byteCount <= limit else { return .wouldBlock }
    if let cipher {
      guard cipher.write(message) else { return .failed(EPIPE) }
      self.flush()
    } else {
      self.push(message)
    }
    if case .ended = self.state { return .failed(EPIPE) }
    return .sent
  }

  private func connect() -> Step {
    let code = self.socket.connectionError
    guard code == 0 else { return self.end(Self.sentence(code)) }
    guard let cipher else {
      self.state = .open
      self.awaitWriting(false)
      return .connected
    }
    self.state = .securing
    self.awaitWriting(false)
    cipher.start()
    self.flush()
    return .read
  }

  private func lost() -> Step {
    let code = self.socket.connectionError
    return self.end(code == 0 ? "has closed the connection" : Self.sentence(code))
  }

  private func end(_ reason: String) -> Step {
    self.state = .ended(reason)
    return .ended(reason)
  }

  /// Gives the kernel what it takes, of what waits and then of what is secured.
  private func flush() {
    if !self.waiting.isEmpty {
      guard let count = self.socket.send(self.waiting[...]) else { return self.broken() }
      self.waiting.removeFirst(count)
      if self.waiting.isEmpty { self.awaitWriting(false) }
    }
    guard let cipher else { return }
    while case let count = cipher.drain(into: &self.room), count > 0 {
      self.room.withRawSpan { self.push($0.extracting(0..<count)) }
    }
  }

  private func push(_ bytes: RawSpan) {
    var sent = 0
    if self.waiting.isEmpty {
      guard let count = self.socket.send(bytes) else { return self.broken() }
      sent = count
    }
    guard sent < bytes.byteCount else { return }
    if self.waiting.isEmpty { self.awaitWriting(true) }
    self.waiting += bytes.extracting(sent..<bytes.byteCount).copied()
  }

  /// The socket says so again when it is looked at, which it is soon: it has an error.
  private func broken() { self.state = .ended("has closed the connection") }

  private func awaitWriting(_ isWanted: Bool) {
    if let watch, let context { context.awaitWriting(isWanted, watch, self.socket.descriptor) }
  }

  private static func sentence(_ code: Int32) -> String {
    switch code {
    case ECONNREFUSED: "refuses the connection"
    case ECONNRESET: "has broken the connection"
    default: "can't be reached: \(unsafe String(cString: strerror(code)).lowercased())"
    }
  }
}
