internal import Handoff
internal import ModuleKit
internal import Runtime

/// Tells the levels of every call twice a second, as baresip does; lives on main.
final class LevelReports: Application {
  private let clock: CallClock

  init(_ display: Locked<Display>, on loop: LoopContext, host: any ApplicationHost) {
    self.clock = CallClock(every: 500, on: loop, host: host) { [unowned host] in
      for (stream, levels) in display.withLock({ $0.levels }).sorted(by: { $0.key.number < $1.key.number }) {
        if let sent = levels.transmit { host.tell(.levelSent, of: stream, parameter: Self.text(sent)) }
        if let heard = levels.receive { host.tell(.levelHeard, of: stream, parameter: Self.text(heard)) }
      }
    }
  }

  func take(_ notice: AgentNotice) { self.clock.take(notice) }

  func stop() { self.clock.stop() }

  /// dB with two digits after the point.
  private static func text(_ level: Level) -> String {
    let hundredths = Int((level.rms * 100).rounded())
    let (whole, part) = abs(hundredths).quotientAndRemainder(dividingBy: 100)
    return "\(hundredths < 0 ? "-" : "")\(whole).\(part < 10 ? "0" : "")\(part)"
  }
}

/// Starts the reports of one agent.
struct LevelReportsProvider: ApplicationProvider {
  let display: Locked<Display>

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    LevelReports(self.display, on: loop, host: host)
  }
}
