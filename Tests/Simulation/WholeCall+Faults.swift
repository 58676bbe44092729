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
    check(self.mediaSockets == 0, "\(self.mediaSockets) media sockets are left")
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
    if isAlice { check(side.reports.count == 1, "\(side.reports.count) calls ended") }
    if self.scenario.signalling.corruption == 0 {
      check(side.reports.count <= 1, "\(side.reports.count) calls ended")
    }
    for report in side.reports {
      check(report.state == .ended, "the call's last state is \(report.state)")
      check(!report.reason.isEmpty, "the call ended without a reason")
    }
    let established = side.reports.count { $0.setup != nil }
    check(side.finishes <= max(side.reports.count, 1), "\(side.finishes) players were finished")
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
    let sip = side.signalling
    let counted = sip.requestsReceived + sip.responsesReceived + sip.malformed + sip.keepAlives
    check(
      side.toSignalling.delivered - side.toSignalling.unread == counted,
      "\(side.toSignalling.delivered) SIP datagrams came, \(counted) are counted")
    let media = side.reports.map(\.media)
    let received = media.reduce(0) { $0 + $1.receivedDatagrams }
    check(
      side.toMedia.delivered - side.toMedia.unread == received,
      "\(side.toMedia.delivered) media datagrams came, \(side.toMedia.unread) unread, \(received) are counted")
    for one in media {
      check(
        one.accountedDatagrams == one.receivedDatagrams,
        "\(one.receivedDatagrams) datagrams were received, \(one.accountedDatagrams) accounted for: \(one)")
    }
    check(
      media.reduce(0) { $0 + $1.sentDatagrams } == side.sent.datagrams,
      "\(side.sent.datagrams) datagrams were sent, \(media.reduce(0) { $0 + $1.sentDatagrams }) are counted")
    return faults
  }

  private func audioFaults(_ side: Side) throws -> [String] {
    var faults: [String] = []
    func check(_ isSound: Bool, _ sentence: @autoclosure () -> String) { if !isSound { faults.append(sentence()) } }
    let other = side.party == .alice ? self.bob : self.alice
    guard let report = side.reports.first, side.reports.count == 1, other.reports.count == 1 else { return [] }
    let media = report.media
    if self.scenario.isLossless {
      // At the end of a call packets may overtake those that it no longer hears.
      let overtaken = self.scenario.media.delay.upperBound > self.scenario.media.delay.lowerBound ? 3 : 0
      check(media.lost <= overtaken, "\(media.lost) packets lost on a network that loses nothing")
      check(media.duplicate == 0 && media.suspect == 0, "duplicates or suspects where there were none")
      check(media.drops.replay == 0, "replays where there were none: \(media.drops)")
      check(media.drops.auth + media.drops.plaintext + media.drops.source == 0, "\(media.drops)")
      // A handshake that was cut off leaves datagrams that nobody took.
      let isWhole = report.secure != nil || report.mediaEncryption == "none" && report.setup != nil
      if isWhole { check(media.drops.unknown == 0, "\(media.drops)") }
      // Packets that outrun their 200 by more than the jitter buffer may hold are not all played.
      let isPrompt = self.scenario.signalling.delay.upperBound <= 100_000
      if self.scenario.holds == 0, !self.scenario.hasDigits, self.scenario.jitterBuffer == .fixed, isPrompt {
        check(try HeardAudio(side.heard).isGapless, "what was heard is not what was said")
        check(media.late == 0, "\(media.late) packets late")
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
    // Held in the jitter buffer at the end, or received while on hold and not to be played.
    let slack = 13 + 8 * self.scenario.holds + other.sent.events
    let skipped = self.scenario.jitterBuffer == .adaptive ? media.receivedPackets / 10 : 0
    check(
      heard.packets.count + media.late + slack + skipped >= media.receivedPackets,
      "\(heard.packets.count) packets heard of \(media.receivedPackets), \(media.late) late")
    return faults
  }
}
