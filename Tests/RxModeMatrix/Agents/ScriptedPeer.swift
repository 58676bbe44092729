import ModuleKit
import NetBase
import Runtime

@testable import UACore

/// A SIP peer on a loop of its own, over the kernel's loopback, that does what a scenario says: in its signalling, and in
/// the media that it sends.
actor ScriptedPeer {
  private nonisolated let loop = EventLoop.start(name: "peer")
  private var core: ScriptedPeerCore?

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe self.loop.asUnownedSerialExecutor() }

  /// Listens; returns SIP's port.
  func start(_ cell: Cell) throws -> UInt16 {
    let core = try self.loop.withContext { context in
      try ScriptedPeerCore(context, on: cell.address, encryption: cell.encryption, usesRTCPMux: cell.usesRTCPMux)
    }
    self.core = core
    return core.port
  }

  /// Whether an INVITE has come.
  var isCalled: Bool { self.core?.isCalled ?? false }
  /// Whether the ACK has come.
  var isEstablished: Bool { self.core?.isEstablished ?? false }
  /// Whether the caller has hung up.
  var isOver: Bool { self.core?.isOver ?? false }
  /// RTP packets of the caller's that could be opened.
  var received: Int { self.core?.media.received ?? 0 }
  /// Packets that came in the clear, or under a wrong key, though encryption is in force.
  var refused: Int { self.core?.media.refused ?? 0 }

  /// A 183 with a description: media begins.
  func answerEarly() throws { try self.core?.respond(isFinal: false) }
  /// The 200.
  func answer() throws { try self.core?.respond(isFinal: true) }

  /// Goes on as another source, from another sequence number.
  func changeSource() { self.core?.media.changeSource() }
  func change(payloadType: UInt8) { self.core?.media.payloadType = payloadType }

  /// From now on the peer is not there: no good-bye, no response, no socket.
  func vanish() { self.core = nil }

  nonisolated func stop() async {
    await self.vanish()
    self.loop.stop()
  }
}
