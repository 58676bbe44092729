package import ModuleKit

/// The streams of one device; correct under one outside lock, which its claim makes the core provide.
///
/// Each stream's playback goes into a ring of its own. A stream records the saturated sum of the others' rings, or its
/// own when it is alone. Memory is taken when a stream is first seen, never per frame.
package final class Bridge: AudioStage {
  package let format = AudioFormat(sampleRate: 48_000, channels: 1)
  /// 200 ms: what a reader may lag behind before the oldest is lost to it.
  package static let capacity = 9600
  /// What a reader that lagged too far is left with: 40 ms.
  package static let resumption = 1920

  private var ports: [Port] = []
  /// Samples that were too late for a reader, over all pairs of streams.
  package private(set) var lateCount = 0

  package init() {}

  package func process(_ frame: inout AudioFrame) -> Verdict {
    let port = self.port(of: frame.stream)
    switch frame.direction {
    case .receive:
      self.ports[port].write(frame.samples.span)
      return .drop
    case .transmit:
      for index in 0..<frame.samples.count { frame.samples[index] = 0 }
      guard self.ports.count > 1 else {
        self.mix(writer: port, reader: port, into: &frame)
        return .forward
      }
      for writer in self.ports.indices where writer != port {
        self.mix(writer: writer, reader: port, into: &frame)
      }
      // Should the others leave, the echo starts with what is played then.
      self.ports[port].cursors[port] = self.ports[port].written
      return .forward
    }
  }

  /// Forgets the stream; a second call, by its player after its source, does nothing.
  package func finish(_ stream: StreamID) {
    guard let index = self.ports.firstIndex(where: { $0.stream == stream }) else { return }
    self.ports.remove(at: index)
    for reader in self.ports.indices { self.ports[reader].cursors.remove(at: index) }
  }

  private func port(of stream: StreamID) -> Int {
    if let index = self.ports.firstIndex(where: { $0.stream == stream }) { return index }
    // Everyone hears the newcomer, and the newcomer everyone, from now on.
    for reader in self.ports.indices { self.ports[reader].cursors.append(0) }
    self.ports.append(Port(stream: stream, cursors: self.ports.map(\.written) + [0]))
    return self.ports.count - 1
  }

  private func mix(writer: Int, reader: Int, into frame: inout AudioFrame) {
    let written = self.ports[writer].written
    var cursor = self.ports[reader].cursors[writer]
    if written - cursor > Self.capacity {
      self.lateCount += written - Self.resumption - cursor
      cursor = written - Self.resumption
    }
    let count = min(frame.samples.count, written - cursor)
    for index in 0..<count {
      let sum = Int32(frame.samples[index]) + Int32(self.ports[writer].ring[(cursor + index) % Self.capacity])
      frame.samples[index] = Int16(clamping: sum)
    }
    self.ports[reader].cursors[writer] = cursor + count
  }
}

/// One stream: what it played lately, and how far it has read each other stream.
private struct Port {
  let stream: StreamID
  var ring = [Int16](repeating: 0, count: Bridge.capacity)
  /// Samples ever written; the newest is at `(written - 1) % capacity`.
  var written = 0
  /// By port, in samples ever read of it.
  var cursors: [Int]

  init(stream: StreamID, cursors: [Int]) {
    self.stream = stream
    self.cursors = cursors
  }

  mutating func write(_ samples: Span<Int16>) {
    for index in 0..<samples.count { self.ring[(self.written + index) % Bridge.capacity] = samples[index] }
    self.written += samples.count
  }
}
