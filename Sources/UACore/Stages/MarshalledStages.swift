internal import Handoff
package import ModuleKit
package import Runtime
internal import Synchronization

/// Makes stages on the loop that will own them.
package typealias ChainFactory = @Sendable () throws(ModuleError) -> sending any AudioStage

/// What a marshalling adapter keeps on main.
private struct MainSide {
  let stage: any AudioStage
  let port: WatchID
}

/// The marshalling adapter of the receive direction: a `mainOnly` stage, with all that follows it, run on main.
///
/// Frames are copied into a bounded lane; what does not fit is dropped and counted.
package final class MarshalledConsumer: LossyStage, Sendable {
  package let format: AudioFormat
  private let frames: Mailbox<PCMBlock>
  private let side: LoopBound<MainSide>

  /// - Parameters:
  ///   - make: the stages from the `mainOnly` one on; called on main, and used there only.
  ///   - failed: told, on main, why they could not be made.
  package init(
    to main: EventLoop, format: AudioFormat, stream: StreamID, _ make: @escaping ChainFactory,
    failed: @escaping @Sendable (ModuleError) -> Void
  ) {
    self.format = format
    let slot = PortSlot()
    self.frames = Mailbox(capacity: 16) { slot.signal(main) }
    self.side = LoopBound(on: main)
    let (frames, side) = (self.frames, self.side)
    main.execute { context in
      do throws(ModuleError) {
        let stage = try make()
        let drain = {
          while var block = frames.take() {
            _ = block.withFrame(direction: .receive, stream: stream) { stage.process(&$0) }
          }
        }
        let port = context.register(drain)
        side.put(MainSide(stage: stage, port: port))
        slot.set(port)
        drain()
      } catch { failed(error) }
    }
  }

  /// Frames that found the lane full.
  package var lostFrames: Int { self.frames.dropCount }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    self.frames.post(PCMBlock(frame.samples.span))
    return .drop
  }

  package func finish(_ stream: StreamID) {
    let (frames, side) = (self.frames, self.side)
    side.loop.execute { context in
      guard let taken = side.take() else { return }
      context.handle(taken.port)
      frames.close()
      context.unregister(taken.port)
      taken.stage.finish(stream)
    }
  }
}

/// The marshalling adapter of the transmit direction: a `mainOnly` stage, with all that comes before it, run on main.
///
/// Main makes frames ahead of their time, three at most; where it is late the transport sends silence and counts it. Where
/// the packet time changes, those that were made before are used up, in longer or shorter frames.
package final class MarshalledProducer: LossyStage {
  package let format: AudioFormat
  private let supply: MarshalledSupply
  /// The oldest of main's frames, and how much of it is used up.
  private var block: PCMBlock?
  private var used = 0
  /// Frames that main did not have ready.
  package private(set) var lostFrames = 0

  /// - Parameter sampleCount: of the first frames, all channels.
  package init(
    on main: EventLoop, format: AudioFormat, sampleCount: Int, stream: StreamID, _ make: @escaping ChainFactory,
    failed: @escaping @Sendable (ModuleError) -> Void
  ) {
    self.format = format
    self.supply = MarshalledSupply(on: main, sampleCount: sampleCount, stream: stream, make, failed: failed)
  }

  package func process(_ frame: inout AudioFrame) -> Verdict {
    var filled = 0
    while true {
      if let count = self.block?.copy(from: self.used, into: &frame.samples, at: filled) {
        filled += count
        self.used += count
      }
      guard filled < frame.samples.count else { return .forward }
      let hasEnded = self.supply.hasEnded
      self.block = self.supply.take(frame.samples.count)
      self.used = 0
      guard self.block == nil else { continue }
      for index in filled..<frame.samples.count { frame.samples[index] = 0 }
      if hasEnded { return .end }
      self.lostFrames += 1
      return .forward
    }
  }

  package func finish(_ stream: StreamID) { self.supply.finish(stream) }
}

/// The frames that main makes for a `MarshalledProducer`, and what tells main to make more.
private final class MarshalledSupply: Sendable {
  private let frames: Mailbox<PCMBlock>
  private let wanted = Atomic<Int>(MarshalledSupply.lead)
  /// Samples of the next frame that main makes, all channels.
  private let sampleCount: Atomic<Int>
  private let isOver = Atomic<Bool>(false)
  private let demand: @Sendable () -> Void
  private let side: LoopBound<MainSide>
  private static let lead = 3

  init(
    on main: EventLoop, sampleCount: Int, stream: StreamID, _ make: @escaping ChainFactory,
    failed: @escaping @Sendable (ModuleError) -> Void
  ) {
    self.sampleCount = Atomic(sampleCount)
    let slot = PortSlot()
    self.demand = { slot.signal(main) }
    self.frames = Mailbox(capacity: Self.lead + 1) {}
    self.side = LoopBound(on: main)
    main.execute { [self] context in
      do throws(ModuleError) {
        let stage = try make()
        let fill = { [weak self] in
          guard let self else { return }
          while self.wanted.load(ordering: .acquiring) > 0, !self.isOver.load(ordering: .relaxed) {
            var block = PCMBlock(count: self.sampleCount.load(ordering: .relaxed))
            let verdict = block.withFrame(direction: .transmit, stream: stream) { stage.process(&$0) }
            self.frames.post(block)
            self.wanted.subtract(1, ordering: .acquiringAndReleasing)
            if case .end = verdict { self.isOver.store(true, ordering: .releasing) }
          }
        }
        let port = context.register(fill)
        self.side.put(MainSide(stage: stage, port: port))
        slot.set(port)
        fill()
      } catch { failed(error) }
    }
  }

  /// Whether main makes no more than what waits.
  var hasEnded: Bool { self.isOver.load(ordering: .acquiring) }

  /// The next frame; nil where none is ready. Main makes those to come of `sampleCount` samples.
  func take(_ sampleCount: Int) -> PCMBlock? {
    self.sampleCount.store(sampleCount, ordering: .relaxed)
    guard let block = self.frames.take() else { return nil }
    self.wanted.add(1, ordering: .acquiringAndReleasing)
    self.demand()
    return block
  }

  func finish(_ stream: StreamID) {
    let (frames, side) = (self.frames, self.side)
    side.loop.execute { context in
      guard let taken = side.take() else { return }
      context.unregister(taken.port)
      frames.close()
      taken.stage.finish(stream)
    }
  }
}
