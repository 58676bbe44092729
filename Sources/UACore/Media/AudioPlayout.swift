internal import ModuleKit
internal import NetBase
internal import RTPStack

/// The receiving half of an audio stream after RTP: jitter buffer, decoders, playout queue.
struct AudioPlayout: ~Copyable {
  /// What every packet asks of its decoder: plain values, for a copy of all of it would count references.
  private struct Timing {
    let payloadType: UInt8
    let clockRate: Int
    let format: AudioFormat

    /// Timestamp units for decoded samples, all channels.
    func duration(of count: Int) -> Int { count / self.format.channels * self.clockRate / self.format.sampleRate }
  }

  private struct Decoder {
    let timing: Timing
    let decoder: any AudioDecoder
    let resampler: Resampler?

    init(_ codec: NegotiatedCodec, _ decoder: any AudioDecoder, _ resampler: Resampler?) {
      self.timing = Timing(
        payloadType: codec.payloadType, clockRate: codec.codec.clockRate, format: decoder.format)
      (self.decoder, self.resampler) = (decoder, resampler)
    }
  }

  struct Figures {
    /// Packets that came after their time.
    var late: UInt64 = 0
    /// Lost packets whose payload came with a later one.
    var recovered: UInt64 = 0
    /// Milliseconds that were made up.
    var concealed = 0.0
    var playedFrames = 0
    /// Samples that came out of decoders, all channels.
    var decodedSamples = 0
    /// Payloads that no decoder took.
    var malformed = 0
    /// The delay that the buffer adds, milliseconds.
    var delay = 0.0
  }

  /// The decoder that is in use, beside the rest of what a packet needs.
  private var current: Decoder?
  /// What the last packet decoded to, where nothing had to be resampled.
  private var directCount: Int?
  private var hasHeard = false
  private var bufferRate: Int
  /// Of the RTP clock, in the packet that is expected.
  private var packetSamples: Int
  private var counted = Figures()
  private var queue: PCMQueue
  private var buffer: JitterBuffer
  private let format: AudioFormat
  private let settings: JitterBufferSettings
  private var codecs: [NegotiatedCodec] = []
  /// Of former agreements, where the number is not used again.
  private var formerCodecs: [NegotiatedCodec] = []
  /// Until when these may still come: the peer sends them until it has our answer, and what it sent is on its way then
  /// (RFC 3264 §8.3.2). Over as soon as it sends what was agreed on.
  private var formerEnd = Instant(nanoseconds: .min)
  /// Milliseconds; a 200 that is lost is repeated after 500, 1,000 and 2,000.
  static let formerTime: Int64 = 4000
  private var decoders: [Decoder] = []
  /// By buffers that are gone.
  private var lateBefore: UInt64 = 0
  private var recoveredBefore: UInt64 = 0
  /// Samples of the longest packet that may come, decoded or made up.
  private var longest: Int

  /// - Parameter format: of the PCM that goes on.
  init(format: AudioFormat, settings: JitterBufferSettings, clockRate: Int, packetTime: Int, now: Instant) {
    self.format = format
    self.settings = settings
    self.bufferRate = clockRate
    self.packetSamples = max(1, clockRate * packetTime / 1000)
    self.buffer = Self.makeBuffer(settings, clockRate, self.packetSamples, now)
    self.queue = PCMQueue(capacity: format.sampleCount(milliseconds: 280))
    self.longest = Self.longestPacket(format)
  }

  /// What there is before an agreement: no format comes.
  init(now: Instant) {
    var none = JitterBufferSettings()
    (none.kind, none.size) = (.off, 2)
    self.init(
      format: AudioFormat(sampleRate: 8000, channels: 1), settings: none, clockRate: 8000, packetTime: 1, now: now)
  }

  /// The formats that may come from now on, and those of before for a little while. What waits in a former one is played,
  /// unless its number means something else.
  mutating func accept(_ codecs: [NegotiatedCodec], now: Instant) {
    let known = self.codecs + self.formerCodecs
    if self.codecs.contains(where: { old in !codecs.contains { $0.payloadType == old.payloadType } }) {
      self.formerEnd = now.advanced(byMilliseconds: Self.formerTime)
    }
    self.decoders.removeAll { decoder in
      let payloadType = decoder.timing.payloadType
      let former = known.first { $0.payloadType == payloadType }
      return codecs.contains { $0.payloadType == payloadType && !$0.isSame(as: former) }
    }
    self.formerCodecs = known.filter { former in !codecs.contains { $0.payloadType == former.payloadType } }
    self.current = nil
    self.codecs = codecs
  }

