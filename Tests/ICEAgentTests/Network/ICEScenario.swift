import NetBase
import SIPStack
import TestSupport

@testable import ICEAgent

/// What a seed chooses: where two agents stand, how they meet, and the weather between them.
struct ICEScenario {
  enum Place { case apart, sameNetwork, behindOneNAT }

  struct Side {
    var nat = NATKind.none
    var hasServer = true
    /// Whether the server relays for it.
    var hasRelay = false
    var transport = ICEServer.Transport.udp
    var isRelayOnly = false
    var password = ModelledServer.password
    /// Milliseconds that a relay is waited for.
    var gatheringLimit: Int64 = 2_000
    var hasIPv6 = false
    var isLite = false
    var tellsHostCandidates = true
  }

  var sides = [Side(), Side()]
  var place = Place.apart
  var isHairpinning = false
  var components = 1
  var roles: [ICERole] = [.controlling, .controlled]
  /// Of 1,000 datagrams.
  var loss = 0
  /// Milliseconds one way.
  var delay: ClosedRange<Int64> = 5...5
  /// Milliseconds for a description, and for the answer's user.
  var signalling: Int64 = 50
  var ringing: Int64 = 0
  /// Candidates come one by one, each after so many milliseconds at most; nil: all with the description.
  var trickle: Int64?
  var needsCredentials = false
  var hasModernServer = true
  /// Whose host gets another address once they are connected; nil: nobody's.
  var mover: Int?

  init() {}

  init(seed: UInt64) {
    var dice = SeededGenerator(seed: seed &* 2 &+ 1)
    func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &dice) < percent }
    for index in 0..<2 {
      self.sides[index].nat = NATKind.allCases.randomElement(using: &dice) ?? .none
      if self.sides[index].nat == .blocked, chance(60) { self.sides[index].nat = .portRestricted }
      self.sides[index].hasServer = chance(80)
      self.sides[index].hasIPv6 = chance(20)
      self.sides[index].tellsHostCandidates = chance(90)
    }
    if chance(10) {
      let lite = chance(50) ? 0 : 1
      self.sides[lite].isLite = true
      self.sides[lite].nat = .none
      self.sides[lite].tellsHostCandidates = true
    } else if chance(15) {
      self.place = chance(50) ? .sameNetwork : .behindOneNAT
      self.sides[1].nat = self.sides[0].nat
    }
    self.isHairpinning = chance(50)
    self.components = chance(40) ? 2 : 1
    if chance(20) { self.roles = chance(50) ? [.controlling, .controlling] : [.controlled, .controlled] }
    if chance(60) { self.loss = Int.random(in: 1...50, using: &dice) }
    let base = Int64.random(in: 1...120, using: &dice)
    self.delay = base...(base + Int64.random(in: 0...80, using: &dice))
    self.signalling = Int64.random(in: 20...1_500, using: &dice)
    if chance(50) { self.ringing = Int64.random(in: 0...10_000, using: &dice) }
    if chance(40) { self.trickle = Int64.random(in: 10...8_000, using: &dice) }
    self.needsCredentials = chance(25)
    self.hasModernServer = chance(50)
    if seed % 4 == 0 { self.mover = Int(seed / 4 % 2) }
    // Relays come with the description: calls name them so (half trickle).
    guard self.trickle == nil else { return }
    for index in 0..<2 where self.sides[index].hasServer && !self.sides[index].isLite {
      self.sides[index].hasRelay = chance(35)
      // Two requests, and any of the four datagrams may get lost: what the description lacks may be the only way.
      self.sides[index].gatheringLimit = 12_000
      self.sides[index].isRelayOnly = self.sides[index].hasRelay && chance(25)
    }
  }

  /// Whether any way leads from one to the other, found by thought and not by trying.
  var hasPath: Bool {
    let (a, b) = (self.sides[0], self.sides[1])
    if self.hasPathByRelay(a, b) || self.hasPathByRelay(b, a) { return true }
    if a.isRelayOnly || b.isRelayOnly { return false }
    let isIPv6Told = a.tellsHostCandidates || b.tellsHostCandidates || a.hasServer || b.hasServer
    if a.hasIPv6, b.hasIPv6, isIPv6Told { return true }
    if a.nat == .blocked || b.nat == .blocked { return false }
    switch self.place {
    case .sameNetwork where a.nat != .none:
      // One host address that is known is enough: the other is learnt from its check.
      if a.tellsHostCandidates || b.tellsHostCandidates { return true }
      return self.isHairpinning && self.hasPathThroughNATs(a, b)
    case .behindOneNAT where a.nat != .none: return self.isHairpinning && self.hasPathThroughNATs(a, b)
    case .apart, .sameNetwork, .behindOneNAT: return self.hasPathThroughNATs(a, b)
    }
  }

  /// Whether `other` gets in where `one` is relayed: by a host that `one` knows it by, or by a relay of its own.
  private func hasPathByRelay(_ one: Side, _ other: Side) -> Bool {
    func hasRelay(_ side: Side, _ isIPv6: Bool) -> Bool {
      side.hasRelay && (isIPv6 ? side.hasIPv6 : side.nat != .blocked)
    }
    for isIPv6 in [false, true] where hasRelay(one, isIPv6) {
      if hasRelay(other, isIPv6) { return true }
      guard !other.isRelayOnly, isIPv6 ? other.hasIPv6 : other.nat != .blocked else { continue }
      if other.hasServer { return true }
      if other.tellsHostCandidates, isIPv6 || other.nat == .none { return true }
    }
    return false
  }

  private func hasPathThroughNATs(_ a: Side, _ b: Side) -> Bool {
    // A public host that tells nothing of itself is known by what a server sees, which is the same.
    func isPublic(_ side: Side) -> Bool { side.nat == .none }
    func isKnown(_ side: Side) -> Bool { side.hasServer || isPublic(side) && side.tellsHostCandidates }
    if isPublic(a), isPublic(b) { return isKnown(a) || isKnown(b) }
    for (one, other) in [(a, b), (b, a)] where isPublic(one) {
      if isKnown(one) { return true }
      return isKnown(other) && other.nat == .fullCone
    }
    switch (isKnown(a), isKnown(b)) {
    case (false, false): return false
    case (true, false): return a.nat == .fullCone
    case (false, true): return b.nat == .fullCone
    case (true, true):
      let kinds = Set([a.nat, b.nat])
      if kinds == [.symmetric] { return false }
      return kinds != [.symmetric, .portRestricted]
    }
  }
}
