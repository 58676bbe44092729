import Foundation
import ModuleKit
import NetBase
import TestSupport
import Testing
import ivf

private let start = Instant(nanoseconds: 5_000_000_000)

private func little(_ value: Int, _ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
}

private func film(
  _ frames: [(stamp: Int, bytes: [UInt8])], coding: String = "VP80", rate: Int = 30, scale: Int = 1
) -> [UInt8] {
  let sizes = little(640, 2) + little(480, 2) + little(rate, 4) + little(scale, 4)
  let header = Array("DKIF".utf8) + little(0, 2) + little(32, 2) + Array(coding.utf8) + sizes
  return header + little(frames.count, 4) + little(0, 4)
    + frames.flatMap { little($0.bytes.count, 4) + little($0.stamp, 8) + $0.bytes }
}

/// Six frames of VP8, of which the first and the fourth are key frames.
private let six = (0..<6).map { (stamp: $0, bytes: vp8Frame(20 + $0, isKey: $0 % 3 == 0)) }

/// A folder of the test's own.
private final class Folder {
  let path: String
  init() throws {
    self.path = NSTemporaryDirectory() + "/ivf-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: self.path) }
  func callAsFunction(_ name: String) -> String { "\(self.path)/\(name)" }
  func write(_ bytes: [UInt8], _ name: String) throws { try Data(bytes).write(to: URL(fileURLWithPath: self(name))) }
  func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: self(name)))) }
}

private func module() throws -> IVF { try IVF(settings: ModuleSettings(keys: [])) }

private func request(_ path: String, _ codec: String, _ direction: MediaDirection) -> VideoRequest {
  VideoRequest(device: path, encodingName: codec, stream: StreamID(number: 1), direction: direction) {}
}

private func source(_ path: String, codec: String = "VP8") throws -> any VideoSource {
  guard case .videoSource(let offer) = try module().facets[0].body else { throw ModuleError(.configuration, "none") }
  return try offer(request(path, codec, .transmit))()
}

private func sink(_ module: IVF, _ path: String, codec: String = "VP8") throws -> any VideoSink {
  guard case .videoSink(let offer) = module.facets[1].body else { throw ModuleError(.configuration, "none") }
  return try offer(request(path, codec, .receive))()
}

/// What is due until this moment: lengths and time stamps.
private func frames(_ source: any VideoSource, at milliseconds: Int64) -> [[Int]] {
  var all: [[Int]] = []
  while source.next(
    now: start.advanced(byMilliseconds: milliseconds), { all.append([$0.byteCount, Int($1.timestamp)]) })
  {}
  return all
}

private func show(_ bytes: [UInt8], _ sink: any VideoSink, at timestamp: UInt32, isKey: Bool) {
  bytes.withRawSpan { sink.take($0, VideoFrameInfo(timestamp: timestamp, isKeyFrame: isKey), now: start) }
}

@Suite("ivf as a source") struct IVFSourceTests {
  @Test("a file is played at its own pace from the first call, over and over, with time stamps that go on")
  func plays() throws {
    let folder = try Folder()
    try folder.write(film(six.map { ($0.stamp * 40, $0.bytes) }, rate: 1000), "a.ivf")
    let source = try source(folder("a.ivf"))
    #expect(try #require(source.nextDeadline) < start)
    #expect(frames(source, at: 0) == [[20, 0]])
    #expect(source.nextDeadline == start.advanced(byMilliseconds: 40))
    #expect(frames(source, at: 39) == [] && frames(source, at: 40) == [[21, 3600]])
    #expect(frames(source, at: 200) == [[22, 7200], [23, 10_800], [24, 14_400], [25, 18_000]])
    #expect(source.nextDeadline == start.advanced(byMilliseconds: 240))
    #expect(frames(source, at: 280) == [[20, 21_600], [21, 25_200]])
  }

