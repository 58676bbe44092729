internal import Glibc
package import ModuleKit

/// The last levels of each stream, and the line that shows them.
struct Display {
  private let sink: (@Sendable (String) -> Void)?
  private(set) var levels: [StreamID: (transmit: Level?, receive: Level?)] = [:]

  init(sink: (@Sendable (String) -> Void)?) { self.sink = sink }

  /// Takes a level; a line comes out for each of the transmitted ones, or for each received one where nothing is sent.
  mutating func show(_ level: Level, _ direction: MediaDirection, of stream: StreamID) {
    var levels = self.levels[stream] ?? (nil, nil)
    switch direction {
    case .transmit: levels.transmit = level
    case .receive: levels.receive = level
    }
    self.levels[stream] = levels
    guard let sink else { return }
    if case .receive = direction, levels.transmit != nil { return }
    sink(line(stream: stream, transmit: levels.transmit, receive: levels.receive))
  }

  mutating func forget(_ stream: StreamID) { self.levels[stream] = nil }
}

/// For example `1: tx [========        ]  -26 dB  rx [                ]  -96 dB`.
package func line(stream: StreamID, transmit: Level?, receive: Level?) -> String {
  "\(stream.number): tx \(bar(transmit))  rx \(bar(receive))"
}

/// Sixteen columns for -64 to 0 dB of RMS, and a mark for the peak.
private func bar(_ level: Level?) -> String {
  let rms = level?.rms ?? -96
  let columns = (0..<16).map { column -> Character in
    let edge = Double(column * 4 - 64)
    if let level, level.peak >= -64, column == min(Int((level.peak + 64) / 4), 15) { return "|" }
    return rms > edge ? "=" : " "
  }
  let number = String(Int(rms.rounded()))
  return "[\(String(columns))] \(String(repeating: " ", count: max(4 - number.count, 0)))\(number) dB"
}

/// Where the bars go, if anyone is looking.
struct Terminal {
  private let descriptor: Int32

  /// Nil when the descriptor is no terminal.
  init?(descriptor: Int32) {
    guard isatty(descriptor) == 1 else { return nil }
    self.descriptor = descriptor
  }

  /// Overwrites the line; leaves it out while the terminal takes nothing (it was stopped with ^S).
  var sink: @Sendable (String) -> Void {
    let descriptor = self.descriptor
    return { line in
      var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      guard unsafe poll(&ready, 1, 0) == 1 else { return }
      let bytes = Array("\r\(line)\u{1B}[K".utf8)
      _ = unsafe bytes.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
    }
  }
}
