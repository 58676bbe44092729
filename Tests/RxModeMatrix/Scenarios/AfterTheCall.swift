import ModuleKit

@testable import UACore

extension Checks {
  /// What holds of a side's calls when they are over: the packets of each, nothing of a kind that must not be, sockets
  /// and stages gone.
  ///
  /// - Parameter reason: the word for how the calls ended.
  mutating func expectEnd(of side: Side, _ cell: Cell, calls: Int = 1, reason: String = "hangup") {
    let reports = side.ended
    self.expect(reports.count == calls, "\(calls) call(s) ended: \(reports.map(\.reason))")
    self.expect(reports.allSatisfy { $0.reason == reason }, "ended by \(reason): \(reports.map(\.reason))")
    self.expect(reports.allSatisfy { $0.rxMode == cell.mode }, "in mode \(cell.mode)")
    let packets = reports.map(\.media.receivedPackets)
    for count in packets { self.note(packets: count) }
    self.expect(packets.allSatisfy { $0 >= cell.packets }, "heard \(packets) packets, \(cell.packets) expected")
    for report in reports {
      let drops = report.media.drops
      // How long packets wait for a key that is on its way, and for a lane, is a matter of the machine's load.
      let never = drops.auth + drops.replay + drops.plaintext + drops.source + drops.unknown
      self.expect(never == 0, "dropped \(drops)")
    }
    self.expect(side.wire.violations.isEmpty, "\(Set(side.wire.violations))")
    self.expect(side.wire.openSockets == 0, "\(side.wire.openSockets) sockets are left")
  }

  /// Encrypted as the cell says, and no other way.
  mutating func expectSecurity(of report: CallReport?, _ cell: Cell) {
    self.expect(report?.mediaEncryption == cell.encryption ?? "none", "encrypted by \(report?.mediaEncryption ?? "-")")
    self.expect(
      (report?.profile != nil) == (cell.encryption != nil), "the profile is \(report?.profile ?? "none")")
    self.expect((report?.secure != nil) == (cell.encryption != nil), "secured after \(report?.secure ?? -1) ms")
  }

  /// RTCP left where it was agreed to.
  mutating func expectPorts(of side: Side, _ cell: Cell) {
    let sent = side.wire.sent
    self.expect(
      sent.rtp > 0 && (sent.rtcp > 0) == !cell.usesRTCPMux, "RTP's port sent \(sent.rtp), RTCP's \(sent.rtcp)")
  }
}
