#if ALSA
  import Foundation
  import Handoff
  import ModuleKit
  import Testing

  @testable import alsa

  private let format = AudioFormat(sampleRate: 8000, channels: 1)
  private let stream = StreamID(number: 1)

  /// A folder with a configuration of ALSA's own plug-ins, beside what there is; in force for the process, so for the tests of
  /// others, too.
  private let folder: String = {
    let folder = NSTemporaryDirectory() + "/alsa-\(UUID().uuidString)"
    try? FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let text = """
      <confdir:alsa.conf>
      pcm.quiet { type null }
      pcm.heard { type file slave.pcm quiet file "/dev/null" infile "\(folder)/in.raw" format "raw" }
      pcm.played { type file slave.pcm quiet file "\(folder)/out.raw" format "raw" }
      """
    try? text.write(toFile: folder + "/asound.conf", atomically: true, encoding: .utf8)
    unsafe setenv("ALSA_CONFIG_PATH", folder + "/asound.conf", 1)
    return folder
  }()

  private func stage(_ index: Int, _ device: String, _ module: ALSA) throws -> any AudioStage {
    let request = AudioRequest(
      device: device, format: format, stream: stream, direction: index == 0 ? .transmit : .receive)
    switch module.facets[index].body {
    case .source(.confined(let prepare)), .player(.confined(let prepare)): return try prepare(request)()
    default: throw ModuleError(.configuration, "not a confined source or player")
    }
  }

  private func waitFor(_ condition: () -> Bool) async throws -> Bool {
    for _ in 0..<1500 {
      if condition() { return true }
      try await Task.sleep(for: .milliseconds(10))
    }
    return false
  }

  @Suite(.serialized) struct PlugInTests {
    @Test("what ALSA's file plug-in brings is captured unchanged")
    func captures() async throws {
      let known = (1...16_000).map { Int16($0) }
      try unsafe known.withUnsafeBytes { unsafe Data($0) }.write(to: URL(fileURLWithPath: folder + "/in.raw"))
      let stage = try stage(0, "heard", try ALSA(settings: ModuleSettings(keys: [])))
      var heard: [Int16] = []
      let isThere = try await waitFor {
        var samples = [Int16](repeating: 0, count: 160)
        var frame = AudioFrame(samples: samples.mutableSpan, direction: .transmit, stream: stream)
        _ = stage.process(&frame)
        heard += samples
        return heard.contains(8000)
      }
      #expect(isThere)
      stage.finish(stream)
      let first = try #require(heard.firstIndex(of: 1))
      #expect(Array(heard[first..<(first + 7000)]) == Array(known[..<7000]))
    }

    @Test("what is played goes unchanged into ALSA's file plug-in")
    func plays() async throws {
      let stage = try stage(1, "played", try ALSA(settings: ModuleSettings(keys: [])))
      var next: Int16 = 1
      let url = URL(fileURLWithPath: folder + "/out.raw")
      func written() -> [Int16] {
        // Of an empty file Foundation leaks what it read into.
        let size = try? FileManager.default.attributesOfItem(atPath: url.path)[.size] as? Int
        guard let size, size > 0 else { return [] }
        let data = (try? Data(contentsOf: url)) ?? Data()
        return stride(from: 0, to: data.count - 1, by: 2).map { Int16(data[$0]) | Int16(data[$0 + 1]) << 8 }
      }
      let isThere = try await waitFor {
        var samples = (0..<160).map { next + Int16($0) }
        if next < 16_000 { next += 160 }
        var frame = AudioFrame(samples: samples.mutableSpan, direction: .receive, stream: stream)
        _ = stage.process(&frame)
        return written().contains(4000)
      }
      #expect(isThere)
      stage.finish(stream)
      let heard = written()
      let first = try #require(heard.firstIndex(of: 1))
      #expect(Array(heard[first..<(first + 3999)]) == Array(1...3999))
    }

    @Test("a device's use is on the list from its beginning; one that was only planned never is")
    func planned() throws {
      _ = folder
      let module = try ALSA(settings: ModuleSettings(keys: []))
      guard case .application(let provider) = module.facets[3].body else { preconditionFailure("not an application") }
      let shelf = try #require(provider as? DeviceWatchProvider).shelf
      let request = AudioRequest(device: "quiet", format: format, stream: stream, direction: .transmit)
      guard case .source(.confined(let prepare)) = module.facets[0].body else { preconditionFailure("not a source") }
      let make = try prepare(request)
      #expect(shelf.withLock { $0.figures.count } == 0)
      let stage = try make()
      #expect(shelf.withLock { $0.figures.count } == 1)
      stage.finish(stream)
    }

    @Test("a device that ALSA does not know is one sentence; one that is not there is silence")
    func refuses() async throws {
      let module = try ALSA(settings: ModuleSettings(keys: []))
      _ = folder
      let error = #expect(throws: ModuleError.self) { _ = try stage(0, "nosuch", module) }
      #expect(error?.message.contains("ALSA knows no device \"nosuch\"") == true, "\(String(describing: error))")
    }
  }
#endif
