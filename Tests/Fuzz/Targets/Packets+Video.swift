import NetBase
import RTPStack

/// What the packets of a video stream go through besides.
extension Packets {
  /// Pieces are packets, sent and received: their frames, what is missing of them, and each of them sent again.
  static func video(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    var now = Instant(nanoseconds: 0)
    var assembler = FrameAssembler(capacity: 16)
    assembler.asksForLost = bytes.count & 1 == 0
    var history = SendHistory(capacity: 8)
    var next: Int64 = 0
    while !reader.isAtEnd {
      let packet = reader.piece()
      let byte = reader.byte()
      now = now.advanced(byMilliseconds: Int64(byte))
      packet.withRawSpan { packet in
        guard let header = try? RTPHeader(parsing: packet) else { return }
        if let media = header.mediaID(2, in: packet) {
          require(media.upperBound <= header.payload.lowerBound, "a media identification beyond the header")
        }
        let payload = packet.extracting(header.payload)
        assembler.insert(
          header, payload: payload, beginsFrame: byte & 1 == 0, isOfKeyFrame: byte & 2 == 0, now: now)
        history.store(sequence: header.sequenceNumber, packet, now: now)
        self.sendAgain(header, packet)
      }
      if let deadline = assembler.nextDeadline, deadline <= now { assembler.timeout(now: now) }
      while let frame = assembler.nextFrame() {
        require(frame.sequences.lowerBound >= next && frame.sequences.count <= 16, "a frame out of order")
        next = frame.sequences.upperBound + 1
        var length = 0
        for sequence in frame.sequences { length += assembler.payload(of: sequence).byteCount }
        require(length > 0, "a frame of nothing")
        if byte & 12 == 0 { assembler.reject(frame) } else if byte & 12 != 4 { assembler.release(frame) }
      }
      var missing = 0
      assembler.takeMissing(now: now, roundTrip: nil) { number in
        missing += 1
        if history.mayResend(number, now: now, roundTrip: nil) {
          require(history.packet(number) != nil, "a packet to be sent again is gone")
        }
      }
      require(missing <= RTCPFeedback.maximumLost, "more is asked for than a packet holds")
      _ = assembler.takeKeyFrameRequest(now: now)
      if byte == 0xFF { assembler.reset() }
    }
  }

  /// The retransmission of a packet has what the packet had.
  private static func sendAgain(_ header: RTPHeader, _ packet: RawSpan) {
    var room = [UInt8](repeating: 0, count: packet.byteCount + RTXPayload.overhead)
    room.withPacket { written in
      written.count = RTXPayload.write(
        original: packet, payloadType: 97, sequenceNumber: 1, ssrc: 2, into: &written.storage)
    }
    room.withRawSpan { again in
      let length = header.payload.upperBound + RTXPayload.overhead
      guard let repeated = try? RTPHeader(parsing: again.extracting(0..<length)) else {
        return require(false, "a retransmission that is no packet")
      }
      let payload = again.extracting(repeated.payload)
      require(RTXPayload.original(of: payload) == header.sequenceNumber, "another number is sent again")
      require(
        payload.extracting(RTXPayload.overhead..<payload.byteCount).copied()
          == packet.extracting(header.payload).copied(),
        "another payload is sent again")
    }
  }

  /// Pieces are compound packets: what is asked for is written and read again.
  static func feedback(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    var feedback = RTCPFeedback(ssrc: 1)
    while !reader.isAtEnd {
      let packet = reader.piece()
      _ = reader.byte()
      let missing = self.missing(in: packet, &feedback)
      var lost = LostNumbers()
      let kept = missing.prefix { lost.append($0) }
      guard lost.wordCount > 0 else { continue }
      var room = [UInt8](repeating: 0, count: 12 + 4 * lost.wordCount)
      room.withPacket { packet in
        var writer = RTCPWriter()
        writer.nack(sender: 2, source: 1, lost, into: &packet.storage)
        require(writer.count == packet.count, "a NACK of another length")
      }
      require(Set(self.missing(in: room, &feedback)) == Set(kept), "other numbers are asked for")
    }
  }

  private static func missing(in packet: [UInt8], _ feedback: inout RTCPFeedback) -> [UInt16] {
    packet.withRawSpan { span in
      guard var compound = try? RTCPCompound(span) else { return [] }
      var numbers: [UInt16] = []
      let contents = feedback.receive(&compound, in: span) { numbers.append($0) }
      require(contents.hasMissing != numbers.isEmpty, "numbers without a request for them")
      return numbers
    }
  }
}
