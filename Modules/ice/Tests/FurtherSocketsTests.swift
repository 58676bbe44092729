import ICEAgent
import ModuleKit
import NetBase
import SIPStack
import Testing

@testable import ice

/// A path's checks over several pairs of sockets.
@Suite("checks from several addresses") struct FurtherSocketsTests {
  private let four = MediaSockets(
    rtp: SocketAddress(ipv4: 0x0A00_0001, port: 4000), rtcp: SocketAddress(ipv4: 0x0A00_0001, port: 4001))
  private let six = MediaSockets(
    rtp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 4000),
    rtcp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 1, port: 4001))
  private let peer = MediaSockets(
    rtp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 2, port: 5000),
    rtcp: SocketAddress(ipv6: 0x2001_0DB8_0000_0000, 2, port: 5001))

  private func candidates(_ sockets: [MediaSockets], _ components: Int) -> [ICECandidate] {
    sockets.bases(components: components).map { ICESession.host($0) }
  }

  @Test(
    "a peer that has IPv6 only is reached from the socket of that family, and data leaves by its pair",
    arguments: [1, 2])
  func peerOfOneFamily(components: Int) throws {
    var dice = SeededGenerator(seed: 1)
    let ours = ICECredentials(using: &dice)
    let theirs = ICECredentials(using: &dice)
    let configuration = ICEConfiguration(crypto: .openSSL)
    let known = [self.four, self.six]
    var now = Instant(nanoseconds: 1_000_000_000)
    let alice = ICEPathAgent(
      self.four, further: [self.six], ours, configuration, components: components, role: .controlling,
      random: SeededGenerator(seed: 2), now: now)
    let bob = ICEPathAgent(
      self.peer, further: [], theirs, configuration, components: components, role: .controlled,
      random: SeededGenerator(seed: 3), now: now)
    alice.setRemote(
      ICERemote(credentials: theirs, candidates: self.candidates([self.peer], components), components: components),
      now: now)
    bob.setRemote(
      ICERemote(credentials: ours, candidates: self.candidates(known, components), components: components), now: now)
    var left: Set<Int> = []
    var report: ConnectivityReport?
    for _ in 0..<60 {
      var isBusy = true
      while isBusy {
        isBusy = false
        while let action = alice.nextAction() {
          isBusy = true
          switch action {
          case .send(let bytes, let address, let socket):
            left.insert(socket.pair)
            #expect(address == self.peer[socket.component])
            let source = known[socket.pair][socket.component]
            bytes.withRawSpan {
              bob.receive($0, from: source, on: MediaSocket(socket.component), in: nil, now: now)
            }
          case .connected(let found): report = found
          default: break
          }
        }
        while let action = bob.nextAction() {
          isBusy = true
          guard case .send(let bytes, let address, let socket) = action else { continue }
          #expect(address == self.six[socket.component])
          bytes.withRawSpan {
            alice.receive(
              $0, from: self.peer[socket.component], on: MediaSocket(socket.component, of: 1), in: nil, now: now)
          }
        }
      }
      now = now.advanced(byMilliseconds: 50)
      alice.timeout(now: now)
      bob.timeout(now: now)
    }
    #expect(left == [1])
    #expect(alice.route(.rtp) == MediaRoute(peer: self.peer.rtp, pair: 1))
    #expect(alice.route(.rtcp) == (components == 2 ? MediaRoute(peer: self.peer.rtcp, pair: 1) : nil))
    #expect(report?.local == self.six.rtp && report?.rtp == self.peer.rtp)
    #expect(report?.localRTCP == (components == 2 ? self.six.rtcp : nil))
    #expect(alice.counters.refused == 0 && bob.counters.refused == 0)
  }

  @Test("a socket that the peer does without takes no part, of whichever pair")
  func strays() throws {
    var dice = SeededGenerator(seed: 1)
    let now = Instant(nanoseconds: 1_000_000_000)
    let agent = ICEPathAgent(
      self.four, further: [self.six], ICECredentials(using: &dice), ICEConfiguration(crypto: .openSSL), components: 1,
      role: .controlled, random: SeededGenerator(seed: 2), now: now)
    for pair in 0...1 {
      [UInt8]("no check".utf8).withRawSpan {
        agent.receive($0, from: self.peer.rtcp, on: MediaSocket(.rtcp, of: pair), in: nil, now: now)
        guard case .notRelayed = agent.unwrap($0, from: self.peer.rtcp, on: MediaSocket(.rtcp, of: pair)) else {
          Issue.record("pair \(pair)")
          return
        }
      }
    }
    #expect(agent.counters.refused == 2)
  }
}
