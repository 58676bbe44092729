internal import Handoff
internal import ModuleKit
internal import Synchronization

/// A source to mix in.
struct Mix: Sendable {
  /// Called by the mixer's owner, whose the source is then.
  let make: StageFactory
  /// 0 to 1.
  let streamVolume: Float
  let sourceVolume: Float
}

/// What main tells a mixer, and hears of it.
final class MixerControl: Sendable {
  enum Order: Sendable {
    case start(Mix)
    case stop
  }

  private let orders = Mailbox<Order>(capacity: 4) {}
  private let busy = Atomic<Bool>(false)

  /// Whether a source was asked for, and its end is not yet begun.
  var isBusy: Bool { self.busy.load(ordering: .relaxed) }

  /// Only when it is not busy, so the box has room.
  func start(_ mix: Mix) {
    self.busy.store(true, ordering: .relaxed)
    self.orders.post(.start(mix))
  }

  func stop() {
    guard self.isBusy else { return }
    self.orders.post(.stop)
  }

  /// The mixer's side: the oldest order; one load when there is none.
  func take() -> Order? { self.orders.take() }

  /// The mixer's side: another source may be asked for.
  func isDone() { self.busy.store(false, ordering: .relaxed) }
}
