import ModuleKit
import NetBase
import Runtime
import Testing

@testable import UACore

/// At which addresses of a host media with checks has sockets beside its own.
@Suite("a host's further addresses") struct HostAddressesTests {
  private struct Host {
    var addresses: [(interface: String, host: String)] = [
      ("lo", "127.0.0.1"), ("eth0", "10.0.0.1"), ("eth0", "10.0.0.5"), ("eth0", "2001:db8::1"), ("eth0", "2001:db8::2"),
      ("eth0", "fe80::1"), ("wlan0", "10.1.0.1"), ("wlan0", "2001:db8:1::1"),
    ]
    var configuration = Configuration()
    var listen = SocketAddress(ipv4: 0, port: 0)
    var isTold = true

    func further(beside own: String, _ wanted: FurtherAddresses = .all) throws -> [String] {
      var settings = AgentSettings(available: [], configuration: self.configuration, listen: self.listen)
      let all = Set(
        try self.addresses.map { one in
          InterfaceAddress(interface: one.interface, address: try #require(SocketAddress(host: one.host, port: 0)))
        })
      if self.isTold { settings.hostAddresses = { all } }
      let own = try #require(SocketAddress(host: own, port: 4000))
      return HostAddresses(settings) { all }.further(beside: own, wanted).map(\.description)
    }
  }

  @Test("families take turns, the other one first, each interface has one before any has two, and four are enough")
  func order() throws {
    let host = Host()
    #expect(
      try host.further(beside: "10.0.0.1") == ["[2001:db8::1]:0", "10.1.0.1:0", "[2001:db8:1::1]:0", "10.0.0.5:0"])
    #expect(
      try host.further(beside: "2001:db8:1::1") == ["10.0.0.1:0", "[2001:db8::1]:0", "10.1.0.1:0", "[2001:db8::2]:0"])
    #expect(try host.further(beside: "10.0.0.1", .otherFamily) == ["[2001:db8::1]:0"])
  }

  @Test("a host with one address has no further ones, nor has media on loopback")
  func none() throws {
    var host = Host()
    #expect(try host.further(beside: "127.0.0.1").isEmpty)
    host.addresses = [("lo", "127.0.0.1"), ("lo", "::1"), ("eth0", "10.0.0.1"), ("eth0", "fe80::1")]
    host.addresses.append(("eth1", "169.254.7.1"))
    #expect(try host.further(beside: "10.0.0.1").isEmpty)
  }

  @Test("net_interface and net_af leave out what they don't allow")
  func allowed() throws {
    var host = Host()
    host.configuration.netAf = .ipv4
    #expect(try host.further(beside: "10.0.0.1") == ["10.1.0.1:0", "10.0.0.5:0"])
    host.configuration.netInterface = "eth0"
    #expect(try host.further(beside: "10.0.0.1") == ["10.0.0.5:0"])
    host.configuration.netInterface = "10.0.0.1"
    #expect(try host.further(beside: "10.0.0.1").isEmpty)
  }

  @Test("who listens at one address has that one only, whatever the host has")
  func listensAtOne() throws {
    var host = Host()
    host.isTold = false
    #expect(try host.further(beside: "10.0.0.1").count == 4, "it listens at all of them")
    host.listen = SocketAddress(ipv4: 0x0A00_0001, port: 5060)
    #expect(try host.further(beside: "10.0.0.1").isEmpty)
  }
}
