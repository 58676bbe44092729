import ModuleKit
import SIPStack
import TestSupport

@testable import UACore

extension WholeCall {
  /// All that is wrong with the run, in sentences; empty for a sound one.
  func faults() throws -> [String] {
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) { if !isSound { faults.append(sentence()) } }

    check(self.ended, "a call did not end")
    if self.scenario.endsByHangUp { check(self.endedByHangUp, "a hang-up did not end both calls") }
    check(self.isQuiet, "a timer or a datagram is left")
    faults += self.wishFaults()
    check(self.mediaSockets == 0, "\(self.mediaSockets) media sockets are left")
    check(self.leaked == 0, "\(self.leaked) agents are left, though nobody uses them")
    check(self.plain.isEmpty, "in the clear although that is forbidden: \(self.plain.prefix(3))")
    for side in self.sides {
      faults += self.lifeCycleFaults(side)
      faults += self.counterFaults(side)
      faults += try self.audioFaults(side).map { "\(side.party): \($0)" }
    }
    return faults
  }

  private func lifeCycleFaults(_ side: Side) -> [String] {
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) {
      if !isSound { faults.append("\(side.party): \(sentence())") }
    }
    check(side.isIdle, "something of a call is left")
    check(side.census == SIPCensus(), "SIP still holds \(side.census)")
    check(side.runningLoops == 0, "\(side.runningLoops) loops of transports still run")
    let isAlice = side.party == .alice
    let isFirst = !self.scenario.restarts(side.party)
    if isAlice, isFirst { check(side.reports.count == 1, "\(side.reports.count) calls ended") }
    if self.scenario.signalling.corruption == 0 {
      check(side.reports.count <= 1, "\(side.reports.count) calls ended")
    }
    for report in side.reports {
      check(report.state == .ended, "the call's last state is \(report.state)")
      check(!report.reason.isEmpty, "the call ended without a reason")
    }
    guard self.scenario.kind == .whole else { return faults }
    let established = side.reports.count { $0.setup != nil }
    if isFirst { check(side.finishes <= max(side.reports.count, 1), "\(side.finishes) players were finished") }
    if established > 0 { check(side.finishes >= established, "a player was not finished") }
    return faults
  }

  /// What was sent, less what the network lost, is what came or was dropped and counted.
  private func counterFaults(_ side: Side) -> [String] {
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) {
      if !isSound { faults.append("\(side.party): \(sentence())") }
    }
    for (name, counters) in [("SIP", side.toSignalling), ("media", side.toMedia)] {
      check(
        counters.sent - counters.lost + counters.duplicated == counters.delivered + counters.undeliverable,
        "the network's own figures for \(name): \(counters)")
    }
    let counted = side.takenBefore + side.signalling.datagrams
    check(
      side.toSignalling.delivered - side.toSignalling.unread == counted,
      "\(side.toSignalling.delivered) SIP datagrams came, \(counted) are counted")
    let media = side.reports.map(\.media)
    for one in media {
      check(
        one.accountedDatagrams == one.receivedDatagrams,
        "\(one.receivedDatagrams) datagrams were received, \(one.accountedDatagrams) accounted for: \(one)")
    }
    let fullLanes = media.reduce(0) { $0 + $1.drops.mailboxFull }
    let isCrowded = self.scenario.troubles.contains { trouble in
      switch trouble {
      case .crowded(side.party, _, _), .forgedReports(side.party, _): true
      default: false
      }
    }
    if !isCrowded { check(fullLanes == 0, "\(fullLanes) messages found a lane full, though nobody crowded it") }
    // What a process counted is gone with it.
    guard !self.scenario.restarts(side.party) else { return faults }
    check(fullLanes >= side.refusedCommands, "\(side.refusedCommands) commands were refused, \(fullLanes) are counted")
    let failures = media.reduce(0) { $0 + $1.sendFailures }
    check(failures == side.failedSends, "\(side.failedSends) datagrams were not taken, \(failures) are counted")
    let received = media.reduce(0) { $0 + $1.receivedDatagrams }
    check(
      side.toMedia.delivered - side.toMedia.unread == received,
      "\(side.toMedia.delivered) media datagrams came, \(side.toMedia.unread) unread, \(received) are counted")
    check(
      media.reduce(0) { $0 + $1.sentDatagrams } == side.sent.datagrams,
      "\(side.sent.datagrams) datagrams were sent, \(media.reduce(0) { $0 + $1.sentDatagrams }) are counted")
    return faults
  }

  private func audioFaults(_ side: Side) throws -> [String] {
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) { if !isSound { faults.append(sentence()) } }
    let other = side.party == .alice ? self.bob : self.alice
    if self.scenario.isGenuine {
      for drops in side.reports.map(\.media.drops) {
        // The answer of a process that died may be lost or overtaken, and its packets came: what answers in its place has
        // other keys.
        let hasAnsweredTwice = self.scenario.restarts(other.party)
        check(hasAnsweredTwice || drops.auth == 0, "packets came that could not be read: \(drops)")
        check(drops.plaintext == 0, "packets came in the clear: \(drops)")
      }
    }
    guard let report = side.reports.first, side.reports.count == 1, other.reports.count == 1 else { return [] }
    let media = report.media
    if self.scenario.isLossless {
      // At the end of a call packets may overtake those that it no longer hears.
      let overtaken = self.scenario.media.delay.upperBound > self.scenario.media.delay.lowerBound ? 3 : 0
      // Who seldom gets the processor sends in bursts, more of which are overtaken, and may read an old path too late.
      check(
        media.lost <= overtaken || !self.scenario.isPunctual,
        "\(media.lost) packets lost on a network that loses nothing")
      check(media.lost >= 0, "more packets were received than expected: \(media.lost) lost")
      check(media.duplicate == 0 && media.suspect == 0, "duplicates or suspects where there were none")
      check(media.drops.replay == 0, "replays where there were none: \(media.drops)")
      check(media.drops.auth + media.drops.plaintext + media.drops.source == 0, "\(media.drops)")
      // A handshake that was cut off leaves datagrams that nobody took.
      let isWhole = report.secure != nil || report.mediaEncryption == "none" && report.setup != nil
      if isWhole { check(media.drops.unknown == 0, "\(media.drops)") }
    }
    guard self.scenario.kind == .whole else { return faults }
    if self.scenario.isLossless {
      // Packets that outrun their 200 by more than the jitter buffer may hold are not all played.
      let isPrompt = self.scenario.signalling.delay.upperBound <= 100_000
      let isSteady = self.scenario.jitterBuffer == .fixed && isPrompt && self.scenario.isPunctual
      if self.scenario.holds == 0, isSteady {
        check(media.late == 0, "\(media.late) packets late")
        // Digits take the place of what is said meanwhile.
        let isGapless = try self.scenario.hasDigits || HeardAudio(side.heard).isGapless
        check(isGapless, "what was heard is not what was said")
      }
      if self.scenario.isPunctual, let roundTrip = media.roundTrip {
        let bounds = self.scenario.media.delay
        // Reports count time in steps of 15 microseconds.
        check(
          roundTrip * 500 > Double(bounds.lowerBound) - 50 && roundTrip * 500 < Double(bounds.upperBound) + 50,
          "a round trip of \(roundTrip) ms, on a path of \(bounds) µs each way")
      }
    }
    // In the clear a turned bit is heard, and may make a packet another one.
    let isTrue = self.scenario.media.corruption == 0 || report.mediaEncryption != "none"
    guard isTrue else { return faults }
    let heard = try HeardAudio(side.heard)
    check(heard.isInOrder, "packets were played out of order")
    check(heard.spoiled == 0, "\(heard.spoiled) packets were spoiled")
    check(
      heard.packets.count <= media.receivedPackets,
      "\(heard.packets.count) packets heard of \(media.receivedPackets) received")
    // What waited for an executor that stood still, and found the call on hold, was not to be played.
    guard self.scenario.isPunctual || self.scenario.holds == 0 else { return faults }
    // Held in the jitter buffer at the end, or received while on hold and not to be played.
    // With hold, also those that had waited for their keys until then.
    let slack = 13 + 8 * self.scenario.holds + (self.scenario.holds > 0 ? 32 : 0) + other.sent.events
    let skipped = self.scenario.jitterBuffer == .adaptive ? media.receivedPackets / 10 : 0
    check(
      heard.packets.count + media.late + slack + skipped >= media.receivedPackets,
      "\(heard.packets.count) packets heard of \(media.receivedPackets), \(media.late) late")
    return faults
  }
}