  /// Mutating for the compiler's sake: to read it copies the whole playout, 832 bytes, at each call.
  mutating func clockRate(of payloadType: UInt8, now: Instant) -> Int? {
    if let timing = self.current?.timing, timing.payloadType == payloadType { return timing.clockRate }
    if let agreed = self.codecs.first(where: { $0.payloadType == payloadType }) {
      self.formerEnd = Instant(nanoseconds: .min)
      return agreed.codec.clockRate
    }
    guard now < self.formerEnd else { return nil }
    return self.formerCodecs.first { $0.payloadType == payloadType }?.codec.clockRate
  }

  /// Whether packets have come, so that there is something to play.
  var isActive: Bool { self.hasHeard }

  var figures: Figures {
    var figures = self.counted
    (figures.late, figures.delay) = (self.late, self.buffer.targetDelay)
    figures.recovered = self.recovered
    return figures
  }

  private var late: UInt64 { self.lateBefore + self.buffer.statistics.late + self.buffer.statistics.overflow }

  private var recovered: UInt64 { self.recoveredBefore + self.buffer.statistics.recovered }

  mutating func insert(_ header: RTPHeader, payload: RawSpan, packetTime: Int, now: Instant) {
    if let rate = self.clockRate(of: header.payloadType, now: now), rate != self.bufferRate {
      (self.lateBefore, self.recoveredBefore) = (self.late, self.recovered)
      (self.bufferRate, self.packetSamples) = (rate, max(1, rate * packetTime / 1000))
      self.buffer = Self.makeBuffer(self.settings, rate, self.packetSamples, now)
    }
    self.hasHeard = true
    _ = self.buffer.insert(header, payload: payload, now: now)
  }

  /// Takes a packet of redundant audio data (RFC 2198), or counts it where it is malformed, or its own payload of no format here.
  mutating func insert(redundant header: RTPHeader, payload: RawSpan, packetTime: Int, now: Instant) {
    guard let redundant = RedundantPayload(parsing: payload),
      self.clockRate(of: redundant.primary.payloadType, now: now) != nil
    else {
      self.counted.malformed += 1
      return
    }
    var own = header
    own.payloadType = redundant.primary.payloadType
    self.insert(own, payload: payload.extracting(redundant.primary.bytes), packetTime: packetTime, now: now)
    for index in (0..<redundant.redundantCount).reversed() {
      let block = redundant.redundant(index)
      guard !block.bytes.isEmpty, self.clockRate(of: block.payloadType, now: now) == self.bufferRate else { continue }
      _ = self.buffer.recover(
        header, age: block.timestampOffset, payloadType: block.payloadType,
        payload: payload.extracting(block.bytes), now: now)
    }
  }

  /// A packet of the stream that carries no audio.
  mutating func note(_ header: RTPHeader) { self.buffer.note(header) }

  /// The source restarted.
  mutating func reset() { self.buffer.reset() }

  /// Fills one tick's frame.
  ///
  /// - Parameter scratch: others use it too; it grows to what this stream needs.
  mutating func play(into frame: inout MutableSpan<Int16>, scratch: inout [Int16], now: Instant) {
    self.counted.playedFrames += 1
    if self.queue.count == 0, self.directCount == frame.count {
      let pop = self.buffer.pop(now: now)
      if case .packet(let packet) = pop, let count = self.decode(packet, straightInto: &frame) {
        guard count < frame.count else { return }
        self.enqueue(frame.span.extracting(..<count), nil)
      } else {
        self.enqueue(pop, frame.count, &scratch)
      }
    }
    while self.queue.count < frame.count { self.enqueue(self.buffer.pop(now: now), frame.count, &scratch) }
    self.queue.take(into: &frame)
  }

  private mutating func enqueue(_ pop: JitterBuffer.Pop, _ count: Int, _ scratch: inout [Int16]) {
    switch pop {
    case .packet(let packet): self.decode(packet, &scratch)
    case .missing(let samples): self.conceal(samples, hasNext: true, &scratch)
    case .conceal(let samples): self.conceal(samples, hasNext: false, &scratch)
    case .silence(let samples): self.queue.appendSilence(max(1, self.pcmCount(samples)))
    case .buffering, .empty: self.queue.appendSilence(count - self.queue.count)
    }
  }

  /// The usual case: a packet is as long as a frame, and needs no room of its own. Nil when the decoder did not take it;
  /// one that finds too little room has changed nothing.
  private mutating func decode(
    _ packet: JitterBuffer.PlayedPacket, straightInto frame: inout MutableSpan<Int16>
  ) -> Int? {
    guard let timing = self.current?.timing, timing.payloadType == packet.payloadType,
      let count = self.current?.decoder.decode(self.buffer.payload, into: &frame), count > 0
    else { return nil }
    self.buffer.decoded(samples: timing.duration(of: count))
    self.counted.decodedSamples += count
    self.directCount = count
    return count
  }

