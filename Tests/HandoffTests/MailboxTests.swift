import Handoff
import Synchronization
import Testing

/// A message that can't be copied.
private struct Parcel: ~Copyable, Sendable {
  let sender: Int
  let number: Int
}

extension Mailbox<Parcel> {
  /// The oldest parcel's number.
  fileprivate func next() -> Int? {
    guard let parcel = self.take() else { return nil }
    return parcel.number
  }

  /// The number of the parcel that came back.
  fileprivate func refused(_ number: Int) -> Int? {
    guard let parcel = self.offer(Parcel(sender: 0, number: number)) else { return nil }
    return parcel.number
  }
}

@Suite struct MailboxTests {
  @Test("messages come in order, and each posting wakes the receiver")
  func order() {
    let wakes = Locked(0)
    let mailbox = Mailbox<Parcel>(capacity: 8) { wakes.withLock { $0 += 1 } }
    #expect(mailbox.next() == nil)
    for number in 0..<5 { #expect(mailbox.refused(number) == nil) }
    #expect(wakes.withLock { $0 } == 5)
    for number in 0..<5 { #expect(mailbox.next() == number) }
    #expect(mailbox.next() == nil && mailbox.dropCount == 0)
  }

  @Test("an urgent message finds room in the reserve when others don't, and waits its turn")
  func urgent() {
    let mailbox = Mailbox<Parcel>(capacity: 2, reserve: 1) {}
    for number in 0..<2 { #expect(mailbox.refused(number) == nil) }
    #expect(mailbox.refused(2) == 2)
    let isRefused = mailbox.offer(Parcel(sender: 0, number: 3), isUrgent: true) != nil
    let isRefusedThen = mailbox.offer(Parcel(sender: 0, number: 4), isUrgent: true) != nil
    #expect(!isRefused && isRefusedThen && mailbox.dropCount == 2)
    #expect(mailbox.next() == 0 && mailbox.next() == 1 && mailbox.next() == 3 && mailbox.next() == nil)
  }

  @Test("a full mailbox gives the message back, counts it and wakes no one")
  func full() {
    let wakes = Locked(0)
    let mailbox = Mailbox<Parcel>(capacity: 2) { wakes.withLock { $0 += 1 } }
    for number in 0..<2 { mailbox.post(Parcel(sender: 0, number: number)) }
    #expect(mailbox.refused(7) == 7)
    #expect(mailbox.refused(8) != nil)
    #expect(mailbox.dropCount == 2 && wakes.withLock { $0 } == 2)
    #expect(mailbox.next() == 0)
    #expect(mailbox.refused(2) == nil)
    #expect(mailbox.next() == 1 && mailbox.next() == 2)
  }

  @Test("a closed mailbox counts what waited and what comes later")
  func close() {
    let mailbox = Mailbox<Parcel>(capacity: 8) {}
    for number in 0..<3 { mailbox.post(Parcel(sender: 0, number: number)) }
    mailbox.close()
    #expect(mailbox.dropCount == 3 && mailbox.next() == nil)
    #expect(mailbox.refused(9) == 9)
    #expect(mailbox.dropCount == 4)
    mailbox.close()
    #expect(mailbox.dropCount == 4)
  }

  @Test("many producers: each one's messages stay in order, and all are taken or counted", arguments: [4, 1000])
  func producers(capacity: Int) {
    let mailbox = Mailbox<Parcel>(capacity: capacity) {}
    let (producers, each) = (4, 10_000)
    let running = Atomic<Int>(producers)
    let taken = Locked([Int](repeating: 0, count: producers))
    onThreads(producers + 1) { thread in
      if thread < producers {
        for number in 0..<each { mailbox.post(Parcel(sender: thread, number: number)) }
        running.subtract(1, ordering: .releasing)
        return
      }
      var last = [Int](repeating: -1, count: producers)
      while true {
        let isLast = running.load(ordering: .acquiring) == 0
        while let parcel = mailbox.take() {
          #expect(parcel.number > last[parcel.sender])
          last[parcel.sender] = parcel.number
          taken.withLock { $0[parcel.sender] += 1 }
        }
        if isLast { return }
      }
    }
    #expect(taken.withLock { $0.reduce(0, +) } + mailbox.dropCount == producers * each)
  }

  @Test("closing while others post loses count of nothing")
  func closeUnderFire() {
    for _ in 0..<50 {
      let mailbox = Mailbox<Parcel>(capacity: 64) {}
      let taken = Atomic<Int>(0)
      onThreads(3) { thread in
        if thread < 2 {
          for number in 0..<300 { mailbox.post(Parcel(sender: thread, number: number)) }
        } else {
          for _ in 0..<200 where mailbox.next() != nil { taken.add(1, ordering: .relaxed) }
          mailbox.close()
        }
      }
      #expect(taken.load(ordering: .relaxed) + mailbox.dropCount == 600)
    }
  }
}
