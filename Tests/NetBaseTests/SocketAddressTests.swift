import NetBase
import Testing

@Suite struct SocketAddressTests {
  @Test(
    "literals are read and written back",
    arguments: [
      ("192.0.2.1:5060", "192.0.2.1:5060"), ("[2001:db8::1]:80", "[2001:db8::1]:80"), ("[::1]:65535", "[::1]:65535"),
    ])
  func roundTrip(text: String, expected: String) throws {
    #expect(try #require(SocketAddress(text)).description == expected)
  }

  @Test("what is no address is refused", arguments: ["example.com:5060", "1.2.3.4", "1.2.3.4:99999", "[::1", ""])
  func refused(text: String) {
    #expect(SocketAddress(text) == nil)
  }

  @Test("loopback, multicast and unspecified addresses are told apart")
  func kinds() throws {
    #expect(try #require(SocketAddress(host: "127.0.0.1", port: 0)).isLoopback)
    #expect(try #require(SocketAddress(host: "::1", port: 0)).isLoopback)
    #expect(try #require(SocketAddress(host: "239.1.2.3", port: 0)).isMulticast)
    #expect(try #require(SocketAddress(host: "ff02::1", port: 0)).isMulticast)
    #expect(try #require(SocketAddress(host: "0.0.0.0", port: 9)).isUnspecified)
  }
}
