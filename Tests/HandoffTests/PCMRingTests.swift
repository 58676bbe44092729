import Handoff
import Testing

@Suite struct PCMRingTests {
  @Test("samples come out as they went in, around the end, and a full ring takes what fits")
  func order() {
    var ends = PCMRing(capacity: 10).ends()
    guard var writer = ends.writer.take(), var reader = ends.reader.take() else { return }
    let samples = (0..<12).map { Int16($0) }
    #expect(writer.write(samples.span) == 12, "the capacity is the next power of two")
    #expect(writer.write(samples.span) == 4)
    var heard = [Int16](repeating: -1, count: 16)
    var room = heard.mutableSpan
    #expect(reader.read(into: &room) == 16)
    #expect(heard == samples + [0, 1, 2, 3])
    room = heard.mutableSpan
    #expect(reader.read(into: &room) == 0)
  }

  @Test("the oldest samples can be left out, as far as there are any, and make room")
  func skip() {
    var ends = PCMRing(capacity: 8).ends()
    guard var writer = ends.writer.take(), var reader = ends.reader.take() else { return }
    let samples = (0..<8).map { Int16($0) }
    #expect(writer.write(samples.span) == 8)
    #expect(reader.skip(-1) == 0 && reader.skip(5) == 5 && reader.ready == 3)
    #expect(writer.write(samples.span) == 5)
    var heard = [Int16](repeating: -1, count: 4)
    var room = heard.mutableSpan
    #expect(reader.read(into: &room) == 4 && heard == [5, 6, 7, 0])
    #expect(reader.skip(100) == 4 && reader.ready == 0)
  }

  @Test("one thread writes and another reads: nothing is lost, doubled or torn")
  func twoThreads() {
    var ends = PCMRing(capacity: 256).ends()
    let writer = Locked(ends.writer.take())
    let reader = Locked(ends.reader.take())
    let total = 100_000
    onThreads(2) { thread in
      if thread == 0 {
        guard var end = writer.withLock({ $0.take() }) else { return }
        var next = 0
        while next < total {
          let block = (next..<min(next + 77, total)).map { Int16(truncatingIfNeeded: $0) }
          next += end.write(block.span)
        }
      } else {
        guard var end = reader.withLock({ $0.take() }) else { return }
        var block = [Int16](repeating: 0, count: 100)
        var next = 0
        while next < total {
          var room = block.mutableSpan
          let count = end.read(into: &room)
          for index in 0..<count {
            #expect(block[index] == Int16(truncatingIfNeeded: next + index))
          }
          next += count
        }
      }
    }
  }
}
