internal import Handoff
internal import ModuleKit
package import Runtime

/// What main keeps of a transport: ways to reach it, and nothing that it owns.
package final class TransportHandle: Sendable {
  package let loop: EventLoop
  private let ownsLoop: Bool
  private let commands: Mailbox<TransportCommand>
  private let events: Mailbox<TransportEvent>
  /// Makes the transport look for what there is to do; on any thread.
  package let wake: @Sendable () -> Void
  /// Keeps the transport alive, on its loop.
  package let transport: LoopBound<MediaTransport>

  /// Hands the sockets over to `loop` and starts the transport there.
  ///
  /// - Parameters:
  ///   - ownsLoop: whether the loop is the transport's own, to be stopped after it.
  ///   - ports: bound sockets; no one else holds them.
  ///   - announce: called, on any thread, when an event waits.
  package init(
    on loop: EventLoop, ownsLoop: Bool, settings: TransportSettings, ports: consuming MediaPorts,
    announce: @escaping @Sendable () -> Void
  ) {
    self.loop = loop
    self.ownsLoop = ownsLoop
    let slot = PortSlot()
    self.wake = { slot.signal(loop) }
    let commands = Mailbox<TransportCommand>(capacity: 64, reserve: 1) { slot.signal(loop) }
    let events = Mailbox<TransportEvent>(capacity: 128, wake: announce)
    let box = LoopBound<MediaTransport>(on: loop)
    self.commands = commands
    self.events = events
    self.transport = box
    let pair = ports.pair.take()
    let further = ports.further.take()
    loop.execute { context in
      let transport = MediaTransport(
        context: context, settings: settings, commands: commands, events: events, ports: pair, further: further,
        released: { context.schedule(at: context.now) { _ = box.take() } })
      box.put(transport)
      slot.set(transport.start())
      transport.lookForCommands()
    }
  }

  /// Posts a command; false when the lane is full, and the caller fails with a reason.
  package func post(_ command: consuming sending TransportCommand) -> Bool { self.commands.post(command) }

  /// Posts the last command; there is always room for it, however far behind the transport is.
  package func stop() { _ = self.commands.offer(.stop, isUrgent: true) }

  /// The oldest event that waits; on main.
  package func nextEvent() -> sending TransportEvent? { self.events.take() }

  /// After `closed`: ends the loop's thread, where the loop was the transport's own.
  package func release() { if self.ownsLoop { self.loop.stop() } }
}
