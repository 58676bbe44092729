import ModuleKit
import TestSupport

@testable import UACore

/// Whether the users got what they asked for, where nothing stood against it.
extension WholeCall {
  /// What is wrong, in sentences.
  func wishFaults() -> [String] {
    guard self.scenario.hasSoundSignalling, self.scenario.agreesOnKeys,
      let alice = self.alice.reports.first, let bob = self.bob.reports.first
    else { return [] }
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) { if !isSound { faults.append(sentence()) } }
    if self.scenario.isLossless {
      for report in [alice, bob] {
        check(report.failure?.message.contains("rtp_timeout") != true, "silence ended a call that was heard or on hold")
      }
    }
    // What arrives has its key, or gets it in time.
    if self.scenario.isGenuine {
      for drops in [alice.media.drops, bob.media.drops] {
        check(drops.noKey == 0 && drops.crowded == 0, "no key came: \(drops)")
      }
    }
    guard self.scenario.rtpTimeout == nil || self.scenario.isLossless else { return faults }
    for report in [alice, bob] where self.scenario.ending != .refused {
      // Who hangs up before he has answered is busy; an offer that comes after a BYE finds no call.
      // A handshake ends by a turned bit.
      check(
        report.failure == nil || self.scenario.media.corruption > 0 || [481, 486].contains(report.status),
        "a sound call failed: \(report.failure.map { "\($0)" } ?? "")")
    }
    guard let setup = self.setup, alice.failure == nil, bob.failure == nil else { return faults }
    if self.isSettled(since: setup) { faults += self.holdFaults() }
    faults += self.speechFaults(since: setup)
    if self.scenario.isLossless { faults += self.keyFaults(since: setup) + self.digitFaults(since: setup) }
    return faults
  }

  /// When the call stood at both ends, in milliseconds from the INVITE on.
  private var setup: Int64? {
    guard let alice = self.alice.reports.first?.setup, let bob = self.bob.reports.first?.setup,
      let answer = self.scenario.answerDelay
    else { return nil }
    // Bob's clock begins with the INVITE that came.
    return Int64(max(alice, bob + Double(self.scenario.signalling.delay.upperBound) / 1000, Double(answer)))
  }

  /// Milliseconds that an offer, its answer and the ACK take, and a handshake with them.
  private var patience: Int64 { 6 * self.scenario.signalling.delay.upperBound / 1000 + 600 }

  /// Whether no change of the call may have met one of the other side, and the last one is over. One side's own wait for
  /// each other.
  private func isSettled(since setup: Int64) -> Bool {
    let changes = self.sides.flatMap { side in side.wishes.changes.map { (time: $0, party: side.party) } }
    var (last, party, wait): (Int64, Scenario.Party?, Int64) = (setup, nil, self.patience)
    for change in changes.sorted(by: { $0.time < $1.time }) {
      if change.time - last <= self.patience {
        guard change.party == party else { return false }
        wait += self.patience
      }
      (last, party) = (change.time, change.party)
    }
    return self.scenario.end - last > wait
  }

  private func holdFaults() -> [String] {
    var faults: [String] = []
    for (side, other) in [(self.alice, self.bob), (self.bob, self.alice)] {
      guard let own = side.reports.first, let peer = other.reports.first else { continue }
      if own.isOnHold != peer.isHeldByPeer { faults.append("the ends disagree on whether \(side.party) is on hold") }
      let wish = side.wishes.holds.last?.isHeld ?? false
      if own.isOnHold != wish { faults.append("\(side.party) wanted hold to be \(wish), and it is not") }
    }
    return faults
  }

  /// Who is held says nothing, and who is not speaks until the end.
  private func speechFaults(since setup: Int64) -> [String] {
    guard self.scenario.losesOnlyByOutage, self.isSettled(since: setup) else { return [] }
    // A handshake that met an outage sends each flight again, after twice the time.
    let quiet = self.scenario.lastOutage.map { 2 * $0 + 500 } ?? 0
    guard self.scenario.end > max(quiet, setup) + self.patience else { return [] }
    var faults: [String] = []
    let last = self.sides.flatMap(\.wishes.changes).max() ?? setup
    for side in self.sides {
      guard let report = side.reports.first else { continue }
      if report.isHeldByPeer {
        if let spoke = side.lastSpoke, spoke > last + self.patience {
          faults.append("\(side.party) is held, and spoke at \(spoke) ms")
        }
      } else if (side.lastSpoke ?? 0) < self.scenario.end - 250 {
        faults.append("\(side.party) spoke at \(side.lastSpoke ?? 0) ms for the last time, and nobody had held it")
      }
      let packetTime: Int64 = self.scenario.kind == .whole ? 20 : 100
      if Int64(report.media.sentPackets) * packetTime > self.scenario.end + 1000 {
        faults.append("\(side.party) sent \(report.media.sentPackets) packets in \(self.scenario.end) ms")
      }
      if self.sides.allSatisfy({ $0.wishes.holds.isEmpty }), report.media.receivedPackets == 0 {
        faults.append("a call stood, and nothing was heard")
      }
      // A report with a good-bye is what even the shortest call has.
      let hasKeys = report.mediaEncryption != "dtls_srtp" || self.scenario.usesRTCPMux
      if hasKeys, report.media.sentPackets > 0, side.sent.reports == 0 {
        faults.append("\(side.party) ended without a good-bye")
      }
    }
    return faults
  }

  /// Keys change when someone asks for it, and never else; then both ends use them both ways.
  private func keyFaults(since setup: Int64) -> [String] {
    let asked = self.sides.flatMap(\.wishes.rekeys)
    let isWhole = self.isSettled(since: setup) && self.sides.allSatisfy { $0.wishes.holds.isEmpty }
    var faults: [String] = []
    for side in self.sides {
      guard let report = side.reports.first, report.secure != nil else { continue }
      let rekeys = report.media.rekeys
      if rekeys > asked.count || isWhole && rekeys < asked.count {
        faults.append("\(side.party) counts \(rekeys) changes of keys, \(asked.count) were asked for")
      }
    }
    return faults
  }

  /// Digits come once each, in their order.
  private func digitFaults(since setup: Int64) -> [String] {
    guard self.sides.allSatisfy({ $0.wishes.holds.isEmpty }) else { return [] }
    var faults: [String] = []
    for (side, other) in [(self.alice, self.bob), (self.bob, self.alice)] {
      guard !side.wishes.hasEarlyDigits else { continue }
      let (sent, heard) = (side.wishes.digits, other.reports.first?.digits ?? "")
      // The event, its end and the pause after it.
      let length = Int64(sent.count) * (self.scenario.kind == .whole ? 250 : 600)
      let isOver = self.scenario.end > max(setup, side.wishes.lastDigits) + length + self.patience
      if isOver ? heard != sent : !sent.hasPrefix(heard) {
        faults.append("\(side.party) sent the digits \(sent), and \(heard) were heard")
      }
    }
    return faults
  }
}
