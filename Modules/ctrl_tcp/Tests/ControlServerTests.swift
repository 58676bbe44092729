internal import Glibc
internal import Handoff
internal import ModuleKit
internal import NetBase
internal import Runtime
internal import Testing

@testable internal import ctrl_tcp

/// The control port with real sockets.
@Suite struct ControlServerTests {
  private final class Host: ApplicationHost {
    let log: Locked<[String]>
    init(_ log: Locked<[String]>) { self.log = log }

    func execute(command name: String, parameters: String) -> CommandResult {
      self.log.withLock { $0.append("\(name)|\(parameters)") }
      return CommandResult(
        isOK: name != "fail", text: name == "big" ? String(repeating: "x", count: 60_000) : "did \(name)")
    }

    func warn(_ text: String) { self.log.withLock { $0.append("warning: \(text)") } }

    var main: EventLoop { preconditionFailure("the control port has no thread of its own") }
    var callReports: [(call: UInt64, report: JSON)] { [] }
    var hasCalls: Bool { false }
    func tell(_ kind: AgentNotice.Kind, of stream: StreamID, parameter: String) {}
    func dial(_ typed: String, sound: CallSound, then: @escaping (Result<UInt64, CommandFailure>) -> Void) {}
    func answer(
      _ offer: [UInt8], from peer: String, sound: CallSound?,
      then: @escaping (Result<AnsweredCall, ModuleError>) -> Void
    ) {}
    func answerAgain(_ offer: [UInt8], in call: UInt64, then: @escaping (Result<[UInt8], ModuleError>) -> Void) {}
    func isOpen(_ call: UInt64) -> Bool { false }
    func hangUp(_ call: UInt64) {}
  }

  /// A server on a loop of its own.
  private final class Running {
    let loop = EventLoop.start(name: "control")
    let log = Locked<[String]>([])
    let port: UInt16
    private let server: LoopBound<ServerBox>

    /// The server holds its host unowned.
    private final class ServerBox {
      let server: ControlServer
      let host: Host

      init(_ listen: SocketAddress, _ context: LoopContext, _ log: Locked<[String]>) throws(ModuleError) {
        self.host = Host(log)
        self.server = try ControlServer(listen: listen, on: context, host: self.host)
      }
    }

    init(listen: String = "127.0.0.1:0") throws {
      let (log, loop) = (self.log, self.loop)
      let bound = LoopBound<ServerBox>(on: loop)
      self.server = bound
      let address = SocketAddress(listen, defaultPort: 0) ?? SocketAddress(ipv4: 0, port: 0)
      let result = loop.sync { context -> Result<UInt16, ModuleError> in
        do throws(ModuleError) {
          let box = try ServerBox(address, context, log)
          bound.put(box)
          return .success(box.server.address.port)
        } catch { return .failure(error) }
      }
      self.port = try #require(result).get()
    }

    func take(_ notice: AgentNotice) {
      let server = self.server
      _ = self.loop.sync { _ in
        server.withValue { $0.server.take(notice) }
        return true
      }
    }

    func stop() {
      let server = self.server
      _ = self.loop.sync { _ in
        server.take()?.server.stop()
        return true
      }
      self.loop.stop()
    }
  }

  /// A blocking client with a time limit.
  private struct Client {
    let descriptor: Int32

    init(port: UInt16) throws {
      self.descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      var limit = timeval(tv_sec: 10, tv_usec: 0)
      unsafe setsockopt(self.descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      let status = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          unsafe connect(self.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
      }
      try #require(status == 0)
    }

    func send(_ text: String) {
      let bytes = Array(text.utf8)
      _ = unsafe bytes.withUnsafeBytes { unsafe Glibc.send(self.descriptor, $0.baseAddress, $0.count, 0x4000) }
    }

    /// Netstrings until there are so many, or the peer closes; nil in the end when it closed.
    func receive(_ count: Int) throws -> [String] {
      var reader = NetstringReader()
      var found: [String] = []
      while found.count < count {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let size = unsafe bytes.withUnsafeMutableBytes { unsafe recv(self.descriptor, $0.baseAddress, $0.count, 0) }
        guard size > 0 else { return found + ["closed"] }
        reader.append(bytes[..<size])
        while let next = try reader.next() { found.append(String(decoding: next, as: UTF8.self)) }
      }
      return found
    }
  }

