import NetBase
import RTPStack

/// A sender of a made-up video codec, a lossy path, and a receiver, on one virtual clock; they meet in whole packets only.
///
/// A payload says which frame it is of, which packet in it, of how many, and whether it is a key frame; the rest is its filling.
final class VideoLink {
  struct Conditions {
    /// Of each packet, either way.
    var loss = 0.0
    /// Milliseconds that a packet may be slower than another.
    var jitter = 0.0
    var duplicates = 0.0
    /// Milliseconds.
    var roundTrip = 40.0
    /// Whether lost packets are asked for; they come in a retransmission stream.
    var asksForLost = false
    /// Whether payloads tell that a frame begins with them.
    var tellsStart = true
    /// Whether the last packet of a frame has the marker.
    var marksEnd = true
    /// Share of frames behind which padding follows.
    var padding = 0.0
    var firstSequence: UInt16 = 65_000
  }

  private enum Event {
    case frame(Int)
    case packet([UInt8])
    case feedback([UInt8])
  }

  static let (ssrc, repairSSRC, receiverSSRC): (UInt32, UInt32, UInt32) = (11, 12, 21)
  static let (payloadType, repairType): (UInt8, UInt8) = (96, 97)

  let conditions: Conditions
  private let frames: Int
  private var random: SeededRandom
  private var events: [(time: Double, event: Event)] = []
  private var next = 0

  // The sender.
  private var sequence: UInt16
  private var repairSequence: UInt16 = 500
  private var history = SendHistory()
  private var feedback = RTCPFeedback(ssrc: ssrc)
  private var keyWanted = true
  private(set) var keyFramesSent = 0

  // The receiver.
  private var assembler = FrameAssembler()
  /// Numbers of the frames that were delivered.
  private(set) var delivered: [Int] = []
  /// What was wrong with one of them.
  private(set) var faults: [String] = []
  private(set) var keyFrameRequests = 0

  var statistics: FrameAssemblerStatistics { self.assembler.statistics }
  var resends: SendHistory.Statistics { self.history.statistics }

  init(_ conditions: Conditions, frames: Int, seed: UInt64) {
    (self.conditions, self.frames) = (conditions, frames)
    self.random = SeededRandom(seed)
    self.sequence = conditions.firstSequence
    self.assembler.asksForLost = conditions.asksForLost
    self.schedule(.frame(0), at: 0)
  }

  /// Runs until nothing is under way; the last frames get through.
  func run() {
    while true {
      let deadline = self.assembler.nextDeadline.map { Double($0.nanoseconds) / 1e6 }
      let event = self.next < self.events.count ? self.events[self.next] : nil
      guard let time = [event?.time, deadline].compactMap({ $0 }).min() else { return }
      // A receiver that heard nothing more would ask for a key frame for ever.
      guard event != nil || time < self.lastFrame + 1000 else { return }
      let now = Instant(nanoseconds: Int64(time * 1e6 + 0.5))
      if let event, event.time <= time {
        self.next += 1
        switch event.event {
        case .frame(let number): self.send(number, now, time)
        case .packet(let packet): self.receive(packet, now)
        case .feedback(let packet): self.take(packet, now, time)
        }
      }
      if let deadline = self.assembler.nextDeadline, deadline <= now { self.assembler.timeout(now: now) }
      self.drain()
      self.answer(now, time)
    }
  }

  private var lastFrame: Double { Double(self.frames) * 33 }

  private func schedule(_ event: Event, at time: Double) {
    // Behind what is due at the same time.
    var place = self.events.count
    while place > self.next, self.events[place - 1].time > time { place -= 1 }
    self.events.insert((time, event), at: place)
  }

  /// Carries a packet over the path, or not.
  private func carry(_ packet: [UInt8], sent time: Double, isSafe: Bool = false, _ event: ([UInt8]) -> Event) {
    for copy in 0..<2 {
      guard copy == 0 || Double.random(in: 0..<1, using: &self.random) < self.conditions.duplicates else { continue }
      guard isSafe || Double.random(in: 0..<1, using: &self.random) >= self.conditions.loss else { continue }
      let delay =
        self.conditions.roundTrip / 2 + Double.random(in: 0...max(self.conditions.jitter, 1e-9), using: &self.random)
      self.schedule(event(packet), at: time + delay)
    }
  }

  // MARK: Sender

  private func send(_ number: Int, _ now: Instant, _ time: Double) {
    let isKey = self.keyWanted
    self.keyWanted = false
    self.keyFramesSent += isKey ? 1 : 0
    let count = isKey ? Int.random(in: 4...20, using: &self.random) : Int.random(in: 1...6, using: &self.random)
    let isSafe = number >= self.frames - 20
    for index in 0..<count {
      var payload: [UInt8] = [UInt8(number >> 8), UInt8(number & 0xFF), UInt8(index), UInt8(count), isKey ? 1 : 0]
      payload += [UInt8](
        repeating: UInt8(truncatingIfNeeded: number &* 31 &+ index), count: .random(in: 1...60, using: &self.random))
      self.send(
        payload, number, marker: self.conditions.marksEnd && index == count - 1, isSafe: isSafe, now,
        time + Double(index) * 0.2)
    }
    if Double.random(in: 0..<1, using: &self.random) < self.conditions.padding {
      self.send([], number, marker: false, isSafe: isSafe, now, time + Double(count) * 0.2)
    }
    if number + 1 < self.frames { self.schedule(.frame(number + 1), at: time + 33) }
  }