  @Test("who asks for a key frame gets the file's next at the time of the frame that was due; after the last the first")
  func keyFrames() throws {
    let folder = try Folder()
    try folder.write(film(six.map { ($0.stamp * 40, $0.bytes) }, rate: 1000), "a.ivf")
    let source = try source(folder("a.ivf"))
    source.requestKeyFrame()
    #expect(frames(source, at: 0) == [[20, 0]])
    source.requestKeyFrame()
    source.requestKeyFrame()
    #expect(frames(source, at: 39) == [] && frames(source, at: 80) == [[23, 3600], [24, 7200]])
    source.requestKeyFrame()
    #expect(frames(source, at: 160) == [[20, 10_800], [21, 14_400]])
  }

  @Test("who was kept from sending for longer than a second goes on without a burst")
  func late() throws {
    let folder = try Folder()
    try folder.write(film(six.map { ($0.stamp * 40, $0.bytes) }, rate: 1000), "a.ivf")
    let source = try source(folder("a.ivf"))
    #expect(frames(source, at: 0).count == 1)
    #expect(frames(source, at: 3000) == [[21, 270_000]] && frames(source, at: 3040) == [[22, 273_600]])
  }

  @Test("what can't be played is refused when the call is set up, in one sentence")
  func refusals() throws {
    let folder = try Folder()
    try folder.write(Array("not an IVF file, though it is long enough".utf8), "text.ivf")
    try folder.write(film([(0, [1])], coding: "AV01"), "av1.ivf")
    try folder.write(film(six, rate: 0), "base.ivf")
    try folder.write(film(Array(six[1...2])), "key.ivf")
    try folder.write(film([six[0], (9, six[1].bytes), (8, six[2].bytes)]), "time.ivf")
    try folder.write(film([six[0], (-1, six[1].bytes)]), "far.ivf")
    for (name, reason) in [
      ("missing.ivf", "no such file or directory"), ("text.ivf", "not an IVF file"),
      ("av1.ivf", "coding \"AV01\" is neither VP80 nor H264"), ("base.ivf", "a time base of 1/0 s"),
      ("key.ivf", "it has no key frame"),
      ("time.ivf", "frame 3 is earlier than the one before it, or months after the first"),
      ("far.ivf", "frame 2 is earlier than the one before it, or months after the first"),
    ] {
      let path = folder(name)
      #expect(throws: ModuleError(.noInput, "video_source ivf: \(path): \(reason)")) { try source(path) }
    }
    #expect { try source("") } throws: { ($0 as? ModuleError)?.kind == .configuration }
    try folder.write(film(six), "vp8.ivf")
    #expect { try source(folder("vp8.ivf"), codec: "H264") } throws: { error in
      "\(error)"
        == "video_source ivf: \(folder("vp8.ivf")) is VP8, and the call has H264: name VP8 alone in video_codecs"
    }
  }

  @Test("a file that is cut short anywhere is played as far as it goes, or refused")
  func truncated() throws {
    let whole = film(six)
    let ends = six.indices.map { index in 32 + six[...index].reduce(0) { $0 + 12 + $1.bytes.count } }
    for count in 0...whole.count {
      let frames = (try? IVFFile(Array(whole[..<count])))?.frames.count ?? 0
      #expect(frames == ends.count { $0 <= count }, "\(count) bytes")
    }
    var random = TestGenerator(seed: 90_000)
    for _ in 0..<5000 {
      var bytes = whole
      for _ in 0..<4 {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
      }
      if let file = try? IVFFile(bytes) { #expect(file.frames.first?.isKeyFrame == true) }
    }
  }
}

