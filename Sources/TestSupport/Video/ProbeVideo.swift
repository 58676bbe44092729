internal import Handoff
package import ModuleKit
internal import NetBase

/// What displays of `probe_video` got, by device.
package enum ProbeDisplay {
  package struct Frame: Equatable, Sendable {
    package let bytes: [UInt8]
    package let info: VideoFrameInfo
  }

  private static let shown = Locked<[String: [Frame]]>([:])
  private static let requested = Locked<[String: Int]>([:])
  private static let finished = Locked<[String: Int]>([:])

  /// Every frame that went to the device.
  package static func frames(_ device: String) -> [Frame] { self.shown.withLock { $0[device] ?? [] } }

  /// How many displays of the device were finished.
  package static func finishes(_ device: String) -> Int { self.finished.withLock { $0[device] ?? 0 } }

  /// How often a display of the device was asked for.
  package static func requests(_ device: String) -> Int { self.requested.withLock { $0[device] ?? 0 } }

  static func request(_ device: String) { self.requested.withLock { $0[device, default: 0] += 1 } }

  static func append(_ frame: Frame, to device: String) {
    self.shown.withLock { $0[device, default: []].append(frame) }
  }

  static func finish(_ device: String) { self.finished.withLock { $0[device, default: 0] += 1 } }
}

/// Encoded video for tests: a source of 30 numbered VP8 frames a second, and a display that remembers.
///
/// The source's first frame is a key frame, then one whenever it is asked for; its device is the length of a frame in
/// bytes, 400 without one, and a key frame is ten times as long.
package struct ProbeVideo: Module {
  package static let name = "probe_video"
  package static let summary = "a video source and a display of the tests"

  /// Nanoseconds from frame to frame.
  package static let interval: Int64 = 33_333_333

  package init(settings: ModuleSettings) throws(ModuleError) {}

  package var facets: [Facet] {
    [
      .videoSource { request throws(ModuleError) in
        let length = Int(request.device) ?? 400
        return { () throws(ModuleError) in ProbeVideoSource(length: length) }
      },
      .videoSink { request throws(ModuleError) in
        guard request.device != "refused" else { throw ModuleError(.cannotCreate, "module probe_video: refused") }
        ProbeDisplay.request(request.device)
        return { () throws(ModuleError) in ProbeVideoSink(device: request.device) }
      },
    ]
  }

  /// The number of a frame that the source has made; nil for any other bytes.
  package static func number(of frame: [UInt8]) -> Int? {
    let head = frame.count > 3 && frame[0] & 1 == 0 ? 10 : 3
    guard frame.count >= head + 4 else { return nil }
    let number = frame[head..<head + 4].reduce(0) { $0 << 8 | Int($1) }
    return frame == Self.frame(number, length: frame.count, isKey: head == 10) ? number : nil
  }

  static func frame(_ number: Int, length: Int, isKey: Bool) -> [UInt8] {
    var frame = vp8Frame(max(length, 16), isKey: isKey)
    let head = isKey ? 10 : 3
    for index in 0..<4 { frame[head + index] = UInt8(truncatingIfNeeded: number >> (24 - 8 * index)) }
    return frame
  }
}

private final class ProbeVideoSource: VideoSource {
  private let length: Int
  private var number = 0
  private var owesKeyFrame = true
  private(set) var nextDeadline: Instant?

  init(length: Int) {
    self.length = length
    self.nextDeadline = Instant(nanoseconds: 0)
  }

  func next(now: Instant, _ send: (RawSpan, VideoFrameInfo) -> Void) -> Bool {
    guard let due = self.nextDeadline, due <= now else { return false }
    let isKey = self.owesKeyFrame
    self.owesKeyFrame = false
    let bytes = ProbeVideo.frame(self.number, length: isKey ? self.length * 10 : self.length, isKey: isKey)
    let info = VideoFrameInfo(timestamp: UInt32(self.number * 3000), isKeyFrame: isKey)
    bytes.withRawSpan { send($0, info) }
    self.number += 1
    self.nextDeadline = now.advanced(by: .nanoseconds(ProbeVideo.interval))
    return true
  }

  func requestKeyFrame() { self.owesKeyFrame = true }

  func finish() {}
}

private final class ProbeVideoSink: VideoSink {
  private let device: String

  init(device: String) { self.device = device }

  func take(_ frame: RawSpan, _ info: VideoFrameInfo, now: Instant) {
    ProbeDisplay.append(ProbeDisplay.Frame(bytes: frame.copied(), info: info), to: self.device)
  }

  func takeKeyFrameRequest() -> Bool { false }

  func finish() { ProbeDisplay.finish(self.device) }
}
