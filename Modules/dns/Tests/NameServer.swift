#if CAres
  import Glibc
  import NetBase
  import Runtime
  import Testing

  /// A name server on loopback with one small zone; it answers as long as it lives.
  final class NameServer: Sendable {
    let address: SocketAddress
    private let loop = EventLoop.start(name: "dns")
    private let core: LoopBound<Core>

    init() throws {
      let core = LoopBound<Core>(on: self.loop)
      self.core = core
      let address = self.loop.sync { context -> SocketAddress? in
        guard let one = try? Core(context) else { return nil }
        core.put(one)
        return one.socket.localAddress
      }
      self.address = try #require(address ?? nil)
    }

    /// The socket, on its loop.
    private final class Core {
      let socket: UDPSocket
      private let context: LoopContext

      init(_ context: LoopContext) throws {
        self.socket = try UDPSocket(SocketAddress(ipv4: 0x7F00_0001, port: 0))
        self.context = context
        _ = context.watch(self.socket.descriptor) { [unowned self] in self.receive() }
      }

      private func receive() {
        self.context.batch.fill(from: self.socket)
        for index in 0..<self.context.batch.count {
          let source = self.context.batch.source(index)
          var question: [UInt8] = []
          self.context.batch.withPacket(index) { question = $0.bytes.copied() }
          NameServer.answer(question).withRawSpan { _ = self.socket.send($0, to: source) }
        }
      }
    }

    deinit {
      let core = self.core
      self.loop.sync { _ in _ = core.take() }
      self.loop.stop()
    }

    private static func name(_ text: String) -> [UInt8] {
      text.split(separator: ".").flatMap { [UInt8($0.utf8.count)] + Array($0.utf8) } + [0]
    }

    private static func text(_ value: String) -> [UInt8] { [UInt8(value.utf8.count)] + Array(value.utf8) }

    private static func word(_ value: Int) -> [UInt8] { [UInt8(value >> 8 & 255), UInt8(value & 255)] }

    /// The records of a name and type.
    private static func records(_ name: String, _ type: Int) -> [[UInt8]] {
      switch (name, type) {
      case ("_sip._tcp.example.test", 33):
        [
          word(10) + word(60) + word(5060) + self.name("one.example.test"),
          word(20) + word(0) + word(5070) + self.name("two.example.test"),
        ]
      case ("example.test", 35):
        [word(50) + word(50) + text("s") + text("SIP+D2T") + text("") + self.name("_sip._tcp.example.test")]
      case ("one.example.test", 1): [[192, 0, 2, 1]]
      case ("one.example.test", 28): [[0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]
      default: []
      }
    }

    /// RFC 1035 §4.
    private static func answer(_ query: [UInt8]) -> [UInt8] {
      guard query.count > 17 else { return [] }
      var (labels, position): ([String], Int) = ([], 12)
      while query[position] != 0 {
        let end = position + 1 + Int(query[position])
        guard end < query.count else { return [] }
        labels.append(String(decoding: query[(position + 1)..<end], as: UTF8.self))
        position = end
      }
      let name = labels.joined(separator: ".").lowercased()
      let type = Int(query[position + 1]) << 8 | Int(query[position + 2])
      let records = Self.records(name, type)
      let exists = name.hasSuffix("example.test")
      let code: UInt8 = name == "refused.test" ? 5 : exists ? 0 : 3
      var reply = Array(query[0..<2]) + [0x85, 0x80 | code] + word(1) + word(records.count) + word(0) + word(0)
      reply += query[12..<(position + 5)]
      for record in records {
        reply += [0xC0, 12] + word(type) + word(1) + [0, 0, 0, 60] + word(record.count) + record
      }
      return reply
    }
  }
#endif
