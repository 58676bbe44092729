internal import NetBase
internal import RTPStack
internal import Runtime

/// The current call's figures, told every second while it stands (`statmode`). Lives on main, with its agent.
final class CallStatusLine {
  private unowned let core: AgentCore
  private var before: (call: CallID, sent: Int, received: Int)?
  private var ticks = false
  var isOn = false { didSet { self.isOn ? self.start() : self.tell("") } }
  private var shown = ""

  init(core: AgentCore) { self.core = core }

  /// A call has been established.
  func start() {
    guard self.isOn, !self.ticks else { return }
    self.ticks = true
    self.tick()
  }

  private func tick() {
    let call = self.core.control.currentCall.flatMap { self.core.calls[$0] }
    guard self.isOn, let call, call.state == .established, let report = self.core.report(call.id) else {
      (self.ticks, self.before) = (false, nil)
      return self.tell("")
    }
    self.tell(self.text(of: report))
    self.core.refreshStatistics(call.id)
    self.core.context.schedule(at: self.core.context.now.advanced(byMilliseconds: 1000)) { [weak self] in self?.tick() }
  }

  private func text(of report: CallReport) -> String {
    let media = report.media
    let (sent, received) = (Int(media.sentBytes), Int(media.receivedBytes))
    let last = self.before.flatMap { $0.call == report.id ? $0 : nil } ?? (call: report.id, sent: 0, received: 0)
    self.before = (report.id, sent, received)
    func rate(_ bytes: Int) -> Int { max(0, bytes) * 8 / 1000 }
    let seconds = Int(report.duration)
    let time = "\(seconds / 3600):\(Self.twoDigits(seconds / 60 % 60)):\(Self.twoDigits(seconds % 60))"
    let rates = "\(rate(sent - last.sent))/\(rate(received - last.received)) kbit/s"
    let level = media.audioLevel.map { ", the peer at \($0.decibels) dBov" } ?? ""
    return "[\(time)] call \(report.id), audio \(rates), lost \(media.lost)\(level)"
  }

  private func tell(_ text: String) {
    guard text != self.shown else { return }
    self.shown = text
    self.core.emit(.status(text))
  }

  private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
