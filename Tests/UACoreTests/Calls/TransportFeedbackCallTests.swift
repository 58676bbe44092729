import Handoff
import ModuleKit
import NetBase
import RTPStack
import TestSupport
import Testing

@testable import UACore

/// A peer whose congestion control wants to know when its packets came.
@Suite struct TransportFeedbackCallTests {
  @Test(
    "where it is offered, every packet that came is told to the peer by its transport-wide number, and none that did not",
    arguments: RxMode.allCases)
  func told(mode: RxMode) throws {
    let agents = try SimulatedAgents(mode: mode, seed: 99)
    let network = agents.simulation.network
    let answers = Locked<[String]>([])
    let figures = Locked((sent: 0, dropped: 0, reports: 0, told: 0, numbers: 0))
    let descriptions = Descriptions(network) { [unowned network] datagram in
      var bytes = datagram.bytes
      if datagram.source.host == "10.0.0.2", datagram.source.port % 2 == 1 {
        bytes.withRawSpan { report in
          guard report.uint8(at: 1) == 205 else { return }
          let count = Int(report.uint16(at: 14))
          let chunks = (0..<(count + 6) / 7).map { report.uint16(at: 20 + 2 * $0) & 0x3FFF }
          figures.withLock { figures in
            figures.reports += 1
            figures.numbers += count
            figures.told += chunks.reduce(0) { $0 + $1.nonzeroBitCount }
          }
        }
        return true
      }
      guard datagram.source.host == "10.0.0.1", datagram.source.port % 2 == 0 else { return true }
      let number = figures.withLock { figures in
        figures.sent += 1
        if figures.sent % 5 == 0 { figures.dropped += 1 }
        return figures.sent
      }
      guard number % 5 > 0 else { return false }
      bytes[0] |= 0x10
      bytes.insert(
        contentsOf: [0xBE, 0xDE, 0, 1, 0x31, UInt8(number >> 8 & 0xFF), UInt8(number & 0xFF), 0],
        at: RTPHeader.fixedLength)
      network.inject(bytes, from: datagram.source, to: datagram.destination)
      return false
    }
    descriptions.set { message in
      if message.sender == "10.0.0.1" {
        message.body = message.body.map { $0.replacing("RTP/AVP ", with: "RTP/AVPF ") }
        message.body += ["a=rtcp-rsize", "a=rtcp-fb:0 transport-cc", "a=extmap:3 \(TransportFeedback.uri)"]
      } else {
        answers.withLock { $0 += message.body }
        message.body = message.body.map { $0.replacing("RTP/AVPF ", with: "RTP/AVP ") }
      }
    }
    let call = try agents.establishedCall()
    let answer = answers.withLock { $0 }
    for line in ["a=rtcp-rsize", "a=rtcp-fb:0 transport-cc", "a=extmap:3/recvonly \(TransportFeedback.uri)"] {
      #expect(answer.contains(line), "\(answer)")
    }
    agents.run(milliseconds: 5000)
    agents.alice.act { $0.hangUp(call) }
    #expect(agents.runUntilIdle())
    let media = try #require(agents.bob.ended.first?.media)
    let counted = figures.withLock { $0 }
    // What came since the last report is not told any more; nor the number of one that was dropped behind it.
    #expect((21...24).contains(counted.reports), "\(counted)")
    #expect(
      (media.receivedPackets - 10...media.receivedPackets).contains(counted.told), "\(counted) \(media.receivedPackets)"
    )
    #expect(counted.numbers - counted.told <= counted.dropped && counted.dropped > 45, "\(counted)")
    #expect(media.sentReports > counted.reports && agents.alice.ended.first?.failure == nil)
  }
}
