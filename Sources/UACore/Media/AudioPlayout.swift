internal import ModuleKit
internal import NetBase
internal import RTPStack

/// The receiving half of an audio stream after RTP: jitter buffer, decoders, playout queue.
struct AudioPlayout: ~Copyable {
  private struct Decoder {
    let payloadType: UInt8
    let clockRate: Int
    let decoder: any AudioDecoder
    let resampler: Resampler?
  }

  private let format: AudioFormat
  private let settings: JitterBufferSettings
  private var codecs: [NegotiatedCodec] = []
  private var decoders: [Decoder] = []
  private var current: Int?
  private var buffer: JitterBuffer
  private var bufferRate: Int
  private var lateBefore: UInt64 = 0
  private var queue: PCMQueue
  /// One decoded packet, or one made up.
  private var scratch: [Int16]
  /// Milliseconds that were made up.
  private(set) var concealed = 0.0
  private(set) var playedFrames = 0
  /// Payloads that no decoder took.
  private(set) var malformed = 0
  private var hasHeard = false

  /// - Parameter format: of the PCM that goes on.
  init(format: AudioFormat, settings: JitterBufferSettings, clockRate: Int, packetTime: Int, now: Instant) {
    self.format = format
    self.settings = settings
    self.bufferRate = clockRate
    self.buffer = Self.makeBuffer(settings, clockRate, packetTime, now)
    self.queue = PCMQueue(capacity: format.sampleCount(milliseconds: 280))
    self.scratch = Array(repeating: 0, count: Self.longestPacket(format))
  }

  /// The formats that may come now; decoders in use stay.
  mutating func accept(_ codecs: [NegotiatedCodec]) {
    self.decoders.removeAll { decoder in
      !codecs.contains { new in
        new.payloadType == decoder.payloadType
          && self.codecs.contains { $0.payloadType == decoder.payloadType && $0.isSame(as: new) }
      }
    }
    self.current = nil
    self.codecs = codecs
  }

  func clockRate(of payloadType: UInt8) -> Int? {
    self.codecs.first { $0.payloadType == payloadType }?.codec.clockRate
  }

  /// Whether packets have come, so that there is something to play.
  var isActive: Bool { self.hasHeard }

  /// Packets that came after their time.
  var late: UInt64 { self.lateBefore + self.buffer.statistics.late + self.buffer.statistics.overflow }

  /// The delay that the buffer adds, milliseconds.
  var delay: Double { self.buffer.targetDelay }

  mutating func insert(_ header: RTPHeader, payload: RawSpan, packetTime: Int, now: Instant) {
    if let rate = self.clockRate(of: header.payloadType), rate != self.bufferRate {
      self.lateBefore = self.late
      self.bufferRate = rate
      self.buffer = Self.makeBuffer(self.settings, rate, packetTime, now)
    }
    self.hasHeard = true
    _ = self.buffer.insert(header, payload: payload, now: now)
  }

  /// A packet of the stream that carries no audio.
  mutating func note(_ header: RTPHeader) { self.buffer.note(header) }

  /// The source restarted.
  mutating func reset() { self.buffer.reset() }

  /// Fills one tick's frame.
  mutating func play(into frame: inout MutableSpan<Int16>, now: Instant) {
    while self.queue.count < frame.count {
      switch self.buffer.pop(now: now) {
      case .packet(let packet): self.decode(packet)
      case .missing(let samples): self.conceal(samples, hasNext: true)
      case .conceal(let samples): self.conceal(samples, hasNext: false)
      case .silence(let samples): self.queue.appendSilence(max(1, self.pcmCount(samples)))
      case .buffering, .empty: self.queue.appendSilence(frame.count - self.queue.count)
      }
    }
    self.queue.take(into: &frame)
    self.playedFrames += 1
  }

  private mutating func decode(_ packet: JitterBuffer.PlayedPacket) {
    guard let index = self.decoderIndex(packet.payloadType) else {
      self.malformed += 1
      return
    }
    let decoder = self.decoders[index]
    var scratch = self.takeScratch()
    var samples = scratch.mutableSpan
    let decoded = decoder.decoder.decode(self.buffer.payload, into: &samples)
    if let count = decoded, count > 0 {
      let native = decoder.decoder.format
      self.buffer.decoded(samples: count / native.channels * decoder.clockRate / native.sampleRate)
      self.enqueue(scratch.span.extracting(..<count), decoder.resampler)
    } else {
      self.malformed += 1
    }
    self.scratch = scratch
  }

  private mutating func conceal(_ samples: Int, hasNext: Bool) {
    let milliseconds = Double(samples) * 1000 / Double(self.bufferRate)
    self.concealed += milliseconds
    guard let current else { return self.queue.appendSilence(max(1, self.pcmCount(samples))) }
    let decoder = self.decoders[current]
    let native = decoder.decoder.format
    let count = min(
      max(1, samples * native.sampleRate / decoder.clockRate) * native.channels, self.scratch.count)
    var scratch = self.takeScratch()
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
    self.scratch = scratch
  }

  /// The scratch array, taken out so that it can be written while the buffer is read; nothing is copied.
  private mutating func takeScratch() -> [Int16] {
    var taken: [Int16] = []
    swap(&taken, &self.scratch)
    return taken
  }

  private mutating func enqueue(_ samples: Span<Int16>, _ resampler: Resampler?) {
    self.queue.append { tail in
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

  private mutating func decoderIndex(_ payloadType: UInt8) -> Int? {
    if let current, self.decoders[current].payloadType == payloadType { return current }
    if let index = self.decoders.firstIndex(where: { $0.payloadType == payloadType }) {
      self.current = index
      return index
    }
    guard let codec = self.codecs.first(where: { $0.payloadType == payloadType }) else { return nil }
    // A format's first packet: its decoder is made now, once.
    do throws(ModuleError) {
      let decoder = try codec.codec.makeDecoder(codec.parameters)()
      let resampler = decoder.format == self.format ? nil : try Resampler(from: decoder.format, to: self.format)
      let needed = Self.longestPacket(decoder.format)
      if self.scratch.count < needed { self.scratch = Array(repeating: 0, count: needed) }
      self.decoders.append(
        Decoder(
          payloadType: payloadType, clockRate: codec.codec.clockRate, decoder: decoder, resampler: resampler))
    } catch { return nil }
    self.current = self.decoders.count - 1
    return self.current
  }

  /// Samples that one packet may decode to: 120 ms, Opus's longest; or a sample for each byte of a datagram, G.711's.
  private static func longestPacket(_ format: AudioFormat) -> Int { max(format.sampleCount(milliseconds: 120), 1500) }

  private static func makeBuffer(
    _ settings: JitterBufferSettings, _ clockRate: Int, _ packetTime: Int, _ now: Instant
  ) -> JitterBuffer {
    let mode: JitterMode =
      switch settings.kind {
      case .off: .off
      case .fixed: .fixed(milliseconds: settings.delay)
      case .adaptive: .adaptive(milliseconds: settings.delay)
      }
    return JitterBuffer(
      mode: mode, clockRate: clockRate, packetSamples: max(1, clockRate * packetTime / 1000),
      slotCount: min(max(settings.size, 2), 128), start: now)
  }
}
