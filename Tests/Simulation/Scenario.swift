import ModuleKit
import TestSupport

@testable import UACore

/// What a seed stands for: two agents, the network between them, and what their users do.
struct Scenario: CustomStringConvertible {
  enum Party: CaseIterable { case alice, bob }

  enum Act {
    case hold(Party)
    case resume(Party)
    case rekey(Party)
    case digits(Party, String)
    /// Nothing that the party sends arrives from now on.
    case vanish(Party)
    /// Media is lost for so many milliseconds, both ways.
    case outage(Int64)
    /// What a machine or a network does to a call.
    case trouble(Trouble)
  }

  /// How much of a call there is.
  enum Kind {
    case whole
    /// Set-up, keys, changes of keys and the end; of media a packet now and then, to see that the keys are right.
    case signalling
  }

  enum Weather: CaseIterable {
    case clear, jittery, copying, lossy, corrupting, stormy
  }

  enum Ending: Equatable {
    case hangUp(Party)
    /// Both at the same moment.
    case crossing
    case refused
  }

  let seed: UInt64
  let kind: Kind
  let modes: (alice: RxMode, bob: RxMode)
  let encryptions: (alice: String?, bob: String?)
  let usesRTCPMux: Bool
  let weather: Weather
  let media: LinkConditions
  let signalling: LinkConditions
  let rtpTimeout: Int?
  let jitterBuffer: JitterBufferType
  /// Each seed's neighbour takes the other.
  let rekeyMethod: RekeyMethod
  /// Milliseconds before Bob answers; nil: he never does.
  let answerDelay: Int?
  /// Sorted by time, milliseconds from the INVITE on.
  let acts: [(time: Int64, act: Act)]
  let ending: Ending
  let end: Int64

  init(seed: UInt64, kind: Kind = .whole) {
    var generator = TestGenerator(seed: seed &* 0x1234_5677)
    func number(_ range: ClosedRange<Int64>) -> Int64 { Int64.random(in: range, using: &generator) }
    func pick<Choice>(_ choices: [Choice]) -> Choice { choices[Int(number(0...Int64(choices.count) - 1))] }
    func party() -> Party { pick(Party.allCases) }
    (self.seed, self.kind) = (seed, kind)
    self.rekeyMethod = seed % 2 == 0 ? .update : .invite
    let mode = pick(RxMode.allCases)
    self.modes = (mode, number(0...3) == 0 ? pick(RxMode.allCases) : mode)
    let all: [String?] = [nil, "srtp", "srtp-mand", "srtp-mandf", "dtls_srtp", "dtls_srtp"]
    let encryption = pick(all)
    self.encryptions = (encryption, number(0...9) == 0 ? pick(all) : encryption)
    self.usesRTCPMux = number(0...2) == 0
    self.weather = number(0...2) == 0 ? .clear : pick(Weather.allCases)
    (self.media, self.signalling) = Self.conditions(self.weather, &generator)
    self.jitterBuffer = number(0...3) == 0 ? .adaptive : .fixed
    self.answerDelay = number(0...11) == 0 ? nil : number(0...2) == 0 ? Int(number(1...1500)) : 0
    // A third ends while the call is set up.
    let longest: Int64 = kind == .whole ? 4500 : 900
    self.end = number(0...2) == 0 ? number(0...300) : number(300...longest)
    switch number(0...11) {
    case 0: self.ending = .crossing
    case 1: self.ending = .refused
    default: self.ending = .hangUp(party())
    }
    var acts: [(time: Int64, act: Act)] = []
    for _ in 0..<number(0...5) {
      let act: Act
      switch number(0...19) {
      case 0...3: act = .hold(party())
      case 4...6: act = .resume(party())
      case 7...13: act = .rekey(party())
      case 14...16: act = .digits(party(), pick(["1", "*#", "0815", "ABCD"]))
      case 17: act = .vanish(party())
      default: act = .outage(number(20...1500))
      }
      acts.append((number(0...max(1, self.end)), act))
    }
    if number(0...2) == 0 {
      for _ in 0..<number(1...3) {
        acts.append((number(0...max(1, self.end)), .trouble(Trouble(party(), &generator))))
      }
    }
    // Handshakes are short, and nothing else is drawn for what comes after the hang-up. By a generator of its own: the
    // rest of a seed is what it was.
    var rare = TestGenerator(seed: seed &* 0x7654_3211)
    if rare.happens(0.15) {
      let handshake = Int64(self.answerDelay ?? 0) + 2 * self.signalling.delay.upperBound / 1000
      let isLate = encryption != "dtls_srtp" || rare.happens(0.5)
      let time = isLate ? self.end + Int64.random(in: 2...300, using: &rare) : handshake
      acts.append((time, .trouble(Trouble(rare.happens(0.5) ? .alice : .bob, &rare))))
    }
    self.acts = acts.sorted { $0.time < $1.time }
    let timeout = number(0...3) == 0 ? 3 : nil
    self.rtpTimeout = self.signalling.corruption > 0 ? 3 : timeout
  }

