internal import AllModules
internal import ModuleKit
internal import Testing

@testable internal import UACore

/// What a call asks of the active modules for its video.
@Suite struct VideoDriverTests {
  private let registry: ModuleRegistry

  init() throws {
    self.registry = try ModuleRegistry(
      available: allModules, active: ["g711", "ausine", "h264", "vidbridge", "vp8"], settings: [:])
  }

  @Test("drivers and codecs are found by name, codecs in the account's order and in any case")
  func found() throws {
    _ = try self.registry.videoSource("vidbridge")
    _ = try self.registry.videoSink("vidbridge")
    #expect(try self.registry.videoCodecs([]).map(\.encodingName) == ["H264", "VP8"])
    #expect(try self.registry.videoCodecs(["Vp8", "h264"]).map(\.encodingName) == ["VP8", "H264"])
    #expect(try self.registry.videoCodecs(["h264"]).map(\.encodingName) == ["H264"])
  }

  @Test("one that no active module brings is refused with a sentence")
  func refused() throws {
    func sentence(_ body: () throws -> Void) -> String {
      do { try body() } catch { return "\(error)" }
      return ""
    }
    #expect(
      sentence { _ = try self.registry.videoSource("ausine") }
        == "video_source ausine: no active module brings it; there are: vidbridge")
    #expect(
      sentence { _ = try self.registry.videoSink("sdl") }
        == "video_display sdl: no active module brings it; there are: vidbridge")
    #expect(
      sentence { _ = try self.registry.videoCodecs(["vp8", "H266"]) }
        == "video codec h266: no active module brings it; there are: h264, vp8")
    let bare = try ModuleRegistry(available: allModules, active: ["g711"], settings: [:])
    #expect(
      sentence { _ = try bare.videoSource("vidbridge") }
        == "video_source vidbridge: no active module brings it; there are: none")
  }
}
