internal import ModuleKit
internal import NetBase
internal import Runtime

/// One connection: commands in, answers and events out. Lives on main.
final class ControlClient {
  /// Bytes that may wait for a client that does not read.
  static let maximumBacklog = 1 << 20
  /// Milliseconds until the kernel is asked again whether it takes more.
  private static let retry: Int64 = 20

  private let socket: TCPSocket
  private let loop: LoopContext
  private unowned let host: any ApplicationHost
  private var watch: WatchID?
  private var reader = NetstringReader()
  private var backlog: [UInt8] = []
  private var isWaiting = false
  private(set) var isClosed = false

  init(_ socket: TCPSocket, on loop: LoopContext, host: any ApplicationHost) {
    self.socket = socket
    self.loop = loop
    self.host = host
    self.watch = loop.watch(socket.descriptor) { [unowned self] in self.receive() }
  }

  /// Sends, or keeps until the kernel takes it; too much of it ends the connection.
  func send(_ bytes: [UInt8]) {
    guard !self.isClosed else { return }
    guard self.backlog.count + bytes.count <= Self.maximumBacklog else { return self.close() }
    self.backlog += bytes
    if !self.isWaiting { self.flush() }
  }

  func close() {
    guard !self.isClosed else { return }
    self.isClosed = true
    if let watch { self.loop.unwatch(watch, self.socket.descriptor) }
    self.watch = nil
    self.socket.close()
  }

  private func flush() {
    var sent = 0
    while sent < self.backlog.count {
      switch self.socket.send(self.backlog[sent...]) {
      case .some(let count): sent += count
      case .none: return self.close()
      }
      if sent < self.backlog.count, !self.socket.isWritable { break }
    }
    self.backlog.removeFirst(sent)
    self.isWaiting = !self.backlog.isEmpty
    guard self.isWaiting else { return }
    self.loop.schedule(at: self.loop.now.advanced(byMilliseconds: Self.retry)) { [weak self] in
      guard let self, !self.isClosed else { return }
      self.flush()
    }
  }

  private func receive() {
    // One read a turn: a client that floods does not hold up the loop.
    guard let bytes = self.socket.receive() else { return self.close() }
    self.reader.append(bytes)
    do throws(NetstringReader.Failure) {
      while !self.isClosed, let text = try self.reader.next() { self.execute(text) }
    } catch {
      self.answer(CommandResult(isOK: false, text: error.rawValue), token: nil)
      self.close()
    }
  }

  private func execute(_ text: [UInt8]) {
    let request: JSON
    do throws(JSON.Malformed) { request = try JSON(parsing: text) } catch {
      self.answer(CommandResult(isOK: false, text: "no JSON: \(error) at byte \(error.offset)"), token: nil)
      return self.close()
    }
    let token = request["token"]?.text
    guard let command = request["command"]?.text else {
      return self.answer(CommandResult(isOK: false, text: "the command is missing"), token: token)
    }
    // A name with its parameters behind it is taken, too.
    let words = command.split(separator: " ", maxSplits: 1)
    let parameters = request["params"]?.text ?? (words.count > 1 ? String(words[1]) : "")
    let name = words.first.map { $0.hasPrefix("/") ? $0.dropFirst() : $0 } ?? ""
    self.answer(self.host.execute(command: String(name), parameters: parameters), token: token)
  }

  /// What a command prints: whole lines, by which programs find their end.
  private static func lines(_ text: String) -> String { text.isEmpty || text.last == "\n" ? text : "\(text)\n" }

  private func answer(_ result: CommandResult, token: String?) {
    var members = [
      JSON.Member(key: "response", value: true), JSON.Member(key: "ok", value: .bool(result.isOK)),
      JSON.Member(key: "data", value: .string(Self.lines(result.text))),
    ]
    if let token { members.append(JSON.Member(key: "token", value: .string(token))) }
    self.send(NetstringReader.wrapped(JSON.object(members).compact))
  }
}