  private static func conditions(
    _ weather: Weather, _ generator: inout TestGenerator
  ) -> (media: LinkConditions, signalling: LinkConditions) {
    func share(_ range: ClosedRange<Int64>) -> Double { Double(Int64.random(in: range, using: &generator)) / 1000 }
    let slow = Int64.random(in: 1000...(Bool.random(using: &generator) ? 300_000 : 20_000), using: &generator)
    let path = Int64.random(in: 500...15_000, using: &generator)
    var media = LinkConditions(delay: path...path)
    var signalling = LinkConditions(delay: 1000...slow)
    if weather == .jittery || weather == .stormy { media.delay = path...path + 35_000 }
    if weather == .copying || weather == .stormy {
      (media.duplication, signalling.duplication) = (share(5...100), share(5...150))
      (media.reordering, signalling.reordering) = (share(0...50), share(0...100))
    }
    if weather == .lossy || weather == .stormy { (media.loss, signalling.loss) = (share(1...150), share(0...200)) }
    if weather == .corrupting || weather == .stormy {
      (media.corruption, signalling.corruption) = (share(1...60), share(0...20))
    }
    return (media, signalling)
  }

  // MARK: What follows from it

  /// Whether every media datagram arrives once and as it was sent.
  var isLossless: Bool { self.losesOnlyByOutage && self.lastOutage == nil }

  /// The same, but for the time in which all media is cut off.
  var losesOnlyByOutage: Bool {
    let hasFaults = self.acts.contains {
      switch $0.act {
      case .vanish: true
      case .hold, .resume, .rekey, .digits, .outage: false
      case .trouble(let trouble): trouble.isOfNetwork
      }
    }
    return !hasFaults && [self.media.loss, self.media.duplication, self.media.corruption].allSatisfy { $0 == 0 }
      && self.media.reordering == 0
  }

  /// When media was cut off for the last time, until the end of it; nil when it never was.
  var lastOutage: Int64? {
    self.acts.compactMap { if case .outage(let length) = $0.act { $0.time + length } else { nil } }.max()
  }

  var troubles: [Trouble] { self.acts.compactMap { if case .trouble(let trouble) = $0.act { trouble } else { nil } } }

  /// Whether nothing keeps the machines from doing what is due at its time.
  var isPunctual: Bool { !self.troubles.contains { $0.isOfMachine } }

  /// Whether one party's hang-up must end both calls: nobody vanished, and SIP arrives as it was sent.
  var endsByHangUp: Bool {
    self.signalling.corruption == 0 && !self.troubles.contains { $0.partsSignalling }
      && !self.acts.contains { if case .vanish = $0.act { true } else { false } }
  }

  /// Whether every packet that arrives was sent by the other agent, as it arrives.
  var isGenuine: Bool {
    self.media.corruption == 0 && !self.troubles.contains { if case .forgedReports = $0 { true } else { false } }
  }

  /// Whether a party's process died in the call.
  func restarts(_ party: Party) -> Bool {
    self.troubles.contains { if case .restart(party) = $0 { true } else { false } }
  }

  /// How often the flow of packets was changed by a user.
  var holds: Int {
    self.acts.count {
      switch $0.act {
      case .hold, .resume: true
      case .trouble(.crowded(_, let holds, _)): holds
      case .rekey, .digits, .vanish, .outage, .trouble: false
      }
    }
  }

  /// Whether SIP arrives once, in order and at once, as it was sent, and nobody's machine is in the way.
  var hasSoundSignalling: Bool {
    let conditions = self.signalling
    let isSound = [conditions.loss, conditions.duplication, conditions.reordering, conditions.corruption]
      .allSatisfy { $0 == 0 }
    return isSound && self.isPunctual && self.endsByHangUp && !self.troubles.contains { $0.isOfNetwork }
  }

  /// Whether both parties want the same of the keys.
  var agreesOnKeys: Bool { self.encryptions.alice == self.encryptions.bob }

  var hasDigits: Bool { self.acts.contains { if case .digits = $0.act { true } else { false } } }

  func encryption(of party: Party) -> String? { party == .alice ? self.encryptions.alice : self.encryptions.bob }

  /// Whether a party lets nothing cross in the clear.
  func isMandatory(_ party: Party) -> Bool { !([nil, "srtp"] as [String?]).contains(self.encryption(of: party)) }

  var description: String {
    let encryption = "\(self.encryptions.alice ?? "none") to \(self.encryptions.bob ?? "none")"
    let acts = self.acts.map { "\($0.time): \($0.act)" }.joined(separator: ", ")
    let answer = self.answerDelay.map { "after \($0)" } ?? "never"
    return """
      modes \(self.modes.alice.rawValue) and \(self.modes.bob.rawValue), \(encryption), rtcp-mux \(self.usesRTCPMux), \
      weather \(self.weather), jitter buffer \(self.jitterBuffer.rawValue), rtp_timeout \(self.rtpTimeout ?? 0), \
      rekey_method \(self.rekeyMethod.rawValue), \
      answered \(answer), [\(acts)], \(self.ending) at \(self.end) ms; media \(self.media), SIP \(self.signalling)
      """
  }
}