  @Test("commands are carried out in order, each answered with its token")
  func commands() throws {
    let running = try Running()
    defer { running.stop() }
    let client = try Client(port: running.port)
    defer { close(client.descriptor) }
    let first = #"{"command":"dial","params":"sip:bob@example.com","token":"t1"}"#
    let second = #"{"command":"fail"}"#
    client.send("\(first.utf8.count):\(first),\(second.utf8.count):\(second),")
    #expect(
      try client.receive(2) == [
        #"{"response":true,"ok":true,"data":"did dial\n","token":"t1"}"#,
        #"{"response":true,"ok":false,"data":"did fail\n"}"#,
      ])
    #expect(running.log.withLock { $0 } == ["dial|sip:bob@example.com", "fail|"])
  }

  /// baresip's, in the order of its source.
  private static let events = """
    REGISTERING REGISTER_OK REGISTER_FAIL UNREGISTERING FALLBACK_OK FALLBACK_FAIL MWI_NOTIFY CREATE SHUTDOWN EXIT \
    SIPSESS_CONN SIPSESS_FAILED CALL_INCOMING CALL_OUTGOING CALL_RINGING CALL_PROGRESS CALL_ANSWERED CALL_ESTABLISHED \
    CALL_CLOSED TRANSFER TRANSFER_FAILED CALL_REDIRECT CALL_DTMF_START CALL_DTMF_END CALL_RTPESTAB CALL_RTCP CALL_MENC \
    VU_TX_REPORT VU_RX_REPORT AUDIO_ERROR CALL_LOCAL_SDP CALL_REMOTE_SDP CALL_HOLD CALL_RESUME REFER MODULE END_OF_FILE \
    CUSTOM
    """.split(separator: " ").map(String.init)

