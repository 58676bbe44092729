import ModuleKit
import Testing
import dns

#if CAres
  import NetBase
  import SIPStack
#endif

@Suite("dns") struct DNSTests {
  @Test("the module brings a name resolver where c-ares is built in, and nothing where it is not")
  func facets() throws {
    let facets = try DNS(settings: ModuleSettings(keys: [])).facets
    #if CAres
      #expect(facets.map(\.kind) == ["name resolver"] && facets[0].safety == .concurrent)
      #expect(!facets[0].isOnMediaPath && DNS.libraryVersion?.hasPrefix("c-ares 1.") == true)
    #else
      #expect(facets.isEmpty && DNS.libraryVersion == nil)
    #endif
  }

  #if CAres
    static func ask(_ question: DNSQuestion, _ servers: [SocketAddress]) async throws -> DNSAnswer {
      let resolver = try CAresProvider().makeResolver(servers: servers, fallbacks: [])
      return await withCheckedContinuation { continuation in
        resolver.resolve(question) { continuation.resume(returning: $0) }
      }
    }

    @Test("every kind of record comes back as it stands in the zone")
    func records() async throws {
      let server = try NameServer()
      #expect(
        try await Self.ask(.srv("_sip._tcp.example.test"), [server.address])
          == .srv([
            SRVRecord(priority: 10, weight: 60, port: 5060, target: "one.example.test"),
            SRVRecord(priority: 20, weight: 0, port: 5070, target: "two.example.test"),
          ]))
      #expect(
        try await Self.ask(.naptr("example.test"), [server.address])
          == .naptr([
            NAPTRRecord(
              order: 50, preference: 50, flags: "s", service: "SIP+D2T", replacement: "_sip._tcp.example.test")
          ]))
      #expect(
        try await Self.ask(.a("one.example.test"), [server.address])
          == .addresses([SocketAddress(ipv4: 0xC000_0201, port: 0)]))
      #expect(
        try await Self.ask(.aaaa("one.example.test"), [server.address])
          == .addresses([SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 0)]))
    }

    @Test("a name that is not there is nothing; a server that refuses is a failure")
    func nothing() async throws {
      let server = try NameServer()
      #expect(try await Self.ask(.srv("_sip._udp.example.test"), [server.address]) == .nothing)
      #expect(try await Self.ask(.a("nowhere.test"), [server.address]) == .nothing)
      guard case .failed = try await Self.ask(.srv("refused.test"), [server.address]) else {
        Issue.record("a refusal is no answer")
        return
      }
    }

    @Test("a server that is not there is passed over for the next")
    func nextServer() async throws {
      let server = try NameServer()
      let gone = try NameServer().address
      let answer = try await Self.ask(.a("one.example.test"), [gone, server.address])
      #expect(answer == .addresses([SocketAddress(ipv4: 0xC000_0201, port: 0)]))
    }

    @Test("names of the hosts file need no server")
    func hostsFile() async throws {
      let gone = try NameServer().address
      #expect(
        try await Self.ask(.a("localhost"), [gone]) == .addresses([SocketAddress(ipv4: 0x7F00_0001, port: 0)]))
    }

    @Test("many questions at the same time have their own answers each")
    func manyAtOnce() async throws {
      let server = try NameServer()
      let resolver = try CAresProvider().makeResolver(servers: [server.address], fallbacks: [])
      let questions: [(DNSQuestion, DNSAnswer)] = [
        (.a("one.example.test"), .addresses([SocketAddress(ipv4: 0xC000_0201, port: 0)])),
        (.a("nowhere.test"), .nothing),
        (.aaaa("one.example.test"), .addresses([SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 0)])),
      ]
      await withTaskGroup(of: Bool.self) { group in
        for number in 0..<60 {
          let (question, expected) = questions[number % 3]
          group.addTask {
            await withCheckedContinuation { continuation in
              resolver.resolve(question) { continuation.resume(returning: $0 == expected) }
            }
          }
        }
        for await isRight in group { #expect(isRight) }
      }
    }
  #endif
}
