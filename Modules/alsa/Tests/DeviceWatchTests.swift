import Handoff
import ModuleKit
import Runtime
import Synchronization
import TestSupport
import Testing

@testable import alsa

/// What programs hear of devices that fail.
@Suite struct DeviceWatchTests {
  /// An application holds its host unowned.
  private struct Parts {
    let host: AnsweringHost
    let watch: DeviceWatch
  }

  @Test("a device that fails is told of once, and again when it was open meanwhile; a finished one is not")
  func told() async throws {
    let (shelf, log) = (Locked(DeviceShelf()), Locked<[String]>([]))
    let lost = DeviceFigures(stream: StreamID(number: 1), title: "capture fake", sampleRate: 8000)
    let over = DeviceFigures(stream: StreamID(number: 2), title: "playback fake", sampleRate: 8000)
    shelf.withLock {
      $0.add(lost)
      $0.add(over)
    }
    over.failed(-19)
    over.isFinished.store(true, ordering: .relaxed)
    let loop = EventLoop.start(name: "watch")
    defer { loop.stop() }
    let parts = LoopBound<Parts>(on: loop)
    _ = loop.sync { context in
      let host = AnsweringHost(loop, log)
      host.dial("sip:bob@192.0.2.1", sound: CallSound(source: nil, player: nil)) { _ in }
      let watch = DeviceWatch(shelf, on: context, host: host) { "code \($0)" }
      var notice = AgentNotice(.callOutgoing)
      notice.call = AgentNotice.Call(
        isOutgoing: true, peerURI: "sip:bob@192.0.2.1", peerName: nil, id: "1", remoteDirection: "inactive",
        localDirection: "inactive", direction: "inactive", diverter: nil)
      watch.take(notice)
      parts.put(Parts(host: host, watch: watch))
      return true
    }
    func told(_ count: Int) async throws -> Bool {
      for _ in 0..<600 where log.withLock({ $0.count { $0.hasPrefix("AUDIO_ERROR") } }) < count {
        try await Task.sleep(for: .milliseconds(10))
      }
      return log.withLock { $0.count { $0.hasPrefix("AUDIO_ERROR") } } == count
    }
    lost.failed(-19)
    #expect(try await told(1))
    lost.failed(-19)
    try await Task.sleep(for: .milliseconds(700))
    #expect(try await told(1), "it is away yet")
    lost.opened()
    lost.closed()
    lost.failed(-5)
    #expect(try await told(2))
    #expect(
      log.withLock { $0.filter { $0.hasPrefix("AUDIO_ERROR") } } == [
        "AUDIO_ERROR 1: 19,alsa, capture fake: code -19", "AUDIO_ERROR 1: 5,alsa, capture fake: code -5",
      ])
    _ = loop.sync { _ in
      parts.withValue { $0.watch.stop() }
      return parts.take().map { _ in true } ?? false
    }
  }
}
