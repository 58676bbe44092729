import ModuleKit
import TestSupport

@testable import UACore

/// What many calls were, counted: shows that a long run had of everything, and what came of it.
struct Tally: CustomStringConvertible {
  private var counts: [String: Int] = [:]

  mutating func add(_ call: WholeCall) {
    let scenario = call.scenario
    self.count("calls")
    self.count("keys \(scenario.encryptions.alice ?? "none") to \(scenario.encryptions.bob ?? "none")")
    self.count("mode \(scenario.modes.alice.rawValue)")
    self.count("weather \(scenario.weather)")
    for trouble in scenario.troubles { self.count("trouble \(trouble.name)") }
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

  private mutating func count(_ name: String, _ number: Int = 1) {
    if number > 0 { self.counts[name, default: 0] += number }
  }

  var description: String {
    self.counts.sorted { $0.key < $1.key }.map { "tally: \($0.key)\t\($0.value)" }.joined(separator: "\n")
  }
}

extension Trouble {
  /// The case's name.
  fileprivate var name: Substring { "\(self)".prefix { $0 != "(" } }
}
