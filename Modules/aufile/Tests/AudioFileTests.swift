import Foundation
import ModuleKit
import NetBase
import Testing
import aufile

private let mono = AudioFormat(sampleRate: 8000, channels: 1)
private let stream = StreamID(number: 1)

/// A folder of the test's own.
private final class Folder {
  let path: String
  init() throws {
    self.path = NSTemporaryDirectory() + "/aufile-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
  }
  deinit { try? FileManager.default.removeItem(atPath: self.path) }
  func callAsFunction(_ name: String) -> String { "\(self.path)/\(name)" }
}

private func module() throws -> AudioFile { try AudioFile(settings: ModuleSettings(keys: [])) }

private func source(_ module: AudioFile, _ path: String) throws -> any AudioStage {
  guard case .source(.confined(let prepare)) = module.facets[0].body else {
    throw ModuleError(.configuration, "not a confined source")
  }
  return try prepare(AudioRequest(device: path, format: mono, stream: stream, direction: .transmit))()
}

private func player(_ module: AudioFile, _ path: String, _ format: AudioFormat = mono) throws -> any AudioStage {
  guard case .player(.confined(let prepare)) = module.facets[1].body else {
    throw ModuleError(.configuration, "not a confined player")
  }
  return try prepare(AudioRequest(device: path, format: format, stream: stream, direction: .receive))()
}

private func read(_ stage: any AudioStage, _ count: Int) -> (samples: [Int16], isLast: Bool) {
  var samples = [Int16](repeating: 99, count: count)
  var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: stream)
  if case .end = stage.process(&frame) { return (samples, true) }
  return (samples, false)
}

private func write(_ stage: any AudioStage, _ samples: [Int16]) {
  var samples = samples
  var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: stream)
  _ = stage.process(&frame)
}

private func contents(_ path: String) throws -> WAVFile {
  try Array(Data(contentsOf: URL(fileURLWithPath: path))).withRawSpan { try WAVFile($0) }
}

@Suite("aufile as a source") struct FileSourceTests {
  @Test("plays a file once, says when it ends, and is silent from then on")
  func plays() throws {
    let folder = try Folder()
    try Data(wav(bytes16(1, 2, 3, 4, 5))).write(to: URL(fileURLWithPath: folder("a.wav")))
    let stage = try source(module(), folder("a.wav"))
    #expect(stage.format == mono)
    #expect(read(stage, 3) == ([1, 2, 3], false))
    #expect(read(stage, 3) == ([4, 5, 0], true))
    #expect(read(stage, 3) == ([0, 0, 0], false))
  }

  @Test("a frame that ends with the file is the last")
  func boundary() throws {
    let folder = try Folder()
    try Data(wav(bytes16(1, 2))).write(to: URL(fileURLWithPath: folder("a.wav")))
    try Data(wav([])).write(to: URL(fileURLWithPath: folder("empty.wav")))
    #expect(read(try source(module(), folder("a.wav")), 2) == ([1, 2], true))
    #expect(read(try source(module(), folder("empty.wav")), 2) == ([0, 0], true))
  }

  @Test("calls share what was read, and a file that changed is read again")
  func shelf() throws {
    let folder = try Folder()
    let module = try module()
    try Data(wav(bytes16(1))).write(to: URL(fileURLWithPath: folder("a.wav")))
    let first = try source(module, folder("a.wav"))
    #expect(read(try source(module, folder("a.wav")), 1).samples == [1])
    try Data(wav(bytes16(2, 3))).write(to: URL(fileURLWithPath: folder("a.wav")))
    #expect(read(try source(module, folder("a.wav")), 1).samples == [2])
    #expect(read(first, 1).samples == [1])
  }

  @Test("what can't be read is refused when the call is set up, with the file's name and the reason")
  func refusals() throws {
    let folder = try Folder()
    try Data(Array("not a WAV file at all".utf8)).write(to: URL(fileURLWithPath: folder("text.wav")))
    for (path, reason) in [
      (folder("missing.wav"), "no such file or directory"), (folder.path, "not a regular file"),
      (folder("text.wav"), "not a WAV file"), ("/dev/zero", "not a regular file"),
    ] {
      let expected = ModuleError(.noInput, "audio_source aufile: \(path): \(reason)")
      #expect(throws: expected) { try source(module(), path) }
    }
    #expect { try source(module(), "") } throws: { ($0 as? ModuleError)?.kind == .configuration }
  }

  @Test("the speech that Apus ships is 48 kHz mono, 16 seconds")
  func shipped() throws {
    let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let file = try contents("/\(root)/Config/media/speech_48000.wav")
    #expect(file.format == AudioFormat(sampleRate: 48_000, channels: 1))
    #expect((15 * 48_000...17 * 48_000).contains(file.samples.count))
  }
}

