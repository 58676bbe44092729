import NetBase
import RTPStack
import Testing

/// RFC 4585 and RFC 5104: what a video stream is told and tells.
@Suite("Video feedback") struct VideoFeedbackTests {
  private func read(_ feedback: inout RTCPFeedback, _ packet: [UInt8]) throws -> (FeedbackContents, [UInt16]) {
    var missing: [UInt16] = []
    let contents = try packet.withRawSpan { span throws in
      var compound = try RTCPCompound(span)
      return feedback.receive(&compound, in: span) { missing.append($0) }
    }
    return (contents, missing)
  }

  private func nack(_ numbers: [UInt16]) -> [UInt8] {
    .written { room in
      var (writer, lost) = (RTCPWriter(), LostNumbers())
      for number in numbers { lost.append(number) }
      writer.nack(sender: 7, source: 9, lost, into: &room)
      return writer.count
    }
  }

  @Test("a generic NACK is what RFC 4585 §6.2.1 draws, in the fewest words")
  func wire() {
    #expect(self.nack([0x10, 0x11, 0x20, 0x21]) == bytes("81CD0004 00000007 00000009 00108001 00210000"))
    #expect(self.nack([0xFFFE, 0xFFFF, 0, 0xE]) == bytes("81CD0003 00000007 00000009 FFFE8003"))
    #expect(self.nack([5, 5]) == bytes("81CD0003 00000007 00000009 00050000"))
  }

  @Test("a picture loss indication is what RFC 4585 §6.3.1 draws, and is read")
  func pictureLoss() throws {
    let packet = [UInt8].written { room in
      var writer = RTCPWriter()
      writer.pictureLoss(sender: 7, source: 9, into: &room)
      return writer.count
    }
    #expect(packet == bytes("81CE0002 00000007 00000009"))
    var (ours, theirs) = (RTCPFeedback(ssrc: 9), RTCPFeedback(ssrc: 7))
    #expect(try self.read(&ours, packet).0 == FeedbackContents(wantsKeyFrame: true))
    #expect(try self.read(&ours, packet).0 == FeedbackContents(wantsKeyFrame: true))
    #expect(try self.read(&theirs, packet).0 == FeedbackContents())
  }

  @Test("a full intra request is what RFC 5104 §4.3.1.1 draws, and is read")
  func writtenIntraRequest() throws {
    func request(_ number: UInt8) -> [UInt8] {
      [UInt8].written { room in
        var writer = RTCPWriter()
        writer.fullIntraRequest(sender: 7, source: 9, number: number, into: &room)
        return writer.count
      }
    }
    #expect(request(0xA5) == bytes("84CE0004 00000007 00000000 00000009 A5000000"))
    var (ours, theirs) = (RTCPFeedback(ssrc: 9), RTCPFeedback(ssrc: 7))
    #expect(try self.read(&ours, request(1)).0 == FeedbackContents(wantsKeyFrame: true))
    #expect(try self.read(&ours, request(1)).0 == FeedbackContents())
    #expect(try self.read(&ours, request(2)).0 == FeedbackContents(wantsKeyFrame: true))
    #expect(try self.read(&theirs, request(3)).0 == FeedbackContents())
  }

  @Test("test_jbuf_gnack: exactly the numbers that are asked for are read", arguments: Array(UInt64(1)...20))
  func numbers(seed: UInt64) throws {
    var random = SeededRandom(seed)
    var numbers: [UInt16] = []
    var number = UInt16(65_400)
    for _ in 0..<RTCPFeedback.maximumLost {
      number &+= .random(in: 1...(seed % 2 == 0 ? 60 : 4), using: &random)
      numbers.append(number)
    }
    let packet = self.nack(numbers)
    #expect(packet.count <= 12 + 4 * RTCPFeedback.maximumLost)
    var feedback = RTCPFeedback(ssrc: 9)
    let (contents, missing) = try self.read(&feedback, packet)
    #expect(contents == FeedbackContents(hasMissing: true) && missing == numbers)
    var other = RTCPFeedback(ssrc: 8)
    #expect(try self.read(&other, packet) == (FeedbackContents(), []))
  }

  @Test("the list takes as many numbers as it says, however far apart they are")
  func full() {
    var lost = LostNumbers()
    for index in 0..<RTCPFeedback.maximumLost {
      let isTaken = lost.append(UInt16(index * 100))
      #expect(isTaken)
    }
    let (isTaken, isNear) = (lost.append(60_000), lost.append(6301))
    #expect(!isTaken && isNear && lost.wordCount == RTCPFeedback.maximumLost)
  }

  @Test("a full intra request counts once for each number, and names its source itself (RFC 5104 §4.3.1)")
  func fullIntraRequest() throws {
    var feedback = RTCPFeedback(ssrc: 9)
    func wants(_ hex: String) throws -> Bool { try self.read(&feedback, bytes(hex)).0.wantsKeyFrame }
    // For another source, and then for ours.
    #expect(try wants("84CE0006 00000007 00000000 00000008 04000000 00000009 05000000"))
    #expect(try !wants("84CE0004 00000007 00000000 00000009 05000000"))
    #expect(try wants("84CE0004 00000007 00000000 00000009 06000000"))
    // Another sender's numbers are its own.
    #expect(try wants("84CE0004 00000006 00000000 00000009 06000000"))
    #expect(try !wants("84CE0004 00000007 00000009 00000008 07000000"))
    // Half an entry is none.
    #expect(try !wants("84CE0003 00000007 00000000 00000009"))
  }

  @Test("one pass reads a compound packet: the reports are skipped, and feedback of other kinds and for others")
  func compound() throws {
    var feedback = RTCPFeedback(ssrc: 9)
    let report = "80C90001 00000007"
    let transportWide = "8FCD0005 00000007 00000009 00010001 00000000 C0000000"
    let (contents, missing) = try self.read(
      &feedback, bytes(report + transportWide + "81CD0003 00000007 00000009 000A8000" + "81CE0002 00000007 00000009"))
    #expect(contents == FeedbackContents(wantsKeyFrame: true, hasMissing: true) && missing == [10, 26])
    let none = try self.read(&feedback, bytes("81CD0002 00000007 00000009" + "82CE0003 00000007 00000009 00000000"))
    #expect(none == (FeedbackContents(), []))
  }

  @Test("random changes never trap")
  func fuzz() {
    var random = SeededRandom(8)
    var feedback = RTCPFeedback(ssrc: 9)
    let whole = self.nack([1, 40, 90]) + bytes("84CE0004 00000007 00000000 00000009 05000000")
    for _ in 0..<20_000 {
      var packet = whole
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        packet[Int.random(in: 0..<packet.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      _ = try? self.read(&feedback, packet)
    }
  }
}
