internal import ModuleKit
internal import NetBase
internal import RTPStack

/// The sending half of an audio stream before RTP: source chain, encoder, telephone events.
struct AudioTransmitter: ~Copyable {
  private var chain: any AudioStage
  private let plan: StagePlan
  private var payloadType: UInt8?
  private var encoder: (any AudioEncoder)?
  private var resampler: Resampler?
  private var events = TelephoneEventSender(clockRate: 8000)
  private var frame: [Int16] = []
  private var encoderFrame: [Int16] = []
  /// RTP header, payload, and room for an SRTP trailer.
  private var room = [UInt8](repeating: 0, count: 1500)
  private var hasEnded = false
  private var samplesPerPacket: UInt32 = 160
  /// The same on the clock of telephone events.
  private var eventUnitsPerPacket: UInt32 = 160
  /// Frames that the encoder refused.
  private(set) var unencodable = 0
  /// Frames that the source did not have ready in time.
  var underruns: Int { (self.chain as? any LossyStage)?.lostFrames ?? 0 }

  init(chain: any AudioStage, plan: StagePlan) {
    self.chain = chain
    self.plan = plan
  }

  /// Changes the format; digits that are sent, or wait, go on.
  ///
  /// - Parameter eventClockRate: by which the peer reads how long digits last; nil for the codec's.
  mutating func use(_ codec: NegotiatedCodec, packetTime: Int, eventClockRate: Int?) throws(ModuleError) {
    let encoder = try codec.codec.makeEncoder(codec.parameters)()
    self.payloadType = codec.payloadType
    self.encoder = encoder
    self.resampler =
      encoder.format == self.plan.format ? nil : try Resampler(from: self.plan.format, to: encoder.format)
    self.frame = Array(repeating: 0, count: self.plan.format.sampleCount(milliseconds: packetTime))
    self.encoderFrame = Array(repeating: 0, count: encoder.format.sampleCount(milliseconds: packetTime))
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
    old.finish(stream)
  }

  func finish(_ stream: StreamID) { self.chain.finish(stream) }

  /// A tick at which nothing may leave: time goes on.
  func pass(_ sender: inout RTPSender) { sender.skip(samples: self.samplesPerPacket) }

  /// One tick: a frame from the chain, or a telephone event in its place, leaves as a packet. `.end` comes once.
  ///
  /// - Parameters:
  ///   - levelID: the header extension that tells how loud the frame is; nil for none.
  ///   - mediaID: the line that packets name; nil for none.
  mutating func transmit(
    _ sender: inout RTPSender, eventType: UInt8?, levelID: UInt8?, mediaID: SentMediaID?, isMuted: Bool, now: Instant,
    output: any StreamOutput
  ) -> Verdict {
    guard let encoder, let payloadType else { return .drop }
    var verdict = Verdict.forward
    if case .end = self.produce(), !self.hasEnded {
      self.hasEnded = true
      verdict = .end
    }
    if let type = eventType, self.sendEvent(&sender, type, mediaID, now: now, output: output) { return verdict }
    if isMuted { for index in self.frame.indices { self.frame[index] = 0 } }
    if let resampler = self.resampler {
      var converted: [Int16] = []
      swap(&converted, &self.encoderFrame)
      var samples = converted.mutableSpan
      _ = resampler.process(self.frame.span, into: &samples)
      swap(&converted, &self.encoderFrame)
    }
    let step = self.samplesPerPacket
    let level = levelID.map { (id: $0, byte: AudioLevel(of: self.frame.span).byte) }
    let elements = SentElements(audioLevel: level, mediaID: mediaID)
    var room = self.takeRoom()
    room.withPacket { packet in
      let capacity = packet.capacity
      let start = elements.headerLength
      let result = self.encode(encoder, into: &packet.storage, start..<capacity - 160)
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
    self.room = room
    return verdict
  }

  /// A packet without a payload leaves.
  mutating func transmitNothing(
    _ sender: inout RTPSender, mediaID: SentMediaID?, now: Instant, output: any StreamOutput
  ) {
    guard let payloadType else { return }
    let elements = SentElements(mediaID: mediaID)
    self.room.withPacket { packet in
      let header = sender.next(samples: 0, payloadType: payloadType, payloadCount: 0, now: now)
      packet.count = header.write(into: &packet.storage, elements)
      _ = output.send(packet: &packet)
    }
  }

  /// The room for a packet, taken out so that it can be written while the rest is read; nothing is copied.
  private mutating func takeRoom() -> [UInt8] {
    var taken: [UInt8] = []
    swap(&taken, &self.room)
    return taken
  }

  private mutating func produce() -> Verdict {
    var samples: [Int16] = []
    swap(&samples, &self.frame)
    defer { swap(&samples, &self.frame) }
    var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: self.plan.stream)
    return self.chain.process(&frame)
  }

  private func encode(
    _ encoder: any AudioEncoder, into storage: inout MutableRawSpan, _ range: Range<Int>
  ) -> EncodeResult {
    let samples = self.resampler == nil ? self.frame : self.encoderFrame
    var payload = storage._mutatingExtracting(range)
    return encoder.encode(samples.span, into: &payload)
  }

  private mutating func sendEvent(
    _ sender: inout RTPSender, _ payloadType: UInt8, _ mediaID: SentMediaID?, now: Instant, output: any StreamOutput
  ) -> Bool {
    let units = self.eventUnitsPerPacket
    guard let event = self.events.tick(timestamp: sender.timestamp, samples: units) else { return false }
    self.room.withPacket { packet in
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