  @Test("the README has every event of baresip's: those that are sent with their class, the others with a reason")
  func documentedEvents() throws {
    let root = #filePath.split(separator: "/").dropLast(2).reduce("") { $0 + "/" + $1 }
    guard let file = unsafe fopen("\(root)/README.md", "r") else { throw ModuleError(.noInput, "no README") }
    defer { unsafe fclose(file) }
    let bytes = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
      count = unsafe fread(buffer.baseAddress, 1, 1 << 16, file)
    }
    let rows = String(decoding: bytes, as: UTF8.self).split(separator: "\n").compactMap { line -> [String]? in
      let cells = line.split(separator: "|").map { $0.filter { $0 != "`" }.drop { $0 == " " } }
      guard cells.count == 3, cells[0].first?.isUppercase == true else { return nil }
      return cells.map { String($0.reversed().drop { $0 == " " }.reversed()) }
    }
    #expect(rows.map { $0[0] } == Self.events)
    for row in rows {
      let kind = AgentNotice.Kind(rawValue: row[0])
      #expect(row[1] == kind?.className ?? "" && row[2].hasPrefix("not sent: ") == (kind == nil), "\(row)")
    }
    let others = AgentNotice.Kind.allCases.map(\.rawValue).filter { !Self.events.contains($0) }
    #expect(others == ["MESSAGE"])
  }

  @Test("test_bevent_register: every client sees every event; one that is gone disturbs nobody")
  func events() throws {
    let running = try Running()
    defer { running.stop() }
    let (first, second) = (try Client(port: running.port), try Client(port: running.port))
    defer { close(second.descriptor) }
    for client in [first, second] {
      client.send(#"18:{"command":"help"},"#)
      #expect(try client.receive(1).first?.contains("did help") == true)
    }
    var notice = AgentNotice(.callClosed, account: "sip:alice@example.com", parameter: "486 Busy Here")
    notice.call = AgentNotice.Call(
      isOutgoing: true, peerURI: "sip:bob@example.com", peerName: "Bob", id: "abc", remoteDirection: "sendrecv",
      localDirection: "sendrecv", direction: "sendrecv", diverter: nil)
    running.take(notice)
    let expected =
      #"{"event":true,"class":"call","type":"CALL_CLOSED","accountaor":"sip:alice@example.com","#
      + #""direction":"outgoing","peeruri":"sip:bob@example.com","peerdisplayname":"Bob","id":"abc","#
      + #""remoteaudiodir":"sendrecv","remotevideodir":"inactive","audiodir":"sendrecv","videodir":"inactive","#
      + #""localaudiodir":"sendrecv","localvideodir":"inactive","param":"486 Busy Here"}"#
    #expect(try first.receive(1) == [expected] && second.receive(1) == [expected])
    close(first.descriptor)
    for _ in 0..<3 { running.take(notice) }
    #expect(try second.receive(3) == [expected, expected, expected])
  }

  @Test(
    "what is no command ends the connection, after an answer that says why",
    arguments: ["nonsense", "3:abc,", "70000:", #"9:{"a":[1,2,"#])
  func refused(text: String) throws {
    let running = try Running()
    defer { running.stop() }
    let client = try Client(port: running.port)
    defer { close(client.descriptor) }
    client.send(text)
    let answers = try client.receive(2)
    #expect(answers.count == 2 && answers[0].contains("\"ok\":false") && answers[1] == "closed")
    #expect(running.log.withLock { $0 }.isEmpty)
  }

  @Test("a client that does not read is let go, and main goes on")
  func slow() throws {
    let running = try Running()
    defer { running.stop() }
    let client = try Client(port: running.port)
    defer { close(client.descriptor) }
    // 400 answers of 60 kB are more than the kernel's buffers and the backlog hold.
    for _ in 0..<400 { client.send(#"17:{"command":"big"},"#) }
    let other = try Client(port: running.port)
    defer { close(other.descriptor) }
    other.send(#"18:{"command":"help"},"#)
    #expect(try other.receive(1).first?.contains("did help") == true)
    // Nothing is read until the server has stopped working for it.
    var done = -1
    while case let count = running.log.withLock({ $0.count }), count != done {
      done = count
      usleep(500_000)
    }
    #expect(running.log.withLock { $0.count { $0 == "big|" } } < 400)
    let answers = try client.receive(400)
    #expect(answers.last == "closed" && answers.count < 400)
  }

  @Test("where no descriptor is left who connects waits, keeps main from nothing, and is served once there is one")
  func exhausted() async {
    await #expect(processExitsWith: .success) {
      let running = try Running()
      defer { running.stop() }
      var limit = rlimit()
      unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let (usual, last) = (limit.rlim_cur, dup(0))
      close(last)
      // The client takes the last one.
      limit.rlim_cur = rlim_t(last) + 1
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let client = try Client(port: running.port)
      let before = clock()
      usleep(500_000)
      #expect(clock() - before < 200_000, "µs of processor time in half a second")
      limit.rlim_cur = usual
      unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      client.send(#"18:{"command":"help"},"#)
      #expect(try client.receive(1).first?.contains("did help") == true)
    }
  }

  @Test("nine are too many clients")
  func clients() throws {
    let running = try Running()
    defer { running.stop() }
    let clients = try (0..<9).map { _ in try Client(port: running.port) }
    defer { for client in clients { close(client.descriptor) } }
    #expect(try clients[8].receive(1) == ["closed"])
    clients[7].send(#"18:{"command":"help"},"#)
    #expect(try clients[7].receive(1).first?.contains("did help") == true)
  }

  @Test("an address that is not this machine's own only is warned of")
  func warning() throws {
    #expect(
      CtrlTCPProvider(listen: SocketAddress(ipv4: 0, port: 4444)).warning
        == "ctrl_tcp_listen 0.0.0.0:4444: whoever reaches it has control of calls and accounts; "
        + "127.0.0.1:4444 keeps it on this machine")
    #expect(CtrlTCPProvider(listen: SocketAddress(ipv4: 0x7F00_0001, port: 4444)).warning == nil)
  }

  @Test("a port that is taken is one sentence with the line to change")
  func taken() throws {
    let running = try Running()
    defer { running.stop() }
    let error = #expect(throws: ModuleError.self) { _ = try Running(listen: "127.0.0.1:\(running.port)") }
    #expect(error?.message.contains("choose another ctrl_tcp_listen") == true)
  }

  @Test("an address that is not this machine's is one sentence with the line to change")
  func foreignAddress() throws {
    // Of the documentation's, so nobody's (RFC 5737).
    let error = #expect(throws: ModuleError.self) { _ = try Running(listen: "192.0.2.9:4444") }
    #expect(
      error?.message
        == "module ctrl_tcp: cannot listen on 192.0.2.9:4444: it is no address of this machine; "
        + "choose another ctrl_tcp_listen")
  }
}
