import ModuleKit
import NetBase
import SRTPEngine
import TestSupport
import dtls_srtp

/// What decrypts: SRTP in, and DTLS before and within a handshake.
enum Secured {
  /// The first byte chooses profile and key identifier, the second whether the packets are forged or protected first.
  static func srtp(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    let choice = reader.byte()
    let profile = SRTPProfile.allCases[Int(choice) % SRTPProfile.allCases.count]
    let isOurs = reader.byte() & 1 == 0
    guard let key = Self.key(profile, hasIdentifier: choice & 0x80 != 0),
      let other = Self.key(profile, hasIdentifier: choice & 0x80 != 0)
    else { return }
    var inbound = InboundKeys()
    var outbound = OutboundKeys()
    guard (try? inbound.install(key, now: Instant(nanoseconds: 0))) != nil,
      (try? outbound.install(other, switchNow: true)) != nil
    else { return }
    var now = Instant(nanoseconds: 0)
    while !reader.isAtEnd {
      let isRTCP = reader.byte() & 1 == 1
      let clear = reader.piece()
      guard clear.count <= 1400 else { continue }
      now = now.advanced(byMilliseconds: 20)
      var room = clear + [UInt8](repeating: 0, count: 200)
      room.withPacket { packet in
        packet.count = clear.count
        guard isOurs else {
          let result = inbound.unprotect(&packet, isRTCP: isRTCP, now: now)
          if case .ok = result { require(false, "a forgery was opened") }
          return
        }
        let result = isRTCP ? outbound.protect(rtcp: &packet) : outbound.protect(rtp: &packet)
        guard case .ok = result else { return }
        // A sender never uses an index twice; its own numbers may still jump about, so that a packet may be refused.
        guard case .ok = inbound.unprotect(&packet, isRTCP: isRTCP, now: now) else { return }
        require(packet.count == clear.count, "a packet came out longer or shorter than it went in")
        for index in clear.indices {
          require(packet.bytes.uint8(at: index) == clear[index], "a packet came out as another")
        }
      }
    }
  }

  private static func key(_ profile: SRTPProfile, hasIdentifier: Bool) -> SRTPKeyMaterial? {
    var secret = SecretBytes(count: profile.keyAndSaltLength)
    unsafe secret.withUnsafeMutableBytes { room in
      for index in room.indices { unsafe room[index] = UInt8(truncatingIfNeeded: index &* 7 + 1) }
    }
    return try? SRTPKeyMaterial(
      profile: profile, keyAndSalt: secret,
      masterKeyIdentifier: hasIdentifier ? try? MasterKeyIdentifier(bytes: [1, 2, 3, 4]) : nil)
  }

  private static let certificate = Replay.run(seed: 1) { try? Certificate() }
  private static let victim = SocketAddress(ipv4: 0x0A00_0001, port: 4000)
  private static let peer = SocketAddress(ipv4: 0x0A00_0002, port: 4000)

  /// Pieces are datagrams to one end of a handshake; some are the genuine next datagram of the other end, damaged.
  static func dtls(_ bytes: [UInt8]) {
    Replay.run(seed: 7) {
      guard let certificate = Self.certificate else { return }
      var reader = InputReader(bytes)
      let isServer = reader.byte() & 1 == 0
      let exchange = DTLSKeyExchange(certificate: certificate)
      let other = DTLSKeyExchange(certificate: certificate)
      let print = KeyExchangeRemote.Fingerprint(
        function: certificate.fingerprint.function.rawValue, digest: certificate.fingerprint.digest)
      var now = Instant(nanoseconds: 0)
      func remote(_ isActive: Bool, _ address: SocketAddress) -> KeyExchangeRemote {
        KeyExchangeRemote(isActive: isActive, fingerprints: [print], rtpAddress: address, rtcpAddress: nil)
      }
      if reader.byte() & 1 == 0 { exchange.start(remote(!isServer, Self.peer), now: now) }
      other.start(remote(isServer, Self.victim), now: now)
      var genuine: [[UInt8]] = []
      var given = 0
      while !reader.isAtEnd, given < 24 {
        let command = reader.byte()
        var datagram = reader.piece()
        if command & 1 == 1 {
          Self.drain(other) { genuine.append($0) }
          guard !genuine.isEmpty else { continue }
          // The piece is a list of places and values to change in it.
          let changes = datagram
          datagram = genuine.removeFirst()
          for change in stride(from: 0, to: max(0, changes.count - 2), by: 3) {
            let place = (Int(changes[change]) << 8 | Int(changes[change + 1])) % datagram.count
            datagram[place] ^= changes[change + 2]
          }
        }
        let source = command & 2 == 0 ? Self.peer : Self.peer.with(port: UInt16(command))
        given += 1
        datagram.withRawSpan { exchange.receive($0, from: source, on: .rtp, now: now) }
        Self.drain(exchange) { reply in
          reply.withRawSpan { other.receive($0, from: Self.victim, on: .rtp, now: now) }
        }
        if command & 4 != 0 {
          now = now.advanced(byMilliseconds: 500)
          exchange.timeout(now: now)
          other.timeout(now: now)
          Self.drain(exchange) { _ in }
        }
      }
      exchange.close(now: now)
      let counters = exchange.counters
      let counted = counters.taken + counters.dropped + counters.strangers + counters.ended
      require(counted == given, "a datagram is not counted: \(counters)")
    }
  }

  private static func drain(_ exchange: DTLSKeyExchange, _ body: ([UInt8]) -> Void) {
    while let action = exchange.nextAction() {
      if case .send(let datagram, _, _) = consume action { body(datagram) }
    }
  }
}
