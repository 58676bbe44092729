import NetBase
import Testing

@testable import SRTPEngine

@Suite("Our own transform")
struct CipherTests {
  @Test(
    "a payload of any length comes back, also past what one run of key stream holds", arguments: SRTPProfile.allCases)
  func lengths(_ profile: SRTPProfile) throws {
    var ours = try OutboundSRTP(key(1, profile), transform: .openssl)
    var theirs = try OutboundSRTP(key(1, profile), transform: .libsrtp2)
    var inbound = try InboundSRTP(key(1, profile), transform: .openssl)
    let lengths = Array(0..<600) + [1023, 1024, 1025, 1400, 4096, 9000, 60_000]
    for (number, length) in lengths.enumerated() {
      let clear = rtp(number, length: length)
      let sent = ours.sent(clear)
      #expect(sent == theirs.sent(clear), "\(length)")
      #expect(inbound.received(sent.bytes) == ok(clear), "\(length)")
    }
  }

  @Test("no rollover counter follows the last one: an index is never used twice")
  func exhausted() throws {
    var window = ReplayWindow(size: 128)
    window.restart(at: 0xFFFF_FFFF_FFFE)
    guard case .new(let last) = window.place(of: 0xFFFF) else {
      Issue.record("the last index is refused")
      return
    }
    #expect(last == 0xFFFF_FFFF_FFFF)
    window.note(last)
    guard case .exhausted = window.place(of: 0) else {
      Issue.record("\(window.place(of: 0))")
      return
    }
  }

  @Test(
    "a rollover counter that was set counts whatever was heard; what is over 2^15 behind is old, and ahead a new start",
    arguments: [(0x8000, "new"), (0x8001, "jump"), (-0x8000, "old"), (-0x8001, "old"), (-5, "new")])
  func setRolloverCounter(distance: Int, expected: String) {
    var window = ReplayWindow(size: 128)
    let heard = 5 << 16 | 0x1234
    window.restart(at: UInt64(heard))
    window.pendingRolloverCounter = UInt32((heard + distance) >> 16)
    switch window.place(of: UInt16(truncatingIfNeeded: heard + distance)) {
    case .new(let index): #expect(expected == "new" && index == UInt64(heard + distance))
    case .jump(let index): #expect(expected == "jump" && index == UInt64(heard + distance))
    case .replayed: #expect(expected == "old")
    case .exhausted: Issue.record("not the last index")
    }
  }

  @Test("the last SRTCP index ends a key (RFC 3711 §9.2)")
  func controlIndex() {
    var window = ControlWindow()
    window.note(0x7FFF_FFFE + 127)
    #expect(window.advance() == 0x7FFF_FFFF)
    #expect(window.advance() == nil)
  }

  @Test("a stream that is forgotten takes no other with it")
  func forget() throws {
    var outbound = try OutboundSRTP(key(1), transform: .openssl)
    var inbound = try InboundSRTP(key(1), transform: .openssl)
    let wire = (1...5).map { outbound.sent(rtp(7, ssrc: $0)).bytes }
    for packet in wire { #expect(inbound.received(packet).result == .ok) }
    inbound.forget(ssrc: 2)
    #expect(wire.map { inbound.received($0).result } == [.replayed, .ok, .replayed, .replayed, .replayed])
  }
}
