import ICEAgent
import Testing

@testable import UACore

@Suite("the servers of an account (RFC 7064, RFC 7065)") struct STUNServerTests {
  @Test(
    "test_stunuri: a server is read",
    arguments: [
      ("stun:192.0.2.1", "stun:192.0.2.1:3478", nil, nil),
      ("STUN:stun.example.org:19302", "stun:stun.example.org:19302", nil, nil),
      ("turn:bob@bob.com:se:cret@turn.example.org", "turn:turn.example.org:3478", "bob@bob.com", "se:cret"),
      ("turn://u:p@[2001:db8::1]:5000?transport=udp", "turn:[2001:db8::1]:5000", "u", "p"),
      ("stun:[2001:db8::1]", "stun:[2001:db8::1]:3478", nil, nil),
      ("turn:u:p@h?transport=tcp", "turn:h:3478?transport=tcp", "u", "p"),
      ("turns:h", "turns:h:5349", nil, nil),
      ("turn:1700000000%3Aalice:b%3f%40%25=@h", "turn:h:3478", "1700000000:alice", "b?@%="),
      ("turn:a%zz:100%@h", "turn:h:3478", "a%zz", "100%"),
      ("TURNS:[2001:db8::1]:443?transport=TCP", "turns:[2001:db8::1]:443", nil, nil),
    ] as [(String, String, String?, String?)])
  func read(text: String, shown: String, user: String?, password: String?) throws {
    let server = try STUNServerURI(text)
    #expect(server.description == shown && server.user == user && server.password?.unredacted == password)
  }

  @Test(
    "what is no server, or none that is asked, is refused without repeating it",
    arguments: [
      "", "192.0.2.1", "http:192.0.2.1", "stun:", "stun:host:0", "stun:host:99999", "stuns:u:hunter2@host",
      "turn:u:hunter2@host?transport=sctp", "turns:u:hunter2@host?transport=udp", "stun:u:hunter2@host?transport=tcp",
      "turn:u:hunter2@ho st",
    ])
  func refused(text: String) {
    do throws(STUNServerURI.Refusal) {
      Issue.record("\(try STUNServerURI(text))")
    } catch { #expect(!error.message.contains("hunter2") && error.message.count > 10) }
  }

  @Test("an account's user and password are for servers whose URI has none")
  func account() throws {
    var problems: [ConfigProblem] = []
    let account = try #require(
      AccountsFile.parse(
        line: "<sip:u@h>;stunserver=\"stun:a.example,turn:x:y@b.example,turn:c.example\";stunuser=bob;stunpass=hunter2",
        configuration: Configuration(), modules: [], problems: &problems))
    let servers = CallSettings(account: account, configuration: Configuration()).natServers
    #expect(
      problems.isEmpty
        && servers.map(\.description) == ["stun:a.example:3478", "turn:b.example:3478", "turn:c.example:3478"])
    #expect(servers.map(\.user) == ["bob", "x", "bob"])
    var text = ""
    dump(servers, to: &text)
    #expect(!text.contains("hunter2"))
  }
}
