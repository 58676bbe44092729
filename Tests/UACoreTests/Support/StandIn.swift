import NetBase
import RTPStack
import TestSupport

@testable import UACore

/// Who speaks in Bob's place, from his sockets and under his keys, with numbers that a test chooses.
final class StandIn {
  private static let sources = UInt32(0x5EED_0000)
  private let agents: SimulatedAgents
  private var source = sources
  /// Of the next packet.
  var sequence: UInt16 = 1
  var timestamp: UInt32 = 0
  /// Packets that left, and those that Bob's keys did not let out.
  private(set) var sent = 0
  private(set) var refused = 0

  init(_ agents: SimulatedAgents) { self.agents = agents }

  /// Whether a datagram is anything but a packet of Bob's own voice: those are to be lost.
  static func spares(_ datagram: Datagram) -> Bool {
    guard !datagram.isSignalling, datagram.source.host == "10.0.0.2" else { return true }
    return datagram.bytes.withRawSpan { bytes in
      guard case .rtp = PacketClass(bytes), let header = try? RTPHeader(parsing: bytes) else { return true }
      return header.ssrc & 0xFFFF_0000 == Self.sources
    }
  }

  /// Another SSRC from now on.
  func changeSource() { self.source += 1 }

  /// A packet every 20 ms, unless Bob is held.
  func speak(milliseconds: Int64) {
    let start = self.agents.simulation.now
    for time in stride(from: 20, through: milliseconds, by: 20) {
      if self.agents.bob.report?.isHeldByPeer == false { self.say() }
      self.agents.simulation.run(until: start.advanced(byMilliseconds: time))
    }
  }

  private func say() {
    let packet = PlainPackets.pcmu(sequence: self.sequence, timestamp: self.timestamp, ssrc: self.source)
    let transport = self.agents.bob.act { $0.calls.values.first?.media?.section.transport }
    if transport?.send(packet) == true { self.sent += 1 } else { self.refused += 1 }
    self.sequence &+= 1
    self.timestamp &+= 160
  }
}
