import Handoff
import ModuleKit
import NetBase
import TestSupport
import Testing

@testable import UACore

/// Packets that are not the peer's, not encrypted, or nothing at all.
@Suite struct StrangerTests {
  /// Where the host in question receives RTP: seen from the media that goes there.
  final class MediaAddresses: Sendable {
    private let addresses = Locked<[String: SocketAddress]>([:])

    init(_ network: SimulatedNetwork) {
      network.tap { [addresses] datagram in
        if !datagram.isSignalling, datagram.source.port % 2 == 0 {
          addresses.withLock { $0[datagram.source.host] = datagram.source }
        }
        return true
      }
    }

    func of(_ host: String) throws -> SocketAddress {
      guard let address = self.addresses.withLock({ $0[host] }) else {
        throw ModuleError(.peer, "\(host) has sent nothing")
      }
      return address
    }
  }

  let stranger = SocketAddress(ipv4: 0x0A00_0066, port: 6666)

  @Test("a stranger's packets to a plain call are dropped and counted, and change nothing", arguments: RxMode.allCases)
  func plainCall(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode)
    let addresses = MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let target = try addresses.of("10.0.0.1")
    for sequence in 0..<50 {
      agents.simulation.network.inject(PlainPackets.pcmu(sequence: UInt16(sequence)), from: self.stranger, to: target)
      agents.simulation.network.inject(
        PlainPackets.rtcp, from: self.stranger.with(port: 6667), to: target.with(port: target.port + 1))
      agents.run(milliseconds: 20)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let drops = agents.alice.ended[0].media.drops
    #expect(drops.source >= 50 && drops.total == drops.source, "\(drops)")
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) != nil)
    #expect(agents.bob.ended[0].media.lost == 0)
  }

  @Test(
    "plain RTP to an encrypted call is counted and never played, from the peer's own address too",
    arguments: Cell.all.filter { $0.encryption != nil }, [true, false])
  func encryptedCall(cell: Cell, fromPeer: Bool) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption)
    let addresses = MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    let target = try addresses.of("10.0.0.1")
    let source = fromPeer ? try addresses.of("10.0.0.2") : self.stranger
    for sequence in 0..<50 {
      agents.simulation.network.inject(PlainPackets.pcmu(sequence: UInt16(sequence)), from: source, to: target)
      agents.simulation.network.inject(
        PlainPackets.rtcp, from: source.with(port: source.port + 1), to: target.with(port: target.port + 1))
      agents.run(milliseconds: 20)
    }
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let (drops, media) = (agents.alice.ended[0].media.drops, agents.bob.ended[0].media)
    #expect(drops.auth + drops.plaintext == 100 && drops.total == 100, "\(drops)")
    #expect(drops.plaintext == 50, "RTCP in the clear is told by its E bit")
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) != nil)
    // The stranger did not become the peer.
    #expect(media.lost == 0 && media.receivedPackets > 70)
  }

  @Test("no datagram of any content ends or hurts a call", arguments: Cell.all)
  func noise(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 41)
    let addresses = MediaAddresses(agents.simulation.network)
    let call = try agents.establishedCall()
    agents.run(milliseconds: 300)
    let target = try addresses.of("10.0.0.1")
    var generator = TestGenerator(seed: 43)
    for index in 0..<2000 {
      let count = Int.random(in: 0...200, using: &generator)
      var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
      // Every class of RFC 7983, and lengths down to none.
      if count > 0 { bytes[0] = [0x16, 0x14, 0x80, 0x90, 0x00, 0x40, 0xFF][index % 7] }
      agents.simulation.network.inject(
        bytes, from: self.stranger, to: index % 3 == 0 ? target.with(port: target.port + 1) : target)
      if index % 4 == 0 { agents.run(milliseconds: 1) }
    }
    agents.run(milliseconds: 300)
    #expect(agents.alice.isEstablished && agents.bob.isEstablished)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let report = agents.alice.ended[0]
    #expect(report.failure == nil && report.media.drops.total >= 1900, "\(report.media.drops)")
    #expect(try ExpectedAudio.matchedSamples(ProbeCapture.samples(agents.aliceHears)) != nil)
  }

  @Test("an encrypted call follows a peer whose address changes; a plain one after silence", arguments: Cell.all)
  func rebinding(cell: Cell) throws {
    let agents = try SimulatedAgents(mode: cell.mode, encryption: cell.encryption, seed: 17)
    let network = agents.simulation.network
    let call = try agents.establishedCall()
    agents.run(milliseconds: 500)
    // A NAT gives Bob's packets another source from now on; what Alice sends there finds Bob.
    let moved = SocketAddress(ipv4: 0x0A00_0077, port: 7000)
    let bobMedia = Locked<SocketAddress?>(nil)
    network.tap { [unowned network] datagram in
      guard !datagram.isSignalling, datagram.source.port % 2 == 0 else { return true }
      if datagram.source.host == "10.0.0.2" {
        bobMedia.withLock { $0 = datagram.source }
        network.inject(datagram.bytes, from: moved, to: datagram.destination)
        return false
      }
      if datagram.destination == moved, let bob = bobMedia.withLock({ $0 }) {
        network.inject(datagram.bytes, from: datagram.source, to: bob)
        return false
      }
      // Alice's packets to Bob's old address are lost: the NAT forgot it.
      return datagram.source.host != "10.0.0.1"
    }
    agents.run(milliseconds: 8000)
    agents.alice.act { $0.refreshStatistics(call) }
    agents.bob.act { $0.refreshStatistics(agents.bobCall) }
    agents.run(milliseconds: 10)
    let (alice, bob) = (try #require(agents.alice.report), try #require(agents.bob.report))
    if cell.encryption == nil {
      #expect((240...260).contains(alice.media.drops.source), "five seconds of silence first")
    } else {
      #expect(alice.media.lost == 0 && alice.media.drops == DropCounters())
      #expect(bob.media.lost <= 2)
    }
    #expect(bob.media.receivedPackets > 100)
  }

  /// What a plain source's table of events must give.
  @Test("in the clear only silence lets another address take over")
  func latching() {
    let (signalled, other, third) = (
      SocketAddress(ipv4: 1, port: 4000), SocketAddress(ipv4: 2, port: 4000), SocketAddress(ipv4: 3, port: 4000)
    )
    enum Event {
      case signal(SocketAddress?)
      case plain(SocketAddress, at: Int64, isAccepted: Bool)
      case authenticated(SocketAddress, at: Int64)
    }
    let table: [(String, [Event], SocketAddress?)] = [
      ("nothing yet", [], nil),
      ("signalling alone", [.signal(signalled)], signalled),
      ("the peer where it said", [.signal(signalled), .plain(signalled, at: 0, isAccepted: true)], signalled),
      ("behind a NAT", [.signal(signalled), .plain(other, at: 0, isAccepted: true)], other),
      (
        "a stranger after the peer",
        [
          .signal(signalled), .plain(signalled, at: 0, isAccepted: true), .plain(other, at: 4999, isAccepted: false),
          .plain(signalled, at: 5000, isAccepted: true), .plain(other, at: 9999, isAccepted: false),
        ], signalled
      ),
      (
        "a stranger after the NAT",
        [
          .signal(signalled), .plain(other, at: 0, isAccepted: true), .plain(third, at: 20, isAccepted: false),
          .plain(signalled, at: 40, isAccepted: true), .plain(other, at: 60, isAccepted: false),
        ], signalled
      ),
      (
        "silence",
        [
          .signal(signalled), .plain(signalled, at: 0, isAccepted: true), .plain(other, at: 4999, isAccepted: false),
          .plain(other, at: 5000, isAccepted: true), .plain(signalled, at: 5001, isAccepted: true),
          .plain(other, at: 5002, isAccepted: false),
        ], signalled
      ),
      (
        "the same description again changes nothing",
        [
          .signal(signalled), .plain(other, at: 0, isAccepted: true), .signal(signalled),
          .plain(third, at: 20, isAccepted: false),
        ], other
      ),
      (
        "a new description does",
        [
          .signal(signalled), .plain(signalled, at: 0, isAccepted: true), .signal(third),
          .plain(third, at: 20, isAccepted: true), .plain(other, at: 40, isAccepted: false),
        ], third
      ),
      (
        "what is under way when the peer moves is played, and moves nothing",
        [
          .signal(signalled), .plain(signalled, at: 0, isAccepted: true), .signal(third),
          .plain(signalled, at: 20, isAccepted: true), .plain(third, at: 40, isAccepted: true),
          .plain(signalled, at: 60, isAccepted: true), .plain(other, at: 80, isAccepted: false),
          .plain(signalled, at: 600, isAccepted: false),
        ], third
      ),
      (
        "a peer behind a NAT that is resumed is believed at once where it was",
        [
          .signal(signalled), .plain(other, at: 0, isAccepted: true), .signal(nil), .signal(signalled),
          .plain(other, at: 9000, isAccepted: true),
        ], other
      ),
      (
        "a peer that stays where it was, whatever it said",
        [
          .signal(signalled), .plain(other, at: 0, isAccepted: true), .signal(third),
          .plain(other, at: 20, isAccepted: true), .plain(other, at: 519, isAccepted: true),
          .plain(other, at: 520, isAccepted: true),
        ], other
      ),
      (
        "authentication moves it at once",
        [.signal(signalled), .authenticated(signalled, at: 0), .authenticated(other, at: 1)], other
      ),
      ("hold by address zero", [.signal(signalled), .signal(nil)], nil),
    ]
    for (name, events, expected) in table {
      var source = RemoteSource()
      for event in events {
        switch event {
        case .signal(let address): source.signal(address)
        case .plain(let address, let time, let isAccepted):
          let now = Instant(nanoseconds: time * 1_000_000)
          #expect(source.accepts(address, now: now) == isAccepted, "\(name), \(time) ms")
        case .authenticated(let address, let time):
          source.authenticated(address, now: Instant(nanoseconds: time * 1_000_000))
        }
      }
      #expect(source.address == expected, "\(name)")
    }
  }
}
