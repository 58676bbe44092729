internal import NetBase
internal import Testing

@testable internal import SIPStack

@Suite("Deadline heap")
struct DeadlineHeapTests {
  @Test("against a plain list: set, move, stop and release in any order")
  func model() {
    var generator = SeededGenerator(seed: 5)
    var heap = DeadlineHeap()
    var model: [DeadlineHeap.Slot: Instant?] = [:]
    let owner = ServerTransactionOwner.make()
    for _ in 0..<4_000 {
      let slots = model.keys.sorted { $0.hashValue < $1.hashValue }
      switch Int.random(in: 0..<10, using: &generator) {
      case 0...2 where slots.count < 60:
        let slot = heap.reserve()
        heap.assign(owner, to: slot)
        model[slot] = .some(nil)
      case 3:
        guard let slot = slots.randomElement(using: &generator) else { continue }
        heap.release(slot)
        model[slot] = nil
      case 4:
        guard let slot = slots.randomElement(using: &generator) else { continue }
        heap.set(slot, to: nil)
        model[slot] = .some(nil)
      default:
        guard let slot = slots.randomElement(using: &generator) else { continue }
        let deadline = Instant(nanoseconds: .random(in: 0..<1_000, using: &generator))
        heap.set(slot, to: deadline)
        model[slot] = .some(deadline)
      }
      #expect(heap.first?.deadline == model.values.compactMap(\.self).min())
      #expect(heap.count == model.count)
    }
  }
}

/// Some owner; the heap only hands it back.
enum ServerTransactionOwner {
  static func make() -> DeadlineHeap.Owner {
    var heap = DeadlineHeap()
    let path = SIPPath(peer: Pair.addressA, local: Pair.addressB, transport: .udp)
    let request = SIPMessage(.request(.options, Pair.uri("sip:a@b")))
    return .client(
      ClientTransaction(
        key: ClientTransactionKey(branch: "x", method: .options), serial: 1, timer: heap.reserve(), request: request,
        path: path, user: .nobody, submission: Submission(), timers: TransactionTimers(), now: Instant(nanoseconds: 0)))
  }
}
