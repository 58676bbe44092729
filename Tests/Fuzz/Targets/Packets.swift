import NetBase
import RTPStack

/// RTP, RTCP and what they carry.
enum Packets {
  /// Pieces are packets; they go through the receiver and the jitter buffer as well.
  static func rtp(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    var receiver = RTPReceiver(clockRate: 8000)
    var now = Instant(nanoseconds: 0)
    var buffer = JitterBuffer(
      mode: .adaptive(milliseconds: 20...200), clockRate: 8000, packetSamples: 160, slotCount: 8, start: now)
    var arrivals = TransportFeedback(origin: now)
    while !reader.isAtEnd {
      let packet = reader.piece()
      now = now.advanced(byMilliseconds: Int64(reader.byte()))
      packet.withRawSpan { packet in
        guard let header = try? RTPHeader(parsing: packet) else { return }
        let payload = packet.extracting(header.payload)
        if let headerExtension = header.headerExtension, var elements = HeaderExtensionElements(headerExtension) {
          var last = headerExtension.bytes.lowerBound
          while let element = elements.next(in: packet) {
            require(element.id > 0 && element.bytes.lowerBound > last, "elements overlap")
            require(element.bytes.upperBound <= headerExtension.bytes.upperBound, "an element beyond its extension")
            last = element.bytes.upperBound - 1
          }
        }
        for index in 0..<header.contributingSourceCount { _ = header.contributingSource(index, in: packet) }
        if let level = header.audioLevel(3, in: packet) {
          require(AudioLevel(level.byte) == level, "a level that was read is written as another")
        }
        switch receiver.receive(header, now: now) {
        case .accepted, .restarted, .changedSource:
          if header.payloadType == self.redundant {
            self.takeBlocks(of: header, payload, into: &buffer, now: now)
          } else {
            _ = buffer.insert(header, payload: payload, now: now)
          }
          if let number = header.transportNumber(1, in: packet) { arrivals.note(number, now: now) }
        case .duplicate, .suspect: break
        }
      }
      // Packets may come together.
      if packet.count & 1 == 0, case .packet = buffer.pop(now: now) { _ = buffer.payload.byteCount }
      var room = [UInt8](repeating: 0, count: TransportFeedback.roomNeeded)
      room.withPacket { $0.count = arrivals.timeout(now: now, ssrc: 1, source: 2, into: &$0.storage) }
    }
    let counted = buffer.statistics
    require(counted.accounted <= counted.inserted, "more packets left the buffer than came")
    _ = receiver.takeReport()
  }

  /// The payload type that stands for redundant audio.
  private static let redundant: UInt8 = 63

  private static func takeBlocks(
    of header: RTPHeader, _ payload: RawSpan, into buffer: inout JitterBuffer, now: Instant
  ) {
    guard let blocks = RedundantPayload(parsing: payload) else { return }
    _ = buffer.insert(header, payload: payload.extracting(blocks.primary.bytes), now: now)
    for index in 0..<blocks.redundantCount {
      let block = blocks.redundant(index)
      _ = buffer.recover(
        header, age: block.timestampOffset, payloadType: block.payloadType, payload: payload.extracting(block.bytes),
        now: now)
    }
  }

  static func rtcp(_ bytes: [UInt8]) {
    var random = SplitMix(state: 1)
    var session = RTCPSession(
      ssrc: 1, canonicalName: [97], wallClock: WallClock(unixNanosecondsAtOrigin: 0), now: Instant(nanoseconds: 0),
      random: &random)
    var reader = InputReader(bytes)
    var now = Instant(nanoseconds: 0)
    while !reader.isAtEnd {
      let packet = reader.piece()
      now = now.advanced(byMilliseconds: Int64(reader.byte()) * 10)
      packet.withRawSpan { span in
        _ = try? session.receive(span, now: now)
        guard var compound = try? RTCPCompound(span) else { return }
        var total = 0
        while let packet = compound.next() { total += packet.body.count + 4 }
        require(total <= span.byteCount, "more RTCP than bytes")
      }
    }
  }

  static func classes(_ bytes: [UInt8]) {
    bytes.withRawSpan { span in
      switch PacketClass(span) {
      case .rtp, .rtcp: require(bytes[0] >> 6 == 2, "RTP without its version")
      case .stun: require(bytes[0] < 4, "STUN")
      case .dtls: require((20...63).contains(bytes[0]), "DTLS")
      case .turnChannel: require((64...79).contains(bytes[0]), "TURN")
      case .unknown: break
      }
    }
  }

  static func telephoneEvents(_ bytes: [UInt8]) {
    var reader = InputReader(bytes)
    var receiver = TelephoneEventReceiver(clockRate: 8000)
    var now = Instant(nanoseconds: 0)
    var lasting = 0
    while !reader.isAtEnd {
      let payload = reader.piece()
      let wait = reader.byte()
      now = now.advanced(byMilliseconds: Int64(wait) * 4)
      payload.withRawSpan {
        receiver.receive($0, timestamp: UInt32(reader.byte()) * 160, isReordered: wait == 0, now: now)
      }
      receiver.timeout(now: now)
      while let report = receiver.poll() {
        switch report {
        case .started: lasting += 1
        case .ended: lasting -= 1
        }
        require((0...1).contains(lasting), "an event began or ended twice")
      }
    }
  }
}

struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    self.state &+= 0x9E37_79B9_7F4A_7C15
    var value = self.state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}

/// A reader of header extensions that trusts one length too many.
enum Planted {
  static func read(_ bytes: [UInt8]) {
    guard bytes.count > 16, bytes[0] >> 6 == 2, bytes[0] & 0x10 != 0, bytes[12] == 0xBE, bytes[13] == 0xDE else {
      return
    }
    let end = 16 + 4 * Int(bytes[15])
    var place = 16
    while place < min(end, bytes.count) {
      let length = Int(bytes[place] & 0xF) + 1
      // The mistake: nothing says that the element is all there.
      _ = bytes[place + length]
      place += length + 1
    }
  }
}
