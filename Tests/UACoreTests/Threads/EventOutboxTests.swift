import Handoff
import Testing

@testable import UACore

/// The lane from a transport to a main loop that is far behind.
@Suite struct EventOutboxTests {
  enum Flood: CaseIterable { case goodbyes, reports }

  @Test("a peer's flood of events takes no place of those that matter", arguments: Flood.allCases)
  func flood(of kind: Flood) {
    let lane = Mailbox<TransportEvent>(capacity: 4) {}
    var outbox = EventOutbox(lane)
    for _ in 0..<1000 {
      switch kind {
      case .goodbyes: outbox.post(.goodbye)
      case .reports: outbox.post(.peerReported)
      }
    }
    for _ in 0..<1000 { outbox.post(.digit("5")) }
    outbox.post(.rekeyed(1))
    outbox.post(.closed(TransportStatistics()))
    let dropped = outbox.dropCount
    #expect(dropped == 2000 - 4 - 128)
    var last: [String] = []
    var isEmpty = false
    while !isEmpty {
      isEmpty = true
      while let event = lane.take() {
        isEmpty = false
        switch consume event {
        case .closed: last.append("closed")
        case .rekeyed: last.append("rekeyed")
        default: break
        }
      }
      outbox.flush()
    }
    let isLeft = outbox.hasWaiting
    #expect(!isLeft)
    #expect(last == ["rekeyed", "closed"])
  }
}
