internal import ModuleKit
internal import UACore

/// Ctrl-C, or the end of a time, whichever comes first.
enum Interrupt {
  /// Waits so many seconds, or until one of `stops` says so; true when it was stopped early.
  static func sleep(seconds: Double, unless stops: StopFlag...) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      group.addTask {
        try? await Task.sleep(for: .seconds(seconds))
        return false
      }
      for stop in stops {
        group.addTask {
          await stop.wait()
          return true
        }
      }
      let first = await group.next() ?? false
      group.cancelAll()
      for stop in stops { await stop.release() }
      return first
    }
  }
}

/// Waits until each of the calls was answered or is over; a signal ends them all.
func answers(to calls: [CallID], _ agent: UserAgent, _ watch: CallWatch, _ stop: StopFlag) async {
  // Not waited for: it may come to wait itself only when all is answered, and then goes with the next release.
  Task {
    await stop.wait()
    guard await stop.isSet else { return }
    for call in calls { await agent.hangUp(call) }
  }
  for call in calls { await watch.wait(.answered(call)) }
  await stop.release()
}

/// Set once, by a signal or by the end of calls.
actor StopFlag {
  private(set) var isSet = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  /// A flag that the first SIGINT or SIGTERM sets.
  static func onSignal() -> StopFlag {
    let flag = StopFlag()
    let signals = Signals.first()
    Task {
      for await _ in signals { await flag.set() }
    }
    return flag
  }

  /// A flag that is set when the condition holds; nobody waits for it after the watch's agent has ended.
  static func onEnd(_ condition: CallWatch.Condition, of watch: CallWatch) -> StopFlag {
    let flag = StopFlag()
    Task {
      await watch.wait(condition)
      await flag.set()
    }
    return flag
  }

  func set() {
    self.isSet = true
    self.release()
  }

  /// A task that was cancelled before it came here does not wait.
  func wait() async {
    guard !self.isSet, !Task.isCancelled else { return }
    await withCheckedContinuation { self.waiters.append($0) }
  }

  /// Lets everyone who waits go on, set or not.
  func release() {
    let all = self.waiters
    self.waiters = []
    for waiter in all { waiter.resume() }
  }
}
