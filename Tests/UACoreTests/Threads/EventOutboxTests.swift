import Handoff
import Testing

@testable import UACore

/// The lane from a transport to a main loop that is far behind.
@Suite struct EventOutboxTests {
  @Test("a peer's flood of events takes no place of those that matter")
  func flood() {
    let lane = Mailbox<TransportEvent>(capacity: 4) {}
    var outbox = EventOutbox(lane)
    for _ in 0..<1000 { outbox.post(.peerLeft) }
    for _ in 0..<1000 { outbox.post(.digit("5")) }
    outbox.post(.rekeyed)
    outbox.post(.closed(TransportStatistics()))
    #expect(outbox.dropCount == 2000 - 4 - 128)
    var last: [String] = []
    repeat {
      while let event = lane.take() {
        switch consume event {
        case .closed: last.append("closed")
        case .rekeyed: last.append("rekeyed")
        default: break
        }
      }
      outbox.flush()
    } while outbox.hasWaiting
    while let event = lane.take() { if case .closed = consume event { last.append("closed") } }
    #expect(last == ["rekeyed", "closed"])
  }
}