  private mutating func decode(_ packet: JitterBuffer.PlayedPacket, _ scratch: inout [Int16]) {
    guard let decoder = self.decoder(of: packet.payloadType) else {
      self.counted.malformed += 1
      return self.conceal(self.packetSamples, hasNext: false, &scratch)
    }
    self.enlarge(&scratch)
    var all = scratch.mutableSpan
    var samples = all._mutatingExtracting(..<self.longest)
    let decoded = decoder.decoder.decode(self.buffer.payload, into: &samples)
    if let count = decoded, count > 0 {
      self.buffer.decoded(samples: decoder.timing.duration(of: count))
      self.counted.decodedSamples += count
      self.enqueue(scratch.span.extracting(..<count), decoder.resampler)
      self.directCount = decoder.resampler == nil ? count : nil
    } else {
      self.counted.malformed += 1
      self.conceal(self.packetSamples, hasNext: false, &scratch)
    }
  }

  private mutating func conceal(_ samples: Int, hasNext: Bool, _ scratch: inout [Int16]) {
    let milliseconds = Double(samples) * 1000 / Double(self.bufferRate)
    self.counted.concealed += milliseconds
    guard let decoder = self.current else { return self.queue.appendSilence(max(1, self.pcmCount(samples))) }
    let native = decoder.timing.format
    let count = min(max(1, samples * native.sampleRate / decoder.timing.clockRate) * native.channels, self.longest)
    self.enlarge(&scratch)
    do {
      var all = scratch.mutableSpan
      var room = all._mutatingExtracting(..<count)
      if hasNext, let following = self.buffer.followingPayload {
        decoder.decoder.conceal(next: following, into: &room)
      } else {
        decoder.decoder.conceal(next: nil, into: &room)
      }
    }
    self.enqueue(scratch.span.extracting(..<count), decoder.resampler)
  }

  private func enlarge(_ scratch: inout [Int16]) {
    if scratch.count < self.longest { scratch = Array(repeating: 0, count: self.longest) }
  }

  private mutating func enqueue(_ samples: Span<Int16>, _ resampler: Resampler?) {
    let wanted = resampler == nil ? samples.count : self.queue.room
    self.queue.append(upTo: wanted) { tail in
      if let resampler { return resampler.process(samples, into: &tail).produced }
      let fitting = min(samples.count, tail.count)
      tail.copy(samples.extracting(..<fitting))
      return fitting
    }
  }

  /// Samples of our format, all channels, for `samples` of the RTP clock.
  private func pcmCount(_ samples: Int) -> Int {
    samples * self.format.sampleRate / self.bufferRate * self.format.channels
  }

  private mutating func decoder(of payloadType: UInt8) -> Decoder? {
    if let current, current.timing.payloadType == payloadType { return current }
    let found = self.decoders.first { $0.timing.payloadType == payloadType } ?? self.makeDecoder(for: payloadType)
    // One of a format that is agreed on no more plays what waits, and lets nothing in.
    if self.codecs.contains(where: { $0.payloadType == payloadType }) { self.current = found }
    return found
  }

  /// A format's first packet: its decoder is made now, once.
  private mutating func makeDecoder(for payloadType: UInt8) -> Decoder? {
    guard let codec = (self.codecs + self.formerCodecs).first(where: { $0.payloadType == payloadType }) else {
      return nil
    }
    do throws(ModuleError) {
      let decoder = try codec.codec.makeDecoder(codec.parameters)()
      let resampler = decoder.format == self.format ? nil : try Resampler(from: decoder.format, to: self.format)
      self.longest = max(self.longest, Self.longestPacket(decoder.format))
      let made = Decoder(codec, decoder, resampler)
      self.decoders.append(made)
      return made
    } catch { return nil }
  }

  /// Samples that one packet may decode to: 120 ms, Opus's longest; or a sample for each byte of a datagram, G.711's.
  private static func longestPacket(_ format: AudioFormat) -> Int { max(format.sampleCount(milliseconds: 120), 1500) }

  private static func makeBuffer(
    _ settings: JitterBufferSettings, _ clockRate: Int, _ samples: Int, _ now: Instant
  ) -> JitterBuffer {
    let mode: JitterMode =
      switch settings.kind {
      case .off: .off
      case .fixed: .fixed(milliseconds: settings.delay)
      case .adaptive: .adaptive(milliseconds: settings.delay)
      }
    // A byte a sample is G.711's.
    return JitterBuffer(
      mode: mode, clockRate: clockRate, packetSamples: samples, slotCount: min(max(settings.size, 2), 128),
      payloadCapacity: min(samples, 256), start: now)
  }
}
