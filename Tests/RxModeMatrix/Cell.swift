import AllModules
import ModuleKit
import NetBase
import Testing

@testable import UACore

/// What happens in a cell of the matrix.
enum Scenario: String, CaseIterable, Sendable {
  case call
  case holdAndResume = "hold-resume"
  case callerHangsUp = "caller-hangs-up"
  case calleeHangsUp = "callee-hangs-up"
  case hangUpDuringHandshake = "hang-up-during-handshake"
  case peerVanishes = "peer-vanishes"
  case sourceChange = "ssrc-change"
  case payloadTypeChange = "payload-type-change"
  case digits = "dtmf"
  case earlyMedia = "early-media"
  case twoCalls = "two-calls"
  /// With rtcp-mux as WebRTC has it: ICE and BUNDLE, audio and video on one socket.
  case video

  /// RTP packets that each side hears at least.
  var packets: Int {
    switch self {
    case .hangUpDuringHandshake: 0
    case .callerHangsUp, .calleeHangsUp: 10
    case .call, .digits, .peerVanishes, .twoCalls, .video: 25
    case .holdAndResume, .sourceChange, .payloadTypeChange, .earlyMedia: 50
    }
  }
}

/// A module whose claim makes the admission policy matter.
struct Claim: Hashable, Sendable {
  let module: String
  let safety: ThreadSafety
  let isFilter: Bool
}

/// What a cell is about.
enum Subject: Hashable, Sendable {
  case scenario(Scenario)
  /// A call through the claim's module, or the refusal of it.
  case admission(Claim, AdmissionPolicy)

  var name: String {
    switch self {
    case .scenario(let scenario): scenario.rawValue
    case .admission(let claim, let policy): "\(claim.module)(\(claim.safety.rawValue))/\(policy.rawValue)"
    }
  }
}

/// One cell: a receive mode, a media encryption, whether RTCP shares RTP's port, and what happens.
struct Cell: Hashable, Sendable, CustomTestStringConvertible {
  let mode: RxMode
  /// Nil: none.
  let encryption: String?
  let usesRTCPMux: Bool
  let subject: Subject
  /// Whether it is played again and again, beside the matrix.
  var isRound = false

  var name: String {
    "\(self.mode.rawValue) \(self.encryption ?? "none") \(self.usesRTCPMux ? "mux" : "no-mux") \(self.subject.name)"
  }

  var testDescription: String { self.name }

  /// RTP packets that each side hears at least; what is refused is never heard.
  var packets: Int {
    switch self.subject {
    case .scenario(let scenario): scenario.packets
    case .admission(let claim, let policy): claim.isAdmitted(in: self.mode, policy) ? 25 : 0
    }
  }

  /// A loopback address of the cell's own. A socket that one cell has closed may still be sent to; the port must not
  /// come up in another cell meanwhile.
  var address: SocketAddress {
    let number = Self.numbers[self] ?? Self.all.count + (RxMode.allCases.firstIndex(of: self.mode) ?? 0)
    return SocketAddress(ipv4: 0x7F01_0001 + UInt32(number), port: 0)
  }

  private static let numbers = Dictionary(uniqueKeysWithValues: Self.all.enumerated().map { ($1, $0) })

  /// Every cell there is, from the enums and from what the modules bring.
  static let all: [Cell] = RxMode.allCases.flatMap { mode in
    Registry.encryptions.flatMap { encryption in
      [true, false].flatMap { mux in
        let subjects = Scenario.allCases.map { Subject.scenario($0) } + (mux ? Self.admissions : [])
        return subjects.map { Cell(mode: mode, encryption: encryption, usesRTCPMux: mux, subject: $0) }
      }
    }
  }

  /// RTCP's port is no matter of a stage's claim, so these come once.
  private static let admissions = Registry.claims.flatMap { claim in
    AdmissionPolicy.allCases.map { Subject.admission(claim, $0) }
  }
}

extension Claim {
  /// The table of the README, said once more: what the product decides is held against it.
  func isAdmitted(in mode: RxMode, _ policy: AdmissionPolicy) -> Bool {
    switch (mode, self.safety, policy) {
    case (.main, _, _), (_, .confined, _), (_, .concurrent, _): true
    case (_, .lockable, .lock), (_, .lockable, .marshal), (_, .mainOnly, .marshal): true
    case (_, .lockable, .reject), (_, .mainOnly, .reject), (_, .mainOnly, .lock): false
    }
  }

  /// What the refusal must say.
  func refusal(in mode: RxMode, _ policy: AdmissionPolicy) -> String {
    let help = self.safety == .lockable ? "lock" : "marshal"
    return "module \(self.module) is \(self.safety.rawValue) and cannot run with rtp_rxmode \(mode.rawValue)"
      + " under rtp_rxmode_policy \(policy.rawValue): set \"rtp_rxmode_policy \(help)\" or \"rtp_rxmode main\""
  }
}

/// What the compiled-in modules bring.
enum Registry {
  /// The media encryptions, and none.
  static let encryptions: [String?] = [nil] + (registry?.encryptions.map(\.id) ?? [])

  /// Modules on the media path that promise less than one owner for life.
  static let claims: [Claim] = {
    var claims: [Claim] = []
    for (module, facet) in registry?.facets ?? [] where facet.isOnMediaPath {
      switch facet.safety {
      case .confined, .concurrent: continue
      case .lockable, .mainOnly: break
      }
      let claim = Claim(module: module, safety: facet.safety, isFilter: facet.kind == "audio filter")
      if !claims.contains(claim) { claims.append(claim) }
    }
    return claims
  }()

  /// Modules that bring a filter: active, it is in every call.
  static let filters = Set((registry?.filters ?? []).map(\.module))

  private static var registry: ModuleRegistry? {
    try? ModuleRegistry(available: allModules, active: allModules.map { $0.name }, settings: [:])
  }
}