@Suite("aufile as a player", .serialized) struct FilePlayerTests {
  @Test("what a stream plays is in the file, in the stream's format", arguments: [1, 2])
  func records(channels: Int) throws {
    let folder = try Folder()
    let format = AudioFormat(sampleRate: 48_000, channels: channels)
    let stage = try player(module(), folder("r.wav"), format)
    let sent = (0..<(48_000 * channels)).map { Int16(truncatingIfNeeded: $0 &* 31) }
    for start in stride(from: 0, to: sent.count, by: 960) { write(stage, Array(sent[start..<(start + 960)])) }
    stage.finish(stream)
    #expect(AudioFile.flush())
    let file = try contents(folder("r.wav"))
    #expect(file.format == format)
    #expect(file.samples == sent)
  }

  @Test("a recording is a valid file from its start, and up to date after a flush, before it is finished")
  func alwaysValid() throws {
    let folder = try Folder()
    let stage = try player(module(), folder("r.wav"))
    #expect(try contents(folder("r.wav")).samples.isEmpty)
    write(stage, [1, 2, 3])
    #expect(AudioFile.flush())
    #expect(try contents(folder("r.wav")).samples == [1, 2, 3])
    let size = try FileManager.default.attributesOfItem(atPath: folder("r.wav"))[.size] as? Int
    #expect(size == 50)
    write(stage, [4])
    stage.finish(stream)
    write(stage, [5])
    #expect(AudioFile.flush())
    #expect(try contents(folder("r.wav")).samples == [1, 2, 3, 4])
  }

  @Test("a header is brought up to date by itself, once there is a second of audio")
  func header() throws {
    let folder = try Folder()
    let stage = try player(module(), folder("r.wav"))
    write(stage, [Int16](repeating: 1, count: 8000))
    let deadline = Date().addingTimeInterval(10)
    while try contents(folder("r.wav")).samples.count < 8000, Date() < deadline { usleep(20_000) }
    #expect(try contents(folder("r.wav")).samples.count == 8000)
    stage.finish(stream)
  }

  @Test("a player that is dropped without a last word leaves a whole file, and one never made an empty one")
  func dropped() throws {
    let folder = try Folder()
    let module = try module()
    do {
      let stage = try player(module, folder("r.wav"))
      write(stage, [1, 2])
    }
    #expect(AudioFile.flush())
    #expect(try contents(folder("r.wav")).samples == [1, 2])
    guard case .player(.confined(let prepare)) = module.facets[1].body else { return }
    _ = try prepare(AudioRequest(device: folder("n.wav"), format: mono, stream: stream, direction: .receive))
    #expect(try contents(folder("n.wav")).samples.isEmpty)
  }

  @Test("two calls at once get a file each; a later one overwrites")
  func names() throws {
    let folder = try Folder()
    let module = try module()
    let (first, second) = (try player(module, folder("r.wav")), try player(module, folder("r.wav")))
    write(first, [1])
    write(second, [2])
    first.finish(stream)
    second.finish(stream)
    #expect(AudioFile.flush())
    #expect(try contents(folder("r.wav")).samples == [1])
    #expect(try contents(folder("r-2.wav")).samples == [2])
    let third = try player(module, folder("r.wav"))
    write(third, [3])
    third.finish(stream)
    #expect(AudioFile.flush())
    #expect(try contents(folder("r.wav")).samples == [3])
  }

  @Test("what can't be created is refused when the call is set up")
  func refusals() throws {
    let folder = try Folder()
    for (path, reason) in [
      (folder("missing/r.wav"), "no such file or directory"), (folder.path, "is a directory"),
      ("/dev/full", "no space left on device"),
    ] {
      let expected = ModuleError(.cannotCreate, "audio_player aufile: \(path): \(reason)")
      #expect(throws: expected) { try player(module(), path) }
    }
    #expect { try player(module(), "") } throws: { ($0 as? ModuleError)?.kind == .configuration }
  }

  @Test("what comes faster than two seconds at once is dropped and counted; the stream never waits")
  func bounded() throws {
    let folder = try Folder()
    let stage = try player(module(), folder("r.wav"))
    let before = AudioFile.losses.units
    write(stage, [Int16](repeating: 1, count: 100_000))
    stage.finish(stream)
    #expect(AudioFile.flush())
    let kept = try contents(folder("r.wav")).samples.count
    #expect(kept >= 16_000 && kept + AudioFile.losses.units - before == 100_000)
  }

  @Test("streams on many threads record at once")
  func concurrent() async throws {
    let folder = try Folder()
    let module = try module()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<8 {
        let path = folder("\(number).wav")
        group.addTask {
          let stage = try player(module, path)
          for _ in 0..<50 { write(stage, [Int16](repeating: Int16(number), count: 160)) }
          stage.finish(stream)
        }
      }
      try await group.waitForAll()
    }
    #expect(AudioFile.flush())
    for number in 0..<8 {
      #expect(try contents(folder("\(number).wav")).samples == [Int16](repeating: Int16(number), count: 8000))
    }
  }
}
