package import NetBase

/// Finds where a request for a URI goes: RFC 3263 as a machine that asks for DNS records and is told them.
///
/// Contract: `start()`, then `receive(_:to:)` once for each question that a step asked, in any order, until a step says
/// `located` or `failed`. A step `ask([])` waits for questions that were asked before.
package struct SIPLocator: Sendable {
  /// What comes next.
  package enum Step: Hashable, Sendable {
    /// Ask these; more may follow.
    case ask([DNSQuestion])
    /// The targets in the order in which they are tried; at least one.
    case located([SIPTarget])
    case failed(Failure)
  }

  /// Why there is no target.
  package enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Neither sip nor sips, or without a host.
    case notSIP(String)
    /// The URI names a transport that nobody has heard of.
    case unknownTransport(String)
    /// The URI wants a transport that is not active, or one that its scheme forbids.
    case unavailableTransport(String)
    /// DNS has no address for it.
    case noAddress(String)
    /// DNS did not answer.
    case noAnswer(String, reason: String)

    package var description: String {
      switch self {
      case .notSIP(let uri): "\(uri) is not a SIP URI with a host"
      case .unknownTransport(let name): "transport \(name) is unknown"
      case .unavailableTransport(let name): "transport \(name) is not active"
      case .noAddress(let host): "\(host) has no address"
      case .noAnswer(let host, let reason): "\(host) could not be looked up: \(reason)"
      }
    }
  }

  /// Which addresses are wanted, and which first.
  package struct Families: Hashable, Sendable {
    package var order: [SocketAddress.Family]
    /// Both, IPv6 first (RFC 6724's default; RFC 7984 §4).
    package static let ipv6First = Families(order: [.ipv6, .ipv4])
    package static let ipv4First = Families(order: [.ipv4, .ipv6])
    package static let ipv4Only = Families(order: [.ipv4])
    package static let ipv6Only = Families(order: [.ipv6])
    package init(order: [SocketAddress.Family]) { self.order = order }
  }

  /// A host whose addresses are wanted.
  private struct Host: Hashable {
    var name: String
    var port: UInt16
    var transport: SIPTransportKind
  }

  private let uri: SIPURI
  private let available: [SIPTransportKind]
  private let families: Families
  private var generator: SeededGenerator
  /// What was asked, and the answer once it is there.
  private var asked: [DNSQuestion: DNSAnswer?] = [:]

  /// - Parameters:
  ///   - uri: where the request goes: the first Route, the outbound proxy, or the request URI.
  ///   - available: the transports that are active, the preferred first; it decides where DNS does not.
  ///   - generator: chooses among servers by weight.
  package init(
    uri: SIPURI, available: [SIPTransportKind], families: Families = .ipv6First, generator: SeededGenerator
  ) {
    (self.uri, self.available, self.families, self.generator) = (uri, available, families, generator)
  }

  /// The first step; a numeric host is located at once.
  package mutating func start() -> Step { self.advance() }

  /// The answer to a question of this locator; others are ignored.
  package mutating func receive(_ answer: DNSAnswer, to question: DNSQuestion) -> Step {
    if case .some(nil) = self.asked[question] { self.asked[question] = .some(answer) }
    return self.advance()
  }

  /// Whether every question has its answer.
  private var isAnswered: Bool { self.asked.values.allSatisfy { $0 != nil } }

  /// The answer to a question; nil asks it.
  private mutating func answer(_ question: DNSQuestion, _ unasked: inout [DNSQuestion]) -> DNSAnswer? {
    if let known = self.asked[question] { return known }
    self.asked[question] = .some(nil)
    unasked.append(question)
    return nil
  }

  // MARK: RFC 3263 §4

  private mutating func advance() -> Step {
    guard self.uri.scheme == .sip || self.uri.scheme == .sips, !self.uri.host.isEmpty else {
      return .failed(.notSIP(self.uri.description))
    }
    guard self.isAnswered else { return .ask([]) }
    do throws(Failure) {
      var unasked: [DNSQuestion] = []
      guard let hosts = try self.hosts(&unasked) else { return .ask(unasked) }
      // The order of servers must not change while their addresses are awaited: it is chosen once.
      if self.chosen == nil { self.chosen = hosts }
      let targets = self.targets(self.chosen ?? hosts, &unasked)
      guard unasked.isEmpty else { return .ask(unasked) }
      guard targets.isEmpty else { return .located(targets) }
      return .failed(self.failure)
    } catch {
      return .failed(error)
    }
  }

  private var chosen: [Host]?

  /// Where the URI really points: `maddr` before the host (RFC 3263 §4).
  private var target: String { self.uri.parameters["maddr"].flatMap { $0.isEmpty ? nil : $0 } ?? self.uri.host }

  private var failure: Failure {
    for case .some(.failed(let reason)) in self.asked.values { return .noAnswer(self.target, reason: reason) }
    return .noAddress(self.target)
  }

  /// The hosts and ports to try, in order; nil while records are awaited.
  private mutating func hosts(_ unasked: inout [DNSQuestion]) throws(Failure) -> [Host]? {
    if let chosen { return chosen }
    let target = self.target
    let named = try self.namedTransport()
    let isNumeric = SocketAddress(host: target, port: 0) != nil
    if isNumeric || self.uri.port != nil {
      // Neither NAPTR nor SRV: an address, or a port, says it all (RFC 3263 §4.1, §4.2).
      let transport = if let named { named } else { try self.preferred() }
      return [Host(name: target, port: self.uri.port ?? transport.defaultPort, transport: transport)]
    }
    if let named {
      var records: [Host] = []
      if let prefix = named.srvPrefix {
        guard let found = self.servers(prefix + target, named, &unasked) else { return nil }
        records = found
      }
      return records.isEmpty ? [Host(name: target, port: named.defaultPort, transport: named)] : records
    }
    guard let pointer = self.answer(.naptr(target), &unasked) else { return nil }
    if case .naptr(let records) = pointer {
      let usable = self.usable(records)
      if !usable.isEmpty {
        let found = usable.map { self.servers($0.name, $0.transport, &unasked) }
        guard unasked.isEmpty else { return nil }
        let hosts = found.flatMap { $0 ?? [] }
        if !hosts.isEmpty { return hosts }
      }
    }
    // No NAPTR: SRV for each transport that is there (RFC 3263 §4.1), and without those the host itself (§4.2).
    let found = try self.allowed().map { transport -> [Host]? in
      // A sip URI asks for _sip names only; TLS is found by NAPTR, or asked for by name.
      guard let prefix = transport.srvPrefix, transport.isSecure == (self.uri.scheme == .sips) else { return [] }
      return self.servers(prefix + target, transport, &unasked)
    }
    guard unasked.isEmpty else { return nil }
    let hosts = found.flatMap { $0 ?? [] }
    if !hosts.isEmpty { return hosts }
    let transport = try self.preferred()
    return [Host(name: target, port: transport.defaultPort, transport: transport)]
  }

  /// The servers of an SRV name, in order; empty when there are none, nil while they are awaited.
  private mutating func servers(
    _ name: String, _ transport: SIPTransportKind, _ unasked: inout [DNSQuestion]
  ) -> [Host]? {
    guard let answer = self.answer(.srv(name), &unasked) else { return nil }
    guard case .srv(let records) = answer else { return [] }
    return SRVRecord.ordered(records.filter { !$0.target.isEmpty && $0.target != "." }, &self.generator)
      .map { Host(name: $0.target, port: $0.port, transport: transport) }
  }

  /// The NAPTR records that lead to a transport that is there and allowed, in their order.
  private func usable(_ records: [NAPTRRecord]) -> [(name: String, transport: SIPTransportKind)] {
    let allowed = (try? self.allowed()) ?? []
    return records.sorted { ($0.order, $0.preference) < ($1.order, $1.preference) }.compactMap { record in
      guard record.flags.isSame(ignoringCaseOf: "s"), !record.replacement.isEmpty,
        let transport = allowed.first(where: { $0.naptrService.isSame(ignoringCaseOf: record.service) })
      else { return nil }
      return (record.replacement, transport)
    }
  }

  /// The addresses of all hosts, once they are known.
  private mutating func targets(_ hosts: [Host], _ unasked: inout [DNSQuestion]) -> [SIPTarget] {
    var targets: [SIPTarget] = []
    for host in hosts {
      let name = SocketAddress(host: self.target, port: 0) == nil ? self.serverName : nil
      if let literal = SocketAddress(host: host.name, port: host.port) {
        targets.append(SIPTarget(address: literal, transport: host.transport, serverName: name))
        continue
      }
      for family in self.families.order {
        let question: DNSQuestion = family == .ipv4 ? .a(host.name) : .aaaa(host.name)
        guard case .addresses(let addresses)? = self.answer(question, &unasked) else { continue }
        for address in addresses where address.family == family {
          targets.append(
            SIPTarget(address: address.with(port: host.port), transport: host.transport, serverName: name))
        }
      }
    }
    var seen: Set<SIPTarget> = []
    return targets.filter { seen.insert($0).inserted }
  }

  /// The certificate must bear the name in the URI, not what DNS made of it (RFC 5922 §7.1).
  private var serverName: String? { SocketAddress(host: self.uri.host, port: 0) == nil ? self.uri.host : nil }

  // MARK: Transports

  /// The transport that the URI names; nil when it names none.
  private func namedTransport() throws(Failure) -> SIPTransportKind? {
    guard let name = self.uri.parameters["transport"] else { return nil }
    guard var transport = SIPTransportKind(name: name) else { throw .unknownTransport(name) }
    if self.uri.scheme == .sips {
      switch transport {
      case .tcp: transport = .tls
      case .ws: transport = .wss
      case .tls, .wss: break
      case .udp: throw .unavailableTransport("udp for sips")
      }
    }
    guard self.available.contains(transport) else { throw .unavailableTransport(transport.name) }
    return transport
  }

  /// The transports that are there and that the scheme allows.
  private func allowed() throws(Failure) -> [SIPTransportKind] {
    let allowed = self.available.filter { self.uri.scheme == .sip || $0.isSecure }
    guard !allowed.isEmpty else { throw .unavailableTransport(self.uri.scheme == .sips ? "tls" : "udp") }
    return allowed
  }

  /// What is used when neither the URI nor DNS says: UDP for sip, TLS for sips (RFC 3263 §4.1), else what is there.
  private func preferred() throws(Failure) -> SIPTransportKind {
    let allowed = try self.allowed()
    let usual: SIPTransportKind = self.uri.scheme == .sips ? .tls : .udp
    return allowed.contains(usual) ? usual : allowed[0]
  }
}
