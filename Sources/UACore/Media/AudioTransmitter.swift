internal import ModuleKit
internal import NetBase
internal import RTPStack

/// The sending half of an audio stream before RTP: source chain, encoder, telephone events.
struct AudioTransmitter: ~Copyable {
  // What every tick touches comes first.
  /// From an agreement to the stream's end.
  private var chain: (any AudioStage)?
  private var stream: StreamID?
  private var payloadType: UInt8?
  private var hasEnded = false
  private var samplesPerPacket: UInt32 = 160
  /// The same on the clock of telephone events.
  private var eventUnitsPerPacket: UInt32 = 160
  private var encoder: (any AudioEncoder)?
  private var resampler: Resampler?
  /// Samples of a frame, all channels; and of what it is resampled to for the encoder, where that is another format.
  private var frameCount = 0
  private var encoderCount = 0
  private var events = TelephoneEventSender(clockRate: 8000)
  /// Of what comes from the chain.
  private var format: AudioFormat?
  /// Frames that the encoder refused.
  private(set) var unencodable = 0
  /// Frames that the source did not have ready in time.
  var underruns: Int { (self.chain as? any LossyStage)?.lostFrames ?? 0 }

  /// Whether there is a chain.
  var isActive: Bool { self.chain != nil }

  /// Frames come from `chain` from now on.
  mutating func begin(_ chain: any AudioStage, _ plan: StagePlan) {
    (self.chain, self.stream, self.format) = (chain, plan.stream, plan.format)
  }

  /// Changes the format; digits that are sent, or wait, go on.
  ///
  /// - Parameter eventClockRate: by which the peer reads how long digits last; nil for the codec's.
  mutating func use(_ codec: NegotiatedCodec, packetTime: Int, eventClockRate: Int?) throws(ModuleError) {
    guard let format else { return }
    let encoder = try codec.codec.makeEncoder(codec.parameters)()
    self.payloadType = codec.payloadType
    self.encoder = encoder
    self.resampler =
      encoder.format == format ? nil : try Resampler(from: format, to: encoder.format)
    self.frameCount = format.sampleCount(milliseconds: packetTime)
    self.encoderCount = encoder.format.sampleCount(milliseconds: packetTime)
    self.samplesPerPacket = UInt32(codec.codec.clockRate * packetTime / 1000)
    let eventRate = eventClockRate ?? codec.codec.clockRate
    self.eventUnitsPerPacket = UInt32(eventRate * packetTime / 1000)
    self.events.change(clockRate: eventRate, timestampRate: codec.codec.clockRate)
  }

  /// Puts digits behind those that wait, and returns those for which too many do; what is no digit is passed over.
  mutating func send(digits: String) -> String {
    var refused = ""
    for digit in digits {
      if let event = TelephoneEvent(digit: digit), !self.events.enqueue(event) { refused.append(digit) }
    }
    return refused
  }

  func adapt(lossPercent: Int) { self.encoder?.adapt(lossPercent: lossPercent) }

  /// Another source of the same format; what the old one's end was says nothing about this one.
  mutating func replace(_ chain: any AudioStage, of stream: StreamID) {
    let old = self.chain
    self.chain = chain
    self.hasEnded = false
    old?.finish(stream)
  }

  func finish(_ stream: StreamID) { self.chain?.finish(stream) }

  /// A tick at which nothing may leave: time goes on.
  ///
  /// - Parameter isHeld: whether that is for long: a digit that was under way is over.
  mutating func pass(_ sender: inout RTPSender, isHeld: Bool) {
    if isHeld { self.events.interrupt() }
    sender.skip(samples: self.samplesPerPacket)
  }

