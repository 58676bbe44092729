import ModuleKit
import Synchronization
import Testing

@testable import alsa

@Suite struct ALSAModuleTests {
  @Test("the module brings a source and a player with the trait, and says what is missing without it")
  func brings() throws {
    let module = try ALSA(settings: ModuleSettings(keys: []))
    #if ALSA
      #expect(
        module.facets.map(\.kind) == ["audio source", "audio player", "command", "application"] && ALSA.absence == nil)
    #else
      #expect(module.facets.isEmpty && ALSA.devices.isEmpty)
      #expect(ALSA.absence == "audio source and player: not in this build, it needs the package trait ALSA")
    #endif
  }

  @Test("what a device did is one line")
  func line() {
    let figures = DeviceFigures(stream: StreamID(number: 1), title: "capture default", sampleRate: 8000)
    figures.opened()
    figures.failed(-19)
    figures.drift.store(-120, ordering: .relaxed)
    #expect(
      figures.line { "code \($0)" }
        == "capture default, 8000 Hz, open: opened 1, failed 1 (last: code -19), interrupted 0, drift -120 ppm, "
        + "inserted 0, dropped 0, late 0, skipped 0")
  }
}
