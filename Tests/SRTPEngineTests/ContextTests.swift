import NetBase
import SRTPEngine
import Testing

@Suite("One context for one direction", .bothTransforms)
struct ContextTests {
  @Test("RTP and RTCP come back as they were, whatever their length", arguments: SRTPProfile.allCases)
  func roundTrip(_ profile: SRTPProfile) throws {
    var outbound = try OutboundSRTP(key(1, profile))
    var inbound = try InboundSRTP(key(1, profile))
    for number in 0..<200 {
      let clear = rtp(number, length: number * 7)
      let secured = outbound.sent(clear)
      #expect(secured.bytes.count == clear.count + profile.rtpTagLength)
      #expect(inbound.received(secured.bytes) == ok(clear))
      let report = rtcp(mark: UInt8(number))
      let securedReport = outbound.sent(report, isRTCP: true)
      #expect(securedReport.bytes.count == report.count + 4 + profile.rtcpTagLength)
      #expect(inbound.received(securedReport.bytes, isRTCP: true) == ok(report))
    }
    #expect(outbound.rtpCount == 200 && outbound.rtcpCount == 200)
  }

  @Test("nothing is written past the trailer", arguments: SRTPProfile.allCases)
  func staysInRoom(_ profile: SRTPProfile) throws {
    var outbound = try OutboundSRTP(key(1, profile, identifier: [1, 2, 3]))
    for (isRTCP, trailer) in [(false, profile.rtpTagLength + 3), (true, profile.rtcpTagLength + 7)] {
      let clear = isRTCP ? rtcp() : rtp(1)
      var memory = clear + [UInt8](repeating: 0xEE, count: trailer + 64)
      let result = memory.withPacket(count: clear.count) {
        isRTCP ? outbound.protect(rtcp: &$0) : outbound.protect(rtp: &$0)
      }
      #expect(result == .ok)
      #expect(memory.suffix(64).allSatisfy { $0 == 0xEE })
    }
  }

  @Test("a packet without room for the trailer is refused unchanged", arguments: SRTPProfile.allCases)
  func noRoom(_ profile: SRTPProfile) throws {
    var outbound = try OutboundSRTP(key(1, profile))
    let short = transform(rtp(1), room: profile.rtpTagLength - 1) { outbound.protect(rtp: &$0) }
    #expect(short == Outcome(result: .noRoom, bytes: rtp(1)))
    let shortReport = transform(rtcp(), room: profile.rtcpTagLength + 3) { outbound.protect(rtcp: &$0) }
    #expect(shortReport == Outcome(result: .noRoom, bytes: rtcp()))
    #expect(transform(rtp(1), room: profile.rtpTagLength) { outbound.protect(rtp: &$0) }.result == .ok)
  }

  @Test("a replayed packet is refused, a late one inside the window is not", arguments: SRTPProfile.allCases)
  func replay(_ profile: SRTPProfile) throws {
    var outbound = try OutboundSRTP(key(1, profile))
    var inbound = try InboundSRTP(key(1, profile))
    let wire = (0..<300).map { outbound.sent(rtp($0)).bytes }
    for number in stride(from: 0, to: 300, by: 2) { #expect(inbound.received(wire[number]).result == .ok) }
    #expect(inbound.received(wire[298]).result == .replayed)
    #expect(inbound.received(wire[297]) == ok(rtp(297)))
    #expect(inbound.received(wire[297]).result == .replayed)
    #expect(inbound.received(wire[101]).result == .replayed, "older than the window of 128")
    let report = outbound.sent(rtcp(), isRTCP: true).bytes
    #expect(inbound.received(report, isRTCP: true).result == .ok)
    #expect(inbound.received(report, isRTCP: true).result == .replayed)
  }

  @Test("a window of 1024 takes what one of 128 does not; other sizes are refused")
  func window() throws {
    var outbound = try OutboundSRTP(key(1))
    let wire = (0..<1000).map { outbound.sent(rtp($0)).bytes }
    var wide = try InboundSRTP(key(1), replayWindow: 1024)
    #expect(wide.received(wire[999]).result == .ok)
    #expect(wide.received(wire[0]).result == .ok)
    for size in [0, 63, 1025, -1] {
      #expect(throws: SRTPError.badReplayWindow(size)) { _ = try InboundSRTP(key(1), replayWindow: size) }
    }
  }

  @Test("our own sequence number is never used twice under one key")
  func repeated() throws {
    var outbound = try OutboundSRTP(key(1))
    #expect(outbound.sent(rtp(7)).result == .ok)
    #expect(outbound.sent(rtp(7)).result == .replayed)
  }

  @Test("authenticated SRTCP with the E bit clear is refused (RFC 3711 §3.4)")
  func notEncrypted() throws {
    // Both tags are right: the keys are those of the vectors.
    var counterMode = try InboundSRTP(material(.aesCM128HMACSHA1Tag80, hex(Vector.rfc3711)))
    let clear = hex(Vector.rtcp)
    #expect(
      counterMode.received(clear + hex("00000001fe88c7fdfd37ebce615d"), isRTCP: true).result == .notEncrypted)
    var aead = try InboundSRTP(material(.aeadAES128GCM, hex(Vector.gcm128)))
    let wire = clear + hex("0cf635168f8242a21b12d664ecd862e800000001")
    #expect(aead.received(wire, isRTCP: true) == Outcome(result: .notEncrypted, bytes: wire))
  }

  @Test("what is not RTP is refused in both directions")
  func malformed() throws {
    var outbound = try OutboundSRTP(key(1))
    var inbound = try InboundSRTP(key(1))
    var contributors = rtp(1, length: 0)
    contributors[0] = 0x8F
    var extended = rtp(1, length: 4)
    extended[0] = 0x90
    extended[14] = 0xFF
    var wrongVersion = rtp(1)
    wrongVersion[0] = 0x40
    for bytes in [[], [0x80], Array(rtp(1).prefix(11)), contributors, extended, wrongVersion] {
      #expect(outbound.sent(bytes).result == .malformed)
      #expect(inbound.received(bytes + [UInt8](repeating: 0, count: 10)).result != .ok)
    }
    #expect(outbound.sent(Array(rtcp().prefix(7)), isRTCP: true).result == .malformed)
  }

  @Test("a lifetime that is used up ends sending (RFC 4568 §6.1)")
  func lifetime() throws {
    var outbound = try OutboundSRTP(key(1, lifetime: 3))
    for number in 0..<3 { #expect(outbound.sent(rtp(number)).result == .ok) }
    #expect(outbound.sent(rtp(3)) == Outcome(result: .keyExpired, bytes: rtp(3)))
  }

  @Test("contexts are made, used and freed on several threads at once")
  func manyThreads() async {
    let opened = await withTaskGroup(of: Int.self) { group in
      for thread in 0..<4 {
        group.addTask {
          var count = 0
          for round in 0..<20 {
            let profile = SRTPProfile.allCases[round % SRTPProfile.allCases.count]
            guard var outbound = try? OutboundSRTP(key(thread, profile)),
              var inbound = try? InboundSRTP(key(thread, profile))
            else { continue }
            for number in 0..<20 where inbound.received(outbound.sent(rtp(number)).bytes) == ok(rtp(number)) {
              count += 1
            }
          }
          return count
        }
      }
      return await group.reduce(0, +)
    }
    #expect(opened == 4 * 20 * 20)
  }
}