  private func send(
    _ payload: [UInt8], _ number: Int, marker: Bool, isSafe: Bool, _ now: Instant, _ time: Double
  ) {
    let header = RTPHeader(
      marker: marker, payloadType: Self.payloadType, sequenceNumber: self.sequence,
      timestamp: UInt32(truncatingIfNeeded: 0xFFFF_0000 + number * 3000), ssrc: Self.ssrc)
    var packet = [UInt8].written(12) { header.write(into: &$0) } + payload
    if payload.isEmpty {
      packet[0] |= 0x20
      packet += [0, 0, 0, 4]
    }
    packet.withRawSpan { self.history.store(sequence: self.sequence, $0, now: now) }
    self.sequence &+= 1
    self.carry(packet, sent: time, isSafe: isSafe, Event.packet)
  }

  private func take(_ packet: [UInt8], _ now: Instant, _ time: Double) {
    var missing: [UInt16] = []
    let contents = packet.withRawSpan { span -> FeedbackContents? in
      guard var compound = try? RTCPCompound(span) else { return nil }
      return self.feedback.receive(&compound, in: span) { missing.append($0) }
    }
    if contents?.wantsKeyFrame == true { self.keyWanted = true }
    if contents?.hasMissing != !missing.isEmpty && contents?.wantsKeyFrame != true { self.faults.append("feedback") }
    for number in missing {
      guard self.history.mayResend(number, now: now, roundTrip: .milliseconds(Int(self.conditions.roundTrip))) else {
        continue
      }
      let repair = self.history.copy(of: number)?.withRawSpan { original in
        [UInt8].written { room in
          RTXPayload.write(
            original: original, payloadType: Self.repairType, sequenceNumber: self.repairSequence,
            ssrc: Self.repairSSRC,
            into: &room)
        }
      }
      guard let repair else { return self.faults.append("no packet \(number)") }
      self.repairSequence &+= 1
      self.carry(repair, sent: time, Event.packet)
    }
  }

  // MARK: Receiver

  private func receive(_ packet: [UInt8], _ now: Instant) {
    packet.withRawSpan { span in
      guard var header = try? RTPHeader(parsing: span) else { return self.faults.append("no RTP") }
      var payload = span.extracting(header.payload)
      if header.payloadType == Self.repairType {
        guard let original = RTXPayload.original(of: payload) else { return self.faults.append("no RTX") }
        (header.sequenceNumber, header.ssrc, header.payloadType) = (original, Self.ssrc, Self.payloadType)
        payload = payload.extracting(2..<payload.byteCount)
      }
      self.assembler.insert(
        header, payload: payload,
        beginsFrame: self.conditions.tellsStart && payload.byteCount > 0 && payload.uint8(at: 2) == 0,
        isOfKeyFrame: payload.byteCount > 0 && payload.uint8(at: 4) == 1, now: now)
    }
  }

  private func drain() {
    while let frame = self.assembler.nextFrame() {
      self.check(frame)
      self.assembler.release(frame)
    }
  }

  private func check(_ frame: AssembledFrame) {
    var (number, count, index) = (-1, 0, 0)
    for sequence in frame.sequences {
      let payload = self.assembler.bytes(of: sequence)
      guard payload.count > 5 else { continue }
      let frameNumber = Int(payload[0]) << 8 | Int(payload[1])
      if index == 0 { (number, count) = (frameNumber, Int(payload[3])) }
      if frameNumber != number || Int(payload[2]) != index {
        self.faults.append("frame \(number) has packet \(payload[2]) of \(frameNumber) at \(index)")
      }
      let filling = UInt8(truncatingIfNeeded: number &* 31 &+ index)
      if payload[5...].contains(where: { $0 != filling }) { self.faults.append("filling") }
      if (payload[4] == 1) != frame.isKeyFrame { self.faults.append("kind of \(number)") }
      index += 1
    }
    if index != count { self.faults.append("frame \(number) has \(index) of \(count) packets") }
    if frame.timestamp != UInt32(truncatingIfNeeded: 0xFFFF_0000 + number * 3000) {
      self.faults.append("timestamp of \(number)")
    }
    let before = self.delivered.last ?? -1
    if number <= before { self.faults.append("\(number) after \(before)") }
    if !frame.isKeyFrame, number != before + 1 || self.delivered.isEmpty {
      self.faults.append("\(number) after \(before) can't be decoded")
    }
    self.delivered.append(number)
  }

  private func answer(_ now: Instant, _ time: Double) {
    var lost = LostNumbers()
    self.assembler.takeMissing(now: now, roundTrip: .milliseconds(Int(self.conditions.roundTrip))) { lost.append($0) }
    let wantsKey = self.assembler.takeKeyFrameRequest(now: now)
    self.keyFrameRequests += wantsKey ? 1 : 0
    guard lost.wordCount > 0 || wantsKey else { return }
    let packet = [UInt8].written { room in
      var writer = RTCPWriter()
      if lost.wordCount > 0 { writer.nack(sender: Self.receiverSSRC, source: Self.ssrc, lost, into: &room) }
      if wantsKey { writer.pictureLoss(sender: Self.receiverSSRC, source: Self.ssrc, into: &room) }
      return writer.count
    }
    self.carry(packet, sent: time, Event.feedback)
  }
}

extension FrameAssembler {
  func bytes(of sequence: Int64) -> [UInt8] { self.payload(of: sequence).copied() }
}

extension SendHistory {
  func copy(of sequence: UInt16) -> [UInt8]? { self.packet(sequence)?.copied() }
}
