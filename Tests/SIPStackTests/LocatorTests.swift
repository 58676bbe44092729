internal import NetBase
internal import SIPStack
internal import Testing

@Suite("Finding servers (RFC 3263)")
struct LocatorTests {
  typealias Zone = [DNSQuestion: DNSAnswer]

  static func address(_ host: String, _ port: UInt16 = 0) -> SocketAddress {
    guard let address = SocketAddress(host: host, port: port) else { preconditionFailure("not an address: \(host)") }
    return address
  }

  /// The end of a search in `zone`, and the questions that it asked.
  static func locate(
    _ uri: String, _ zone: Zone = [:], available: [SIPTransportKind] = [.udp, .tcp, .tls],
    families: SIPLocator.Families = .ipv6First, seed: UInt64 = 1
  ) -> (end: SIPLocator.Step, asked: [DNSQuestion]) {
    var locator = SIPLocator(
      uri: Pair.uri(uri), available: available, families: families, generator: SeededGenerator(seed: seed))
    var asked: [DNSQuestion] = []
    var open: [DNSQuestion] = []
    var step = locator.start()
    while true {
      guard case .ask(let questions) = step else { return (step, asked) }
      asked += questions
      open += questions
      guard !open.isEmpty else { return (step, asked) }
      // The newest first: answers come in any order.
      let question = open.removeLast()
      step = locator.receive(zone[question] ?? .nothing, to: question)
    }
  }

  static func text(_ step: SIPLocator.Step) -> [String] {
    switch step {
    case .located(let targets):
      targets.map { "\($0.transport.name) \($0.address)\($0.serverName.map { " \($0)" } ?? "")" }
    case .failed(let failure): ["\(failure)"]
    case .ask: ["never ends"]
    }
  }

  static let full: Zone = [
    .naptr("example.com"): .naptr([
      NAPTRRecord(order: 50, preference: 50, flags: "s", service: "SIPS+D2T", replacement: "_sips._tcp.example.com"),
      NAPTRRecord(order: 100, preference: 50, flags: "S", service: "sip+d2u", replacement: "_sip._udp.example.com"),
      NAPTRRecord(order: 90, preference: 50, flags: "s", service: "SIP+D2T", replacement: "_sip._tcp.example.com"),
      NAPTRRecord(order: 10, preference: 1, flags: "u", service: "E2U+sip", replacement: ""),
    ]),
    .srv("_sips._tcp.example.com"): .srv([SRVRecord(priority: 1, weight: 0, port: 5061, target: "s1.example.com")]),
    .srv("_sip._tcp.example.com"): .srv([SRVRecord(priority: 1, weight: 0, port: 5070, target: "s2.example.com")]),
    .srv("_sip._udp.example.com"): .srv([
      SRVRecord(priority: 2, weight: 0, port: 5062, target: "s2.example.com"),
      SRVRecord(priority: 1, weight: 0, port: 5060, target: "s1.example.com"),
    ]),
    .a("s1.example.com"): .addresses([address("192.0.2.1")]),
    .aaaa("s1.example.com"): .addresses([address("2001:db8::1")]),
    .a("s2.example.com"): .addresses([address("192.0.2.2"), address("192.0.2.3")]),
    .a("example.com"): .addresses([address("192.0.2.9")]),
  ]