  /// One tick: a frame from the chain, or a telephone event in its place, leaves as a packet. `.end` comes once.
  ///
  /// - Parameters:
  ///   - levelID: the header extension that tells how loud the frame is; nil for none.
  ///   - mediaID: the line that packets name; nil for none.
  mutating func transmit(
    _ sender: inout RTPSender, eventType: UInt8?, levelID: UInt8?, mediaID: SentMediaID?, isMuted: Bool, now: Instant,
    _ room: inout [Int16], _ scratch: inout [Int16], _ packet: inout [UInt8], output: any StreamOutput
  ) -> Verdict {
    guard let encoder, let payloadType else { return .drop }
    var verdict = Verdict.forward
    if case .end = self.produce(into: &room), !self.hasEnded {
      self.hasEnded = true
      verdict = .end
    }
    if let type = eventType {
      if self.sendEvent(&sender, type, mediaID, now: now, &packet, output: output) { return verdict }
    } else {
      self.events.interrupt()
    }
    if isMuted { room.silence(first: self.frameCount) }
    let frame = room.span.extracting(..<self.frameCount)
    if let resampler = self.resampler {
      scratch.enlarge(to: self.encoderCount)
      var all = scratch.mutableSpan
      var samples = all._mutatingExtracting(..<self.encoderCount)
      let produced = resampler.process(frame, into: &samples).produced
      // What is behind may be another call's.
      for index in min(produced, samples.count)..<samples.count { samples[index] = 0 }
    }
    let step = self.samplesPerPacket
    let level = levelID.map { (id: $0, byte: AudioLevel(of: frame).byte) }
    let elements = SentElements(audioLevel: level, mediaID: mediaID)
    let (isConverted, convertedCount) = (self.resampler != nil, self.encoderCount)
    packet.withPacket { packet in
      let capacity = packet.capacity
      let start = elements.headerLength
      var payload = packet.storage._mutatingExtracting(start..<capacity - 160)
      let result =
        isConverted
        ? encoder.encode(scratch.span.extracting(..<convertedCount), into: &payload)
        : encoder.encode(frame, into: &payload)
      switch result {
      case .payload(let count):
        let header = sender.next(samples: step, payloadType: payloadType, payloadCount: count, now: now)
        header.write(into: &packet.storage, elements)
        packet.count = start + count
        _ = output.send(packet: &packet)
      case .silence: sender.skip(samples: step)
      case .failed:
        sender.skip(samples: step)
        self.unencodable += 1
      }
    }
    return verdict
  }

  /// A packet without a payload leaves.
  mutating func transmitNothing(
    _ sender: inout RTPSender, mediaID: SentMediaID?, now: Instant, _ packet: inout [UInt8],
    output: any StreamOutput
  ) {
    guard let payloadType else { return }
    let elements = SentElements(mediaID: mediaID)
    packet.withPacket { packet in
      let header = sender.next(samples: 0, payloadType: payloadType, payloadCount: 0, now: now)
      packet.count = header.write(into: &packet.storage, elements)
      _ = output.send(packet: &packet)
    }
  }

  /// The frame is silent before, for it may be another's: a source need not write all of it.
  ///
  /// Mutating for the compiler's sake, which else copies the whole transmitter, 184 bytes, at each call.
  private mutating func produce(into room: inout [Int16]) -> Verdict {
    guard let chain, let stream else { return .drop }
    room.enlarge(to: self.frameCount)
    room.silence(first: self.frameCount)
    var all = room.mutableSpan
    var frame = AudioFrame(
      samples: all._mutatingExtracting(..<self.frameCount), direction: .transmit, stream: stream)
    return chain.process(&frame)
  }

  private mutating func sendEvent(
    _ sender: inout RTPSender, _ payloadType: UInt8, _ mediaID: SentMediaID?, now: Instant,
    _ packet: inout [UInt8], output: any StreamOutput
  ) -> Bool {
    let units = self.eventUnitsPerPacket
    guard let event = self.events.tick(timestamp: sender.timestamp, samples: units) else { return false }
    packet.withPacket { packet in
      let header = sender.event(
        timestamp: event.timestamp, marker: event.marker, payloadType: payloadType,
        payloadCount: TelephoneEventPayload.length)
      let start = header.write(into: &packet.storage, SentElements(mediaID: mediaID))
      event.payload.write(into: &packet.storage, at: start)
      packet.count = start + TelephoneEventPayload.length
      _ = output.send(packet: &packet)
    }
    sender.skip(samples: self.samplesPerPacket)
    return true
  }
}

extension AudioLevel {
  /// dBov above which a sender believes in a voice.
  private static let voice = -50.0

  /// The level of PCM that is about to be encoded.
  fileprivate init(of samples: Span<Int16>) {
    var gauge = LevelGauge()
    let level = gauge.add(samples, period: 0)?.rms ?? LevelGauge.silence
    // RFC 6464 §3: digital silence is the lowest level there is.
    let attenuation = level <= LevelGauge.silence ? 127 : UInt8(-level.rounded())
    self.init(attenuation: attenuation, hasVoice: level > Self.voice)
  }
}
