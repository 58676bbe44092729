internal import Handoff
internal import ModuleKit
internal import Runtime
internal import Synchronization

/// Tells of each call whose device can't be opened or was lost: once, until the device has been open again. The call goes
/// on, in silence. Lives on main.
final class DeviceWatch: Application {
  private let shelf: Locked<DeviceShelf>
  private unowned let host: any ApplicationHost
  private let words: @Sendable (Int32) -> String
  private var clock: CallClock?
  /// What has been told of each use of a device.
  private var told: [ObjectIdentifier: (failures: Int, openings: Int)] = [:]

  /// - Parameter words: what a code of the library's means.
  init(
    _ shelf: Locked<DeviceShelf>, on loop: LoopContext, host: any ApplicationHost,
    words: @escaping @Sendable (Int32) -> String
  ) {
    (self.shelf, self.host, self.words) = (shelf, host, words)
    self.clock = CallClock(every: 500, on: loop, host: host) { [unowned self] in self.look() }
  }

  func take(_ notice: AgentNotice) { self.clock?.take(notice) }

  func stop() { self.clock?.stop() }

  private func look() {
    let all = self.shelf.withLock { $0.figures }
    self.told = self.told.filter { use, _ in all.contains { ObjectIdentifier($0) == use } }
    for figures in all where figures.isWanted { self.look(at: figures) }
  }

  private func look(at figures: DeviceFigures) {
    let failures = figures.failures.load(ordering: .relaxed)
    let openings = figures.openings.load(ordering: .relaxed)
    let before = self.told[ObjectIdentifier(figures)] ?? (0, -1)
    guard failures > before.failures, openings != before.openings else { return }
    self.told[ObjectIdentifier(figures)] = (failures, openings)
    let code = Int32(clamping: figures.lastFailure.load(ordering: .relaxed))
    self.host.tell(.audioError, of: figures.stream, parameter: "\(-code),alsa, \(figures.title): \(self.words(code))")
  }
}

/// Starts the watch of one agent.
struct DeviceWatchProvider: ApplicationProvider {
  let shelf: Locked<DeviceShelf>
  let words: @Sendable (Int32) -> String

  func start(on loop: LoopContext, host: any ApplicationHost) throws(ModuleError) -> any Application {
    DeviceWatch(self.shelf, on: loop, host: host, words: self.words)
  }
}