  @Test(
    "each kind of URI finds its targets in order",
    arguments: [
      ("sip:192.0.2.7", ["udp 192.0.2.7:5060"]),
      ("sip:bob@192.0.2.7:5070;transport=tcp", ["tcp 192.0.2.7:5070"]),
      ("sip:[2001:db8::7]", ["udp [2001:db8::7]:5060"]),
      ("sips:192.0.2.7", ["tls 192.0.2.7:5061"]),
      ("sip:192.0.2.7;transport=tls", ["tls 192.0.2.7:5061"]),
      ("sips:192.0.2.7;transport=tcp", ["tls 192.0.2.7:5061"]),
      ("sip:example.com:5099", ["udp 192.0.2.9:5099 example.com"]),
      (
        "sip:example.com;transport=udp",
        [
          "udp [2001:db8::1]:5060 example.com", "udp 192.0.2.1:5060 example.com", "udp 192.0.2.2:5062 example.com",
          "udp 192.0.2.3:5062 example.com",
        ]
      ),
      (
        "sip:example.com",
        [
          "tls [2001:db8::1]:5061 example.com", "tls 192.0.2.1:5061 example.com", "tcp 192.0.2.2:5070 example.com",
          "tcp 192.0.2.3:5070 example.com", "udp [2001:db8::1]:5060 example.com", "udp 192.0.2.1:5060 example.com",
          "udp 192.0.2.2:5062 example.com", "udp 192.0.2.3:5062 example.com",
        ]
      ),
      ("sips:example.com", ["tls [2001:db8::1]:5061 example.com", "tls 192.0.2.1:5061 example.com"]),
      ("sip:example.com;maddr=192.0.2.8", ["udp 192.0.2.8:5060"]),
      ("sip:example.com;transport=ws", ["transport ws is not active"]),
      ("sip:example.com;transport=sctp", ["transport sctp is unknown"]),
      ("sips:example.com;transport=udp", ["transport udp for sips is not active"]),
      ("sip:nowhere.example.com", ["nowhere.example.com has no address"]),
      ("tel:+15550100", ["tel:+15550100 is not a SIP URI with a host"]),
    ] as [(String, [String])])
  func targets(uri: String, expected: [String]) {
    #expect(Self.text(Self.locate(uri, Self.full).end) == expected)
  }

  @Test("without NAPTR and SRV the host's own addresses are used")
  func plainHost() {
    let zone: Zone = [.a("pbx.example.com"): .addresses([Self.address("192.0.2.5")])]
    let (end, asked) = Self.locate("sip:pbx.example.com", zone)
    #expect(Self.text(end) == ["udp 192.0.2.5:5060 pbx.example.com"])
    #expect(
      asked == [
        .naptr("pbx.example.com"), .srv("_sip._udp.pbx.example.com"), .srv("_sip._tcp.pbx.example.com"),
        .aaaa("pbx.example.com"), .a("pbx.example.com"),
      ])
    #expect(
      Self.text(Self.locate("sip:pbx.example.com;transport=wss", zone, available: [.wss]).end)
        == ["wss 192.0.2.5:443 pbx.example.com"])
  }

  @Test("families are asked for and ordered as configured")
  func families() {
    #expect(
      Self.text(Self.locate("sip:example.com;transport=tls", Self.full, families: .ipv4First).end)
        == ["tls 192.0.2.1:5061 example.com", "tls [2001:db8::1]:5061 example.com"])
    let four = Self.locate("sip:example.com;transport=tls", Self.full, families: .ipv4Only)
    #expect(Self.text(four.end) == ["tls 192.0.2.1:5061 example.com"])
    #expect(!four.asked.contains(.aaaa("s1.example.com")))
  }

  @Test("a numeric host asks nothing, an explicit port no SRV")
  func questions() {
    #expect(Self.locate("sip:192.0.2.1").asked.isEmpty)
    #expect(Self.locate("sip:h.example:5062").asked == [.aaaa("h.example"), .a("h.example")])
  }

  @Test("DNS that does not answer is told apart from a name without addresses")
  func noAnswer() {
    let zone: Zone = [.a("h.example"): .failed("timeout"), .aaaa("h.example"): .failed("timeout")]
    #expect(
      Self.locate("sip:h.example:5060", zone).end
        == .failed(.noAnswer("h.example", reason: "timeout")))
  }

  @Test("weights decide how often a server of one priority comes first (RFC 2782)")
  func weights() {
    var first: [String: Int] = [:]
    let records: Zone = [
      .srv("_sip._udp.example.com"): .srv([
        SRVRecord(priority: 1, weight: 75, port: 5060, target: "192.0.2.1"),
        SRVRecord(priority: 1, weight: 25, port: 5060, target: "192.0.2.2"),
        SRVRecord(priority: 0, weight: 0, port: 5060, target: "192.0.2.3"),
      ])
    ]
    for seed in 0..<400 {
      let end = Self.locate("sip:example.com;transport=udp", records, seed: UInt64(seed)).end
      guard case .located(let targets) = end, targets.count == 3 else {
        Issue.record("\(end)")
        return
      }
      #expect(targets[0].address.host == "192.0.2.3", "the lower priority number is always first")
      first[targets[1].address.host, default: 0] += 1
    }
    #expect((260...340).contains(first["192.0.2.1"] ?? 0), "75 of 100: \(first)")
    #expect(
      Self.locate("sip:example.com;transport=udp", records, seed: 3).end
        == Self.locate("sip:example.com;transport=udp", records, seed: 3).end)
  }
}
