import ModuleKit
import TestSupport

@testable import UACore

/// What many calls were, counted: shows that a long run had of everything, and what came of it.
struct Tally: CustomStringConvertible {
  private var counts: [String: Int] = [:]
  /// In how many calls a fault was at work in a phase.
  private var encounters: [Encounters.Cell: Int] = [:]

  mutating func add(_ call: WholeCall) {
    let scenario = call.scenario
    self.count("calls")
    self.count("keys \(scenario.encryptions.alice ?? "none") to \(scenario.encryptions.bob ?? "none")")
    self.count("mode \(scenario.modes.alice.rawValue)")
    self.count("weather \(scenario.weather)")
    for trouble in scenario.troubles { self.count("trouble \(trouble.name)") }
    for cell in call.encounters { self.encounters[cell, default: 0] += 1 }
    if call.alice.reports.first?.setup != nil { self.count("established") }
    if call.alice.reports.first?.secure != nil { self.count("encrypted") }
    self.count("sent", call.network.sent)
    self.count("virtual seconds", Int(call.duration))
    for report in call.sides.flatMap(\.reports) {
      self.count("end \(report.reason)")
      let media = report.media
      self.count("rekeys", media.rekeys)
      self.count("received packets", media.receivedPackets)
      self.count("handshake datagrams", media.handshakeDatagrams)
      self.count("send failures", media.sendFailures)
      let drops = media.drops
      for (name, value) in [
        ("auth", drops.auth), ("replay", drops.replay), ("plaintext", drops.plaintext), ("source", drops.source),
        ("unknown", drops.unknown), ("mailboxFull", drops.mailboxFull), ("noKey", drops.noKey),
        ("crowded", drops.crowded), ("ended", drops.ended),
      ] { self.count("dropped \(name)", value) }
    }
  }

  mutating func add(_ other: Tally) {
    self.counts.merge(other.counts) { $0 + $1 }
    self.encounters.merge(other.encounters) { $0 + $1 }
  }

  /// In how many calls each fault was at work in each phase, as a table; `-` for what can't be, with the reason.
  func table(of faults: [Fault]) -> String {
    func row(_ cells: [String]) -> String {
      "tally: " + cells.map { $0 + String(repeating: " ", count: max(1, 18 - $0.count)) }.joined()
    }
    let head = row(["in calls"] + Phase.allCases.map(\.rawValue))
    let rows = faults.map { fault in
      let figures = Phase.allCases.map { phase in
        fault.absence(in: phase) == nil ? "\(self.count(of: fault, in: phase))" : "-"
      }
      let reasons = Set(Phase.allCases.compactMap { fault.absence(in: $0) }).map { "(- \($0))" }
      return row([fault.rawValue] + figures + reasons)
    }
    return ([head] + rows).joined(separator: "\n")
  }

  /// What was at work in a phase in fewer calls than `least`, but for what can't be.
  func missing(_ faults: [Fault], least: Int) -> [String] {
    faults.flatMap { fault in
      Phase.allCases.filter { fault.absence(in: $0) == nil && self.count(of: fault, in: $0) < least }
        .map { "\(fault.rawValue) x \($0.rawValue)" }
    }
  }

  private func count(of fault: Fault, in phase: Phase) -> Int {
    self.encounters[Encounters.Cell(fault: fault, phase: phase)] ?? 0
  }

  private mutating func count(_ name: String, _ number: Int = 1) {
    if number > 0 { self.counts[name, default: 0] += number }
  }

  var description: String {
    self.counts.sorted { $0.key < $1.key }.map { "tally: \($0.key)\t\($0.value)" }.joined(separator: "\n")
  }
}
