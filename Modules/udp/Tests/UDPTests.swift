import Glibc
import Handoff
import ModuleKit
import NetBase
import Runtime
import Testing
import udp

@Suite("udp") struct UDPTests {
  private let loopback = SocketAddress(ipv4: 0x7F00_0001, port: 0)

  @Test("the module brings one transport for media, confined to its owner")
  func facets() {
    let facets = UDP(settings: ModuleSettings(keys: [])).facets
    #expect(facets.count == 1 && facets[0].kind == "media transport" && facets[0].safety == .confined)
    #expect(UDP.name == "udp" && UDP.configKeys.isEmpty)
  }

  @Test("a taken port is a sentence that says what to change")
  func takenPort() throws {
    let port = try UDPTransport().open(self.loopback, typeOfService: 0)
    let address = port.localAddress
    do throws(ModuleError) {
      _ = try UDPTransport().open(address, typeOfService: 0)
      Issue.record("opened twice")
    } catch {
      #expect(error.kind == .unavailable)
      #expect(
        error.message
          == "module udp: cannot open a media socket on \(address): address already in use: choose other rtp_ports")
    }
  }

  @Test("a process without descriptors is told so, whatever the port")
  func outOfDescriptors() async {
    await #expect(processExitsWith: .exitCode(42)) {
      var limit = rlimit()
      guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(2) }
      limit.rlim_cur = 0
      guard unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { _exit(3) }
      do throws(ModuleError) {
        _ = try UDPTransport().open(SocketAddress(ipv4: 0x7F00_0001, port: 0), typeOfService: 0)
        _exit(1)
      } catch {
        _exit(error.kind == .exhausted && error.message.contains("raise the limit (ulimit -n)") ? 42 : 4)
      }
    }
  }

  @Test("a port is free again when its owner lets go")
  func released() throws {
    var address = self.loopback
    for _ in 0..<200 { address = try UDPTransport().open(address, typeOfService: 0).localAddress }
    #expect(address.port != 0)
  }

  @Test("datagrams cross between loops, until a port is detached", arguments: ["127.0.0.1", "::1"])
  func crossing(host: String) throws {
    let address = try #require(SocketAddress(host: host, port: 0))
    let heard = Locked<[(SocketAddress, Int)]>([])
    let receiver = try UDPTransport().open(address, typeOfService: 0xB8)
    let sender = try UDPTransport().open(address, typeOfService: 0)
    let (target, source) = (receiver.localAddress, sender.localAddress)
    let loop = EventLoop.start(name: "media")
    let box = LoopBound<any DatagramPort>(on: loop)
    let parcel = Locked<Disconnected<any DatagramPort>?>(Disconnected(receiver))
    loop.execute { context in
      guard let port = parcel.withLock({ $0.take() })?.take() else { return }
      box.put(port)
      port.attach(to: context) { [unowned port] in
        #expect(loop.isCurrent)
        port.fill(context.batch)
        for index in 0..<context.batch.count {
          let entry = (context.batch.source(index), context.batch.withPacket(index) { $0.count })
          heard.withLock { $0.append(entry) }
        }
      }
    }
    _ = loop.sync { _ in }
    for size in 1...200 {
      let result = [UInt8](repeating: 1, count: size).withRawSpan { sender.send($0, to: target) }
      #expect(result == .sent)
    }
    for _ in 0..<2000 where heard.withLock({ $0.count }) < 200 { usleep(1000) }
    #expect(heard.withLock { $0.map(\.1) } == Array(1...200))
    #expect(heard.withLock { $0.allSatisfy { $0.0 == source } })
    _ = loop.sync { context in _ = box.withValue { $0.detach(from: context) } }
    _ = [UInt8](repeating: 1, count: 9).withRawSpan { sender.send($0, to: target) }
    usleep(20_000)
    #expect(heard.withLock { $0.count } == 200)
    _ = loop.sync { _ in _ = box.take() }
    loop.stop()
  }

  @Test("a port that is asked to notes when each datagram came")
  func arrivals() throws {
    let receiver = try UDPTransport().open(self.loopback, typeOfService: 0)
    let sender = try UDPTransport().open(self.loopback, typeOfService: 0)
    let target = receiver.localAddress
    let loop = EventLoop.start(name: "media")
    let parcel = Locked<Disconnected<any DatagramPort>?>(Disconnected(receiver))
    let box = LoopBound<any DatagramPort>(on: loop)
    let heard = Locked<[Int64?]>([])
    loop.execute { context in
      guard let port = parcel.withLock({ $0.take() })?.take() else { return }
      box.put(port)
      port.stampArrivals(in: context)
      port.attach(to: context) { [unowned port] in
        port.fill(context.batch)
        for index in 0..<context.batch.count {
          let time = context.batch.arrival(index)
          heard.withLock { $0.append(time) }
        }
      }
    }
    _ = loop.sync { _ in }
    usleep(50_000)
    let before = wallClockNanoseconds()
    _ = [UInt8](repeating: 1, count: 160).withRawSpan { sender.send($0, to: target) }
    for _ in 0..<2000 where heard.withLock({ $0.isEmpty }) { usleep(1000) }
    let time = try #require(heard.withLock { $0.first ?? nil })
    #expect(abs(time - before) < 1_000_000_000)
    _ = loop.sync { context in _ = box.withValue { $0.detach(from: context) } }
    _ = loop.sync { _ in _ = box.take() }
    loop.stop()
  }

  @Test("a port where nothing listens is no error for media")
  func gone() throws {
    let sender = try UDPTransport().open(self.loopback, typeOfService: 0)
    let target = try UDPTransport().open(self.loopback, typeOfService: 0).localAddress
    for _ in 0..<5 {
      let result = [UInt8](repeating: 1, count: 9).withRawSpan { sender.send($0, to: target) }
      #expect(result == .sent)
      usleep(1000)
    }
  }
}
