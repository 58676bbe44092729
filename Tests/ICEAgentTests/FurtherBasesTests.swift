import NetBase
import SIPStack
import Testing
import ice

@testable import ICEAgent

/// What servers are asked by a host that has several addresses.
@Suite("gathering from several addresses") struct FurtherBasesTests {
  /// A session with bases of IPv4, IPv6 and IPv4 again, of which the first is waited for, and what it has asked.
  private final class Host {
    let session: ICESession
    var now = Instant(nanoseconds: 1_000_000_000)
    let begin = Instant(nanoseconds: 1_000_000_000)
    /// Requests, as `METHOD BASE`; those of the peer as `check BASE`.
    var asked: [String] = []
    /// Milliseconds from the beginning.
    var endedAt: Int64?
    /// Whose questions are answered.
    private let answered: Set<Int>
    static let server = SocketAddress(ipv4: 0xC633_6401, port: 3478)

    /// - Parameter lastComponent: the component of the third base.
    init(_ kind: ICEServer.Kind, answered: Set<Int>, lastComponent: Int = 1) {
      self.answered = answered
      var configuration = ICEConfiguration(crypto: .openSSL)
      configuration.servers = [ICEServer(kind, address: Self.server)]
      let bases = [
        ICEBase(component: 1, address: SocketAddress(ipv4: 0x0A00_0001, port: 4000)),
        ICEBase(
          component: 1, address: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 4000), localPreference: 65_519,
          isAwaited: false),
        ICEBase(
          component: lastComponent, address: SocketAddress(ipv4: 0x0A00_0101, port: 4000), localPreference: 65_503,
          isAwaited: lastComponent > 1),
      ]
      self.session = ICESession(
        configuration, bases: bases, role: .controlling, random: SeededGenerator(seed: 1), now: self.now)
      self.drain()
    }

    func run(milliseconds: Int64) {
      let end = self.now.advanced(byMilliseconds: milliseconds)
      while let due = self.session.nextDeadline, due <= end {
        self.now = max(self.now, due)
        self.session.timeout(now: self.now)
        self.drain()
      }
      self.now = end
    }

    /// The peer shares a socket, and names no candidate yet.
    func mux() {
      var dice = SeededGenerator(seed: 2)
      self.session.setRemote(ICERemote(credentials: ICECredentials(using: &dice), candidates: []), now: self.now)
      self.drain()
    }

    private func drain() {
      while let action = self.session.takeAction() {
        switch action {
        case .send(let bytes, let base, let destination):
          guard let request = bytes.withRawSpan({ STUNMessage($0) }) else { continue }
          guard destination == Self.server else {
            self.asked.append("check \(base)")
            continue
          }
          self.asked.append("\(request.method == STUNType.allocate ? "allocate" : "binding") \(base)")
          guard self.answered.contains(base) else { continue }
          var answer = STUNWriter(.success, id: request.id)
          answer.addMapped(SocketAddress(ipv4: 0xCB00_7101, port: UInt16(7_000 + base)))
          answer.addFingerprint()
          answer.bytes.withRawSpan { self.session.receive($0, from: Self.server, base: base, now: self.now) }
        case .gatheringEnded: self.endedAt = self.now.milliseconds(since: self.begin)
        default: continue
        }
      }
    }
  }

  @Test("one relay is asked for; of another socket of its family the server is asked what it sees")
  func relays() {
    let host = Host(.turn, answered: [])
    host.run(milliseconds: 1000)
    #expect(Set(host.asked) == ["allocate 0", "binding 2"])
  }

  @Test("what is seen of all is told, each of its own base, and nothing is waited for then")
  func seen() {
    let host = Host(.stun, answered: [0, 2])
    host.run(milliseconds: 1000)
    let reflexive = host.session.localCandidates.filter { $0.kind == .serverReflexive }
    #expect(reflexive.map(\.address.port) == [7000, 7002])
    #expect(reflexive.map { $0.related?.host } == ["10.0.0.1", "10.0.1.1"])
    #expect(host.endedAt ?? 9999 <= 100 && host.session.gatheringProblems.isEmpty)
  }

  @Test("an address from which no server is reached holds a description up for half a second, and is no fault")
  func silence() throws {
    let host = Host(.stun, answered: [0])
    host.run(milliseconds: 1900)
    let ended = try #require(host.endedAt)
    #expect((400...600).contains(ended) && host.session.gatheringProblems.isEmpty)
    let asked = host.asked.count
    // It is asked no more.
    host.run(milliseconds: 20_000)
    #expect(host.asked[asked...].allSatisfy { !$0.hasSuffix(" 2") })
  }

  @Test("gathering is over at once where all that was still to be asked is of a component that the peer does without")
  func endedByMux() {
    let host = Host(.stun, answered: [0], lastComponent: 2)
    host.run(milliseconds: 30)
    #expect(host.asked == ["binding 0"] && host.endedAt == nil)
    host.mux()
    #expect(host.endedAt == 30 && host.session.gatheringProblems.isEmpty)
    host.run(milliseconds: 5_000)
    #expect(host.asked.allSatisfy { !$0.hasSuffix(" 2") })
  }

  @Test("a description's questions go before checks, and what it does not wait for is asked after them")
  func checksFirst() {
    let host = Host(.stun, answered: [0])
    var dice = SeededGenerator(seed: 2)
    let peer = ICECandidate(
      foundation: "1", component: 1, priority: 2_130_706_431, address: SocketAddress(ipv4: 0x0A00_0002, port: 5000),
      kind: .host)
    host.session.setRemote(
      ICERemote(credentials: ICECredentials(using: &dice), candidates: [peer]), now: host.now)
    host.run(milliseconds: 300)
    #expect(host.asked == ["binding 0", "check 0", "check 2", "binding 2"])
  }

  @Test("a server that says nothing to the first address is waited for, and is one sentence")
  func silentToTheFirst() {
    let host = Host(.stun, answered: [2])
    host.run(milliseconds: 3000)
    #expect(host.endedAt == 2000 && host.session.gatheringProblems.count == 1)
  }
}