@Suite("ivf as a display", .serialized) struct IVFSinkTests {
  @Test("a stream is recorded from its first key frame, with its size, and time stamps across their end")
  func records() throws {
    let folder = try Folder()
    let sink = try sink(module(), folder("r.ivf"))
    show(vp8Frame(30, isKey: false), sink, at: 0xFFFF_0000, isKey: false)
    #expect(sink.takeKeyFrameRequest() && !sink.takeKeyFrameRequest())
    let stamps: [UInt32] = [0xFFFF_F000, 0x0000_0000, 0x0000_0BB8]
    for (frame, stamp) in zip(six, stamps) { show(frame.bytes, sink, at: stamp, isKey: frame.stamp == 0) }
    #expect(!sink.takeKeyFrameRequest())
    sink.finish()
    show(vp8Frame(30, isKey: true), sink, at: 0, isKey: true)
    #expect(FileThread.shared.flush())
    let sent = zip([0, 0x1000, 0x1BB8], six).map { (stamp: $0, bytes: $1.bytes) }
    #expect(try folder.read("r.ivf") == film(sent, rate: 90_000))
    let played = try source(folder("r.ivf"))
    #expect((frames(played, at: 0) + frames(played, at: 100)).map { $0[0] } == [20, 21, 22])
  }

  @Test("H.264 is recorded as it comes, and a recording is valid before it is finished")
  func h264() throws {
    let folder = try Folder()
    let sink = try sink(module(), folder("r.ivf"), codec: "h264")
    #expect(try folder.read("r.ivf").count == 32)
    let unit: [UInt8] = [0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 1, 0x65, 3]
    show(unit, sink, at: 7, isKey: true)
    #expect(FileThread.shared.flush())
    let bytes = try folder.read("r.ivf")
    #expect(Array(bytes[8..<16]) == Array("H264".utf8) + [0, 0, 0, 0] && Array(bytes[24..<28]) == [1, 0, 0, 0])
    let file = try IVFFile(bytes)
    #expect(file.coding == .h264 && file.frames.map(\.isKeyFrame) == [true])
    sink.finish()
  }

  @Test("two calls at once get a file each, a display that is dropped leaves a whole file, and a later one overwrites")
  func names() throws {
    let folder = try Folder()
    let module = try module()
    do {
      let (first, second) = (try sink(module, folder("r.ivf")), try sink(module, folder("r.ivf")))
      show(six[0].bytes, first, at: 0, isKey: true)
      show(six[3].bytes, second, at: 0, isKey: true)
    }
    #expect(FileThread.shared.flush())
    #expect(try folder.read("r.ivf") == film([(0, six[0].bytes)], rate: 90_000))
    #expect(try folder.read("r-2.ivf") == film([(0, six[3].bytes)], rate: 90_000))
    let third = try sink(module, folder("r.ivf"))
    third.finish()
    #expect(FileThread.shared.flush())
    #expect(try folder.read("r.ivf").count == 32)
  }

  @Test("what can't be created is refused when the call is set up, and so is another codec")
  func refusals() throws {
    let folder = try Folder()
    for (path, reason) in [
      (folder("missing/r.ivf"), "no such file or directory"), (folder.path, "is a directory"),
      ("/dev/full", "no space left on device"),
    ] {
      #expect(throws: ModuleError(.cannotCreate, "video_display ivf: \(path): \(reason)")) { try sink(module(), path) }
    }
    #expect { try sink(module(), "") } throws: { ($0 as? ModuleError)?.kind == .configuration }
    #expect(throws: ModuleError(.configuration, "video_display ivf: it takes VP8 and H264, and not VP9")) {
      try sink(module(), folder("r.ivf"), codec: "VP9")
    }
  }

  @Test("what comes faster than the lane takes it is dropped up to the next key frame, counted, and never waited for")
  func bounded() throws {
    let folder = try Folder()
    let sink = try sink(module(), folder("r.ivf"))
    let before = IVF.losses.units
    for number in 0..<1000 { show(vp8Frame(2000, isKey: number == 0), sink, at: UInt32(number), isKey: number == 0) }
    sink.finish()
    #expect(FileThread.shared.flush())
    let kept = try IVFFile(try folder.read("r.ivf")).frames.count
    #expect(kept >= 64 && kept + IVF.losses.units - before == 1000)
  }
}
